// The log: one line of key=value per event on standard error, as todo-fcgi
// writes it. Never a secret, a token, a cookie, a password or an address:
// of what others hand over, only messages and error codes are written, and of
// MariaDB's errors only the codes.

import { AsyncLocalStorage } from "node:async_hooks";

// The store of a request in hand. Better Auth swallows a database error while
// it looks a session up and answers as if there were none; the log is where
// such an error can be seen.
export const requestStore = new AsyncLocalStorage();

function quote(value) {
	const string = String(value);
	return /^[\w.:/@+-]+$/.test(string) ? string : JSON.stringify(string);
}

export function log(level, event, fields = {}) {
	const line = { time: new Date().toISOString(), level, event, ...fields };
	process.stderr.write(Object.entries(line)
		.map(([key, value]) => `${key}=${quote(value)}`).join(" ") + "\n");
}

// What mysql2 says when the server is away, and not that a statement is wrong:
// system errors, a lost connection, no connection to be had, or a server that
// stops, is full or reads only.
const OUTAGE = new RegExp("^(ECONN|EPIPE|ENOENT|EACCES|ETIMEDOUT|EHOST|ENET"
	+ "|EAI_|ENOTFOUND|PROTOCOL_|POOL_|ER_SERVER_SHUTDOWN"
	+ "|ER_CON_COUNT_ERROR|ER_TOO_MANY|ER_CONNECTION_KILLED"
	+ "|ER_QUERY_INTERRUPTED|ER_OPTION_PREVENTS_STATEMENT)");

export function isOutage(error) {
	for (let e = error; e instanceof Error; e = e.cause)
		if (e.fatal === true || OUTAGE.test(e.code ?? ""))
			return true;
	return false;
}

// What an error is called in the log. What MariaDB says may quote what was to be
// stored: "Duplicate entry 'ada@example.org' for key 'email'".
export function reasonOf(error) {
	while (error.cause instanceof Error)
		error = error.cause;
	return error.sqlMessage === undefined ? error.message : error.code;
}

// Better Auth's logger.
export function betterAuthLog(level, message, ...details) {
	const error = [message, ...details].find((d) => d instanceof Error);
	const store = requestStore.getStore();
	if (store && isOutage(error))
		store.outage = true;
	// It calls a client's mistakes errors as well, such as a wrong Origin.
	const failed = level === "error" && error;
	log(failed ? "error" : level === "info" ? "info" : "warning", "better_auth", {
		message: message instanceof Error ? reasonOf(message) : message,
		...(error && { error: reasonOf(error) }),
	});
}
