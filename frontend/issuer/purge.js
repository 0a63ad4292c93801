// Deletes sessions that have ended. Better Auth deletes one only if its cookie
// comes back; all others, with addresses and user agents, would stay for ever.

import { isOutage, log, reasonOf } from "./log.js";

const INTERVAL_MS = 10 * 60 * 1000;
// One statement locks no more rows than this, and one round runs no more
// statements than that.
const ROWS_MAX = 500;
const STATEMENTS_MAX = 200;

// Without the index each round would read and lock the whole table.
export function indexSessions(connection) {
	return connection.query("CREATE INDEX IF NOT EXISTS todo_session_expiresAt"
		+ " ON session (expiresAt)");
}

// One round; how many sessions it deleted. By this machine's clock, which is
// the one by which Better Auth calls a session ended.
async function purge(pool) {
	let deleted = 0;
	for (let i = 0; i < STATEMENTS_MAX; i++) {
		const [{ affectedRows }] = await pool.execute("DELETE FROM session"
			+ ` WHERE expiresAt < ? ORDER BY expiresAt LIMIT ${ROWS_MAX}`,
			[new Date()]);
		deleted += affectedRows;
		if (affectedRows < ROWS_MAX)
			break;
	}
	return deleted;
}

// Purges now and then every `interval` milliseconds. Returns how to stop that,
// which resolves once no statement is under way.
export function startPurge(pool, interval = INTERVAL_MS) {
	let timer = null;
	let stopped = false;
	let away = false;
	let round = null;

	async function run() {
		try {
			const deleted = await purge(pool);
			away = false;
			if (deleted > 0)
				log("info", "sessions_purged", { sessions: deleted });
		} catch (error) {
			// While the database is away a round is one attempt to connect,
			// and the first of them is logged.
			if (!away || !isOutage(error))
				log("warning", "sessions_not_purged",
					{ reason: reasonOf(error) });
			away = isOutage(error);
		}
		if (!stopped)
			timer = setTimeout(next, interval).unref();
	}
	function next() {
		round = run();
	}
	next();
	return () => {
		stopped = true;
		clearTimeout(timer);
		return round;
	};
}
