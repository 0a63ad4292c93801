// The log: one line of key=value per event on standard error, like todo-fcgi's.
// No secret, token, cookie, password or address is logged.

import { fstatSync, writeSync } from "node:fs";

// A client can choose a logged value, such as an Origin of 8 KiB.
const VALUE_LENGTH_MAX = 500;
// Bytes that may wait for a slow reader of a pipe or socket. Lines after that are
// dropped and counted.
const WAITING_BYTES_MAX = 65_536;

const isStream = (() => {
	try {
		const stat = fstatSync(2);
		return stat.isFIFO() || stat.isSocket();
	} catch {
		return false;
	}
})();
let droppedLines = 0;
// A broken standard error does not end the issuer.
process.stderr.on("error", () => {});

/** @param {unknown} value */
function quote(value) {
	let text;
	try {
		text = String(value).slice(0, VALUE_LENGTH_MAX);
	} catch {
		// An object without a prototype cannot become a string.
		text = typeof value;
	}
	return /^[\w.:/@+-]+$/.test(text) ? text : JSON.stringify(text);
}

/** @param {Record<string, unknown>} fields */
function lineOf(fields) {
	return Object.entries({ time: new Date().toISOString(), ...fields })
		.map(([key, value]) => `${key}=${quote(value)}`).join(" ") + "\n";
}

// Node writes to a pipe or socket later, when its reader is ready. To a file it
// writes at once, and a full disk is an exception for each line.
/** @param {string} line */
function write(line) {
	try {
		if (!isStream) {
			writeSync(2, line);
		} else if (process.stderr.writableLength > WAITING_BYTES_MAX) {
			droppedLines++;
		} else {
			process.stderr.write(line);
		}
	} catch {
		// There is no other place to report this.
	}
}

/**
 * @param {"error" | "warning" | "info"} level
 * @param {string} event
 * @param {Record<string, unknown>} [fields]
 */
export function log(level, event, fields = {}) {
	if (droppedLines > 0 && process.stderr.writableLength === 0) {
		write(lineOf({ level: "warning", event: "log_lost",
			lines: droppedLines }));
		droppedLines = 0;
	}
	write(lineOf({ level, event, ...fields }));
}
