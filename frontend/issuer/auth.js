// Better Auth on MariaDB: accounts by e-mail and password, and our token.

import { betterAuth } from "better-auth";
import { getMigrations } from "better-auth/db/migration";
import { createPool } from "mysql2/promise";
import { checkBody } from "./body.js";
import { todoJwt } from "./jwt.js";
import { betterAuthLog } from "./log.js";
import { indexSessions } from "./purge.js";
import { BASE_PATH } from "./settings.js";

export function createDatabase(uri) {
	const pool = createPool({ uri, timezone: "Z", connectTimeout: 2000 });
	// Better Auth makes TIMESTAMP columns, which the server converts by the
	// session's time zone: with one that has summer time, an hour of each
	// spring could not be stored.
	pool.on("connection", (connection) =>
		connection.query("SET time_zone = '+00:00'"));
	return pool;
}

export function createAuth(settings, pool) {
	const { secret, secrets } = settings;
	const current = secrets?.[0];

	return betterAuth({
		...(secrets ? { secrets } : { secret }),
		appName: "todo-fcgi",
		baseURL: settings.baseURL,
		basePath: BASE_PATH,
		trustedOrigins: settings.trustedOrigins,
		database: pool,
		emailAndPassword: { enabled: true },
		hooks: { before: checkBody },
		plugins: [todoJwt({
			secret: current?.value ?? secret,
			kid: current?.version,
			issuer: settings.issuer,
			audience: settings.audience,
			lifetime: settings.lifetime,
		})],
		// Which of the paths are there at all: routes.js.
		// Errors come to the caller of handler(), who logs them.
		onAPIError: { throw: true },
		// nginx sets X-Forwarded-For to the one address it saw.
		rateLimit: { enabled: settings.rateLimit },
		advanced: {
			// Of our own: another Better Auth on a parent domain has cookies
			// that browsers send here too.
			cookiePrefix: "todo",
			// Said here, because Better Auth guesses both from NODE_ENV.
			useSecureCookies: settings.baseURL.startsWith("https:"),
			disableOriginCheck: false,
		},
		telemetry: { enabled: false },
		logger: { level: "warn", log: betterAuthLog },
	});
}

// Brings Better Auth's tables up to date. Several issuers may start at once:
// the lock lets one of them work and the others find it done.
export async function migrate(auth, pool) {
	const connection = await pool.getConnection();
	try {
		const [[{ locked }]] = await connection.query(
			"SELECT GET_LOCK('better_auth_migrations', 60) AS locked");
		if (locked !== 1)
			throw new Error("another migration did not end within 60 s");
		const { runMigrations } = await getMigrations(auth.options);
		await runMigrations();
		await indexSessions(connection);
	} finally {
		// The lock ends with its connection.
		connection.destroy();
	}
}
