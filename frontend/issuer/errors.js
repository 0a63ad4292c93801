// What errors mean, and what the log calls them.

// The codes that mysql2 gives when the database is away: system errors, a lost
// connection, no free connection, or a server that stops, is full or is read-only.
const OUTAGE = new RegExp("^(ECONN|EPIPE|ENOENT|EACCES|ETIMEDOUT|EHOST|ENET"
	+ "|EAI_|ENOTFOUND|PROTOCOL_|POOL_|ER_SERVER_SHUTDOWN"
	+ "|ER_CON_COUNT_ERROR|ER_TOO_MANY|ER_CONNECTION_KILLED"
	+ "|ER_QUERY_INTERRUPTED|ER_OPTION_PREVENTS_STATEMENT)");

/**
 * An error of Node's, or one of mysql2's.
 * @typedef {Error & { code?: string, fatal?: boolean, sqlMessage?: string }}
 *     DatabaseError
 */

/**
 * An error and its causes. A chain of causes can be a circle.
 * @param {unknown} error
 */
function chainOf(error) {
	/** @type {Set<DatabaseError>} */
	const chain = new Set();
	for (let e = error; e instanceof Error && !chain.has(e); e = e.cause)
		chain.add(e);
	return [...chain];
}

/**
 * True if the database is away.
 * @param {unknown} error
 */
export function isOutage(error) {
	return chainOf(error).some((e) => e.fatal === true
		|| OUTAGE.test(e.code ?? ""));
}

/**
 * MariaDB's code for a statement that it refused, or undefined.
 * @param {unknown} error
 */
export function refusalOf(error) {
	return chainOf(error).find((e) => e.sqlMessage !== undefined)?.code;
}

/**
 * The name of an error in the log: its message, but the code alone if it comes
 * from MariaDB, which may quote a value: "Duplicate entry 'ada@example.org'".
 * @param {unknown} error
 */
export function reasonOf(error) {
	const root = chainOf(error).at(-1);
	if (root)
		return root.sqlMessage !== undefined ? root.code : root.message;
	// Libraries throw other things than errors.
	return /** @type {{ message?: unknown } | null | undefined} */ (error)
		?.message ?? error;
}
