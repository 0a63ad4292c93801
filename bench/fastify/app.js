// The peer on Fastify, @fastify/jwt and mysql2, as their documentation has it:
// a cluster with one process for each processor, and schemas for what goes out.
//
// Tuned: prepared statements, dates as text, verified tokens cached (which the
// documentation of @fastify/jwt recommends for speed), no request log.
import cluster from 'node:cluster';
import { randomBytes } from 'node:crypto';
import fastifyJwt from '@fastify/jwt';
import Fastify from 'fastify';
import mysql from 'mysql2/promise';

const env = process.env;
const COLUMNS = 'id, title, description, completed, created_at, updated_at';

const task = {
	type: 'object',
	properties: {
		id: { type: 'string' },
		user_id: { type: 'string' },
		title: { type: 'string' },
		description: { type: 'string', nullable: true },
		completed: { type: 'boolean' },
		created_at: { type: 'string' },
		updated_at: { type: 'string' },
	},
};

const newTask = {
	type: 'object',
	required: ['title'],
	properties: {
		title: { type: 'string', minLength: 1, maxLength: 200 },
		description: { type: 'string', nullable: true, maxLength: 1000 },
		completed: { type: 'boolean', default: false },
	},
};

const query = {
	type: 'object',
	properties: {
		limit: { type: 'integer', minimum: 1, maximum: 500, default: 100 },
	},
};

const problem = {
	type: 'object',
	properties: {
		type: { type: 'string' },
		title: { type: 'string' },
		status: { type: 'integer' },
		code: { type: 'string' },
		detail: { type: 'string' },
		request_id: { type: 'string' },
	},
};

class Problem extends Error {
	constructor(status, title, code, detail) {
		super(detail);
		Object.assign(this, { status, title, code, detail });
	}
}

const time = (text) => text.replace(' ', 'T') + 'Z';

function uuidText(bytes) {
	const hex = bytes.toString('hex');
	return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-` +
		`${hex.slice(16, 20)}-${hex.slice(20)}`;
}

const uuidBytes = (text) => Buffer.from(text.replaceAll('-', ''), 'hex');

function uuid7(microseconds) {
	const bytes = randomBytes(16);
	bytes.writeUIntBE(Math.floor(microseconds / 1000), 0, 6);
	bytes.writeUInt16BE(
		0x7000 | Math.floor((microseconds % 1000) * 4096 / 1000), 6);
	bytes[8] = 0x80 | bytes[8] & 0x3f;
	return bytes;
}

const taskOf = (userId, row) => ({
	id: uuidText(row.id),
	user_id: userId,
	title: row.title,
	description: row.description,
	completed: row.completed !== 0,
	created_at: time(row.created_at),
	updated_at: time(row.updated_at),
});

async function serve() {
	const pool = mysql.createPool({
		socketPath: env.DB_SOCKET,
		user: env.DB_USER,
		password: env.DB_PASSWORD,
		database: env.DB_NAME,
		connectionLimit: Number(env.DB_CONNECTIONS),
		charset: 'utf8mb4',
		dateStrings: true,
	});
	const app = Fastify({ logger: false });

	await app.register(fastifyJwt, {
		secret: env.BETTER_AUTH_SECRET,
		verify: {
			algorithms: ['HS256'],
			allowedIss: env.JWT_ISSUER,
			allowedAud: env.JWT_AUDIENCE,
			requiredClaims: ['exp', 'iat', 'iss', 'aud', 'sub'],
			cache: 10000,
		},
	});

	app.setErrorHandler((error, request, reply) => {
		const status = error.status ?? error.statusCode ?? 500;
		reply.code(status).type('application/problem+json').send({
			type: 'about:blank',
			title: error.title ?? 'Error',
			status,
			code: error.code,
			detail: error.message,
			request_id: request.headers['x-request-id'],
		});
	});

	app.addHook('onRequest', async (request) => {
		try {
			await request.jwtVerify();
		} catch (error) {
			if (error.code === 'FST_JWT_AUTHORIZATION_TOKEN_EXPIRED')
				throw new Problem(401, 'Unauthorized', 'token_expired',
					'Token has expired');
			throw new Problem(401, 'Unauthorized', 'token_invalid',
				'Invalid token');
		}
		if (request.user.user_id !== request.params.user_id)
			throw new Problem(403, 'Forbidden', 'forbidden',
				'Access forbidden: not authorized, ' +
				'user_id in URL does not match token');
	});

	app.get('/api/:user_id/tasks', {
		schema: {
			querystring: query,
			response: {
				200: { type: 'array', items: task },
				'4xx': problem,
			},
		},
	}, async (request) => {
		const userId = request.user.user_id;
		const [rows] = await pool.execute(
			`SELECT ${COLUMNS} FROM tasks WHERE user_id = ?` +
			' ORDER BY id DESC LIMIT ?',
			[userId, request.query.limit]);
		return rows.map((row) => taskOf(userId, row));
	});

	app.get('/api/:user_id/tasks/:id', {
		schema: { response: { 200: task, '4xx': problem } },
	}, async (request) => {
		const userId = request.user.user_id;
		const [rows] = await pool.execute(
			`SELECT ${COLUMNS} FROM tasks WHERE user_id = ? AND id = ?`,
			[userId, uuidBytes(request.params.id)]);
		if (rows.length === 0)
			throw new Problem(404, 'Not Found', 'not_found',
				'There is nothing here');
		return taskOf(userId, rows[0]);
	});

	app.post('/api/:user_id/tasks', {
		schema: { body: newTask, response: { 201: task, '4xx': problem } },
	}, async (request, reply) => {
		const userId = request.user.user_id;
		const { title, description = null, completed } = request.body;
		const milliseconds = Date.now();
		const microseconds = milliseconds * 1000;
		const now = new Date(milliseconds).toISOString()
			.replace('T', ' ').replace('Z', '000');
		const row = {
			id: uuid7(microseconds), title, description,
			completed: completed ? 1 : 0,
			created_at: now, updated_at: now,
		};
		await pool.execute(
			`INSERT INTO tasks (user_id, ${COLUMNS}, revision)` +
			' VALUES (?, ?, ?, ?, ?, ?, ?, 1)',
			[userId, ...Object.values(row)]);
		reply.code(201);
		return taskOf(userId, row);
	});

	await app.listen({ path: env.LISTEN });
}

if (cluster.isPrimary)
	for (let i = 0; i < Number(env.PROCESSES); i++)
		cluster.fork();
else
	await serve();
