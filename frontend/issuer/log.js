// The log: one line of key=value per event on standard error, as todo-fcgi
// writes it. Never a secret, a token, a cookie, a password or an address:
// of what others hand over, only messages and error codes are written, and of
// MariaDB's errors only the codes.

import { AsyncLocalStorage } from "node:async_hooks";
import { fstatSync, writeSync } from "node:fs";

// The store of a request in hand: { outage, failed, taken }. Better Auth swallows
// a database error while it looks a session up and answers as if there were
// none; the log is where such an error can be seen.
export const requestStore = new AsyncLocalStorage();

// A client can have its own words logged, such as an Origin of 8 KiB.
const VALUE_MAX = 500;

function quote(value) {
	let string;
	try {
		string = String(value).slice(0, VALUE_MAX);
	} catch {
		// An object without a prototype, say.
		string = typeof value;
	}
	return /^[\w.:/@+-]+$/.test(string) ? string : JSON.stringify(string);
}

// Nothing that becomes of standard error ends or stops the issuer: it goes on
// without its log.
//
// A pipe or socket whose reader is slow is written to by Node when it can be;
// only so much may wait for that, and then lines are lost and counted. What
// fails is an event, or else an exception that nobody takes. All other files
// are written to at once: a full disk is an error for each line.
const WAITING_BYTES_MAX = 65_536;
const isStream = (() => {
	try {
		const stat = fstatSync(2);
		return stat.isFIFO() || stat.isSocket();
	} catch {
		return false;
	}
})();
let lost = 0;
process.stderr.on("error", () => {});

function write(line) {
	try {
		if (!isStream) {
			writeSync(2, line);
		} else if (process.stderr.writableLength > WAITING_BYTES_MAX) {
			lost++;
		} else {
			process.stderr.write(line);
		}
	} catch {
		// There is no other place to say so.
	}
}

export function log(level, event, fields = {}) {
	const line = (fields) => Object.entries({ time: new Date().toISOString(),
		...fields }).map(([key, value]) => `${key}=${quote(value)}`)
		.join(" ") + "\n";
	if (lost > 0 && process.stderr.writableLength === 0) {
		write(line({ level: "warning", event: "log_lost", lines: lost }));
		lost = 0;
	}
	write(line({ level, event, ...fields }));
}

// What mysql2 says when the server is away, and not that a statement is wrong:
// system errors, a lost connection, no connection to be had, or a server that
// stops, is full or reads only.
const OUTAGE = new RegExp("^(ECONN|EPIPE|ENOENT|EACCES|ETIMEDOUT|EHOST|ENET"
	+ "|EAI_|ENOTFOUND|PROTOCOL_|POOL_|ER_SERVER_SHUTDOWN"
	+ "|ER_CON_COUNT_ERROR|ER_TOO_MANY|ER_CONNECTION_KILLED"
	+ "|ER_QUERY_INTERRUPTED|ER_OPTION_PREVENTS_STATEMENT)");

// An error and what caused it. Causes can go round in a circle.
function chainOf(error) {
	const chain = new Set();
	for (let e = error; e instanceof Error && !chain.has(e); e = e.cause)
		chain.add(e);
	return [...chain];
}

export function isOutage(error) {
	return chainOf(error).some((e) => e.fatal === true
		|| OUTAGE.test(e.code ?? ""));
}

// The code of a statement that MariaDB refused, or undefined.
function refusalOf(error) {
	return chainOf(error).find((e) => e.sqlMessage !== undefined)?.code;
}

// What an error is called in the log. What MariaDB says may quote what was to be
// stored: "Duplicate entry 'ada@example.org' for key 'email'".
export function reasonOf(error) {
	const root = chainOf(error).at(-1) ?? error;
	return root?.sqlMessage !== undefined ? root.code : root?.message ?? root;
}

// Better Auth's logger.
export function betterAuthLog(level, message, ...details) {
	const error = [message, ...details].find((d) => d instanceof Error);
	const store = requestStore.getStore();
	const refusal = refusalOf(error);
	// Two that sign up with one address at the same time: no fault of ours.
	const taken = refusal === "ER_DUP_ENTRY";
	if (store) {
		store.outage ||= isOutage(error);
		store.taken ||= taken;
		store.failed ||= refusal !== undefined && !taken;
	}
	// It calls a client's mistakes errors as well, such as a wrong Origin.
	const failed = level === "error" && error && !taken;
	log(failed ? "error" : level === "info" ? "info" : "warning", "better_auth", {
		message: message instanceof Error ? reasonOf(message) : message,
		...(error && { error: reasonOf(error) }),
	});
}
