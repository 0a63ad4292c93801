// Deletes ended sessions. Better Auth deletes one only if its cookie comes back;
// all others would stay for ever, with addresses and user agents.

import { isOutage, reasonOf } from "./errors.js";
import { log } from "./log.js";

/** @typedef {import("mysql2/promise").Pool} Pool */

const INTERVAL_MS = 10 * 60 * 1000;
// One statement locks so many rows, and one round runs so many statements.
const ROWS_MAX = 500;
const STATEMENTS_MAX = 200;

/**
 * Without the index each round would read and lock the whole table.
 * @param {import("mysql2/promise").PoolConnection} connection
 */
export function indexSessions(connection) {
	return connection.query("CREATE INDEX IF NOT EXISTS todo_session_expiresAt"
		+ " ON session (expiresAt)");
}

/**
 * One round. Returns how many sessions it deleted. Like Better Auth it goes by
 * this machine's clock, not by the database's.
 * @param {Pool} pool
 */
async function purge(pool) {
	let deleted = 0;
	for (let i = 0; i < STATEMENTS_MAX; i++) {
		const [result] = await pool.execute("DELETE FROM session"
			+ ` WHERE expiresAt < ? ORDER BY expiresAt LIMIT ${ROWS_MAX}`,
			[new Date()]);
		const { affectedRows } =
			/** @type {import("mysql2/promise").ResultSetHeader} */ (result);
		deleted += affectedRows;
		if (affectedRows < ROWS_MAX)
			break;
	}
	return deleted;
}

/**
 * Purges now, and again `interval` milliseconds after the end of each round.
 * Returns a function that stops this and waits for the statement that runs.
 * @param {Pool} pool
 */
export function startPurge(pool, interval = INTERVAL_MS) {
	/** @type {NodeJS.Timeout | undefined} */
	let timer;
	let stopped = false;
	let away = false;
	let round = run();

	async function run() {
		try {
			const deleted = await purge(pool);
			away = false;
			if (deleted > 0)
				log("info", "sessions_purged", { sessions: deleted });
		} catch (error) {
			// An outage of the database is logged once.
			if (!away || !isOutage(error))
				log("warning", "sessions_not_purged",
					{ reason: reasonOf(error) });
			away = isOutage(error);
		}
		if (!stopped)
			timer = setTimeout(() => { round = run(); }, interval).unref();
	}

	return () => {
		stopped = true;
		clearTimeout(timer);
		return round;
	};
}
