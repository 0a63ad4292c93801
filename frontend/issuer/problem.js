// Answers of the issuer itself, as opposed to Better Auth's: errors in the shape
// that todo-fcgi gives them (RFC 9457).

import { STATUS_CODES } from "node:http";

/**
 * A whole answer.
 * @typedef {{ status: number, headers: Record<string, string | string[]>,
 *     body: Buffer }} Answer
 */

const PROBLEMS = {
	400: ["bad_request", "The request is malformed"],
	404: ["not_found", "There is no such route"],
	408: ["request_timeout", "The request did not arrive in time"],
	413: ["content_too_large", "The body is too large"],
	431: ["header_too_large", "The request header is too large"],
	500: ["internal", "Internal error"],
	503: ["unavailable", "The database is not available"],
};

/**
 * The id that nginx gave the request. What else a client sends is not repeated.
 * @param {import("node:http").IncomingHttpHeaders} headers
 */
export function requestId({ "x-request-id": id }) {
	return typeof id === "string" && /^[\w-]{1,64}$/.test(id) ? id : undefined;
}

/**
 * @param {keyof typeof PROBLEMS} status
 * @param {string} [id] of the request
 * @param {Record<string, string>} [headers]
 * @returns {Answer}
 */
export function problem(status, id, headers = {}) {
	const [code, detail] = PROBLEMS[status];
	return {
		status,
		headers: { ...headers, "content-type": "application/problem+json",
			"cache-control": "no-store" },
		body: Buffer.from(JSON.stringify({ type: "about:blank",
			title: STATUS_CODES[status], status, code, detail,
			...(id !== undefined && { request_id: id }) })),
	};
}

/**
 * @param {string} [id] of the request
 */
export function unavailable(id) {
	return problem(503, id, { "retry-after": "1" });
}
