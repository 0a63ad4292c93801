// Better Auth on MariaDB: accounts by e-mail and password, and the token that
// todo-fcgi verifies.

import { betterAuth } from "better-auth";
import { getMigrations } from "better-auth/db/migration";
import { createPool } from "mysql2/promise";
import { checkBody } from "./body.js";
import { reasonOf } from "./errors.js";
import { betterAuthLog } from "./faults.js";
import { todoJwt } from "./jwt.js";
import { log } from "./log.js";
import { indexSessions } from "./purge.js";
import { BASE_PATH } from "./settings.js";

/** @typedef {import("mysql2/promise").Pool} Pool */

// What the statements rely on, whatever the defaults of the server, its
// init_connect and the option files say:
// - mysql2 writes values into statements itself, and escapes with backslashes:
//   under NO_BACKSLASH_ESCAPES a value could become SQL;
// - a text that is too long for its column is an error, instead of being cut;
// - each statement is committed, and no limit hides rows; setting autocommit to
//   0 and then to 1 commits a transaction that init_connect began;
// - a TIMESTAMP column changes only when a statement says so: with implicit
//   defaults each change of a session would end it;
// - the TIMESTAMP columns that Better Auth makes hold UTC: in a time zone with
//   summer time, an hour of each spring cannot be stored.
const SESSION = "SET NAMES utf8mb4 COLLATE utf8mb4_bin, SESSION"
	+ " sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION',"
	+ " autocommit = 0, autocommit = 1, completion_type = 'NO_CHAIN',"
	+ " tx_read_only = 0, time_zone = '+00:00',"
	+ " sql_select_limit = 18446744073709551615,"
	+ " sql_safe_updates = 0, sql_big_selects = 1, foreign_key_checks = 1,"
	+ " unique_checks = 1, max_statement_time = 0,"
	+ " default_storage_engine = InnoDB,"
	+ " explicit_defaults_for_timestamp = 1";

/**
 * @param {string} uri
 * @returns {Pool}
 */
export function createDatabase(uri) {
	const pool = createPool({ uri, timezone: "Z", connectTimeout: 2000 });
	// Runs before anything else on a new connection. Where it fails, the
	// connection is closed before the next statement is sent on it.
	// (mysql2/promise declares the connection wrongly: it takes a callback.)
	pool.on("connection", (/** @type {any} */ connection) =>
		connection.query(SESSION, (/** @type {unknown} */ error) => {
			if (!error)
				return;
			log("error", "database", { step: "session", reason: reasonOf(error) });
			connection.destroy();
		}));
	return pool;
}

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
