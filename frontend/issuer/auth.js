// Better Auth on MariaDB: accounts by e-mail and password, and the token that
// todo-fcgi verifies.

import { betterAuth } from "better-auth";
import { getMigrations } from "better-auth/db/migration";
import { checkBody } from "./body.js";
import { betterAuthLog } from "./faults.js";
import { todoJwt } from "./jwt.js";
import { indexSessions } from "./purge.js";
import { BASE_PATH } from "./settings.js";

/** @typedef {import("mysql2/promise").Pool} Pool */

/**
 * @param {import("./settings.js").Settings} settings
 * @param {Pool} pool
 */
export function createAuth(settings, pool) {
	const { value, version } = settings.secrets ? settings.secrets[0]
		: { value: settings.secret, version: undefined };

	return betterAuth({
		...(settings.secrets ? { secrets: settings.secrets }
			: { secret: settings.secret }),
		appName: "todo-fcgi",
		baseURL: settings.baseURL,
		basePath: BASE_PATH,
		trustedOrigins: settings.trustedOrigins,
		database: pool,
		emailAndPassword: { enabled: true },
		hooks: { before: checkBody },
		plugins: [todoJwt({
			secret: value,
			kid: version,
			issuer: settings.issuer,
			audience: settings.audience,
			lifetime: settings.lifetime,
		})],
		// The caller of handler() logs errors.
		onAPIError: { throw: true },
		// nginx sets X-Forwarded-For to the one address it saw.
		rateLimit: { enabled: settings.rateLimit },
		advanced: {
			// Not the default: browsers also send the cookies that another
			// Better Auth has set for a parent domain.
			cookiePrefix: "todo",
			// By default Better Auth guesses both from NODE_ENV.
			useSecureCookies: settings.baseURL.startsWith("https:"),
			disableOriginCheck: false,
		},
		telemetry: { enabled: false },
		logger: { level: "warn", log: betterAuthLog },
	});
}

/**
 * Brings Better Auth's tables up to date. If several issuers start at once, the
 * lock lets one of them work, and the others find it done.
 * @param {ReturnType<typeof createAuth>} auth
 * @param {Pool} pool
 */
export async function migrate(auth, pool) {
	const connection = await pool.getConnection();
	try {
		const [rows] = await connection.query(
			"SELECT GET_LOCK('better_auth_migrations', 60) AS locked");
		const [row] = /** @type {import("mysql2").RowDataPacket[]} */ (rows);
		if (row?.locked !== 1)
			throw new Error("another migration did not end within 60 s");
		const { runMigrations } = await getMigrations(auth.options);
		await runMigrations();
		await indexSessions(connection);
	} finally {
		// The lock ends with its connection.
		connection.destroy();
	}
}
