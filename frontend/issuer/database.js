// The connections to MariaDB, each with the session that the statements rely on.

import { createPool } from "mysql2/promise";
import { reasonOf } from "./errors.js";
import { log } from "./log.js";

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
 * @returns {import("mysql2/promise").Pool}
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
