// Database errors that Better Auth hides. While it looks a session up, it logs
// such an error and then answers as if there were no session. Its logger here
// notes the error for the request that is being handled.

import { AsyncLocalStorage } from "node:async_hooks";
import { isOutage, reasonOf, refusalOf } from "./errors.js";
import { log } from "./log.js";

/**
 * outage: the database is away
 * refused: MariaDB refused a statement
 * taken: MariaDB refused a row that exists already
 * @typedef {{ outage: boolean, refused: boolean, taken: boolean }} Faults
 */

/** @type {AsyncLocalStorage<Faults>} */
const current = new AsyncLocalStorage();

/**
 * Runs `work` and notes in `faults` the errors that Better Auth logs meanwhile.
 * @template T
 * @param {Faults} faults
 * @param {() => Promise<T>} work
 */
export function noteFaults(faults, work) {
	return current.run(faults, work);
}

/**
 * Better Auth's logger.
 * @param {"debug" | "info" | "success" | "warn" | "error"} level
 * @param {unknown} message
 * @param {unknown[]} details
 */
export function betterAuthLog(level, message, ...details) {
	const error = [message, ...details].find((d) => d instanceof Error);
	const refusal = refusalOf(error);
	// Two sign-ups with one address at the same time: no error of the issuer.
	const taken = refusal === "ER_DUP_ENTRY";
	const faults = current.getStore();
	if (faults) {
		faults.outage ||= isOutage(error);
		faults.taken ||= taken;
		faults.refused ||= refusal !== undefined && !taken;
	}
	// Better Auth also logs a client's mistakes as errors, such as a wrong Origin.
	const failed = level === "error" && error && !taken;
	log(failed ? "error" : level === "info" ? "info" : "warning", "better_auth", {
		message: message instanceof Error ? reasonOf(message) : message,
		...(error ? { error: reasonOf(error) } : {}),
	});
}
