// Better Auth on MariaDB: accounts by e-mail and password, and our token.

import { betterAuth } from "better-auth";
import { getMigrations } from "better-auth/db/migration";
import { createPool } from "mysql2/promise";
import { checkBody } from "./body.js";
import { todoJwt } from "./jwt.js";
import { betterAuthLog, log, reasonOf } from "./log.js";
import { indexSessions } from "./purge.js";
import { BASE_PATH } from "./settings.js";

// What the statements rely on, whatever the server's defaults, its init_connect
// and the account's option files say:
// - mysql2 writes values into statements itself and escapes them with
//   backslashes: under NO_BACKSLASH_ESCAPES a value would become SQL;
// - a text that does not fit its column is an error, and is not cut;
// - each statement is committed, and no limit hides rows; setting autocommit to
//   0 and then to 1 commits a transaction that init_connect began;
// - a TIMESTAMP column changes only when a statement says so: with implicit
//   defaults each change of a session would end it;
// - the TIMESTAMP columns that Better Auth makes hold UTC: with a time zone
//   that has summer time, an hour of each spring could not be stored.
const SESSION = "SET NAMES utf8mb4 COLLATE utf8mb4_bin, SESSION"
	+ " sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION',"
	+ " autocommit = 0, autocommit = 1, completion_type = 'NO_CHAIN',"
	+ " tx_read_only = 0, time_zone = '+00:00',"
	+ " sql_select_limit = 18446744073709551615,"
	+ " sql_safe_updates = 0, sql_big_selects = 1, foreign_key_checks = 1,"
	+ " unique_checks = 1, max_statement_time = 0,"
	+ " default_storage_engine = InnoDB,"
	+ " explicit_defaults_for_timestamp = 1";

export function createDatabase(uri) {
	const pool = createPool({ uri, timezone: "Z", connectTimeout: 2000 });
	// A new connection does this before anything else; one that could not is
	// closed before the next statement is sent on it.
	pool.on("connection", (connection) =>
		connection.query(SESSION, (error) => {
			if (!error)
				return;
			log("error", "database", { step: "session", reason: reasonOf(error) });
			connection.destroy();
		}));
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
