// todo-fcgi's shape of an error (RFC 9457), for what is not Better Auth's own.

import { STATUS_CODES } from "node:http";

const PROBLEM = {
	400: ["bad_request", "The request is malformed"],
	404: ["not_found", "There is no such route"],
	408: ["request_timeout", "The request did not arrive in time"],
	413: ["content_too_large", "The body is too large"],
	431: ["header_too_large", "The request header is too large"],
	500: ["internal", "Internal error"],
	503: ["unavailable", "The database is not available"],
};

// Whatever a client sends as an id is not repeated unless it looks like one.
export function requestId(headers) {
	const id = headers["x-request-id"];
	return /^[\w-]{1,64}$/.test(id ?? "") ? id : undefined;
}

// A whole answer: { status, headers, body }.
export function problem(status, id, headers = {}) {
	const [code, detail] = PROBLEM[status];
	return {
		status,
		headers: { ...headers, "content-type": "application/problem+json",
			"cache-control": "no-store" },
		body: Buffer.from(JSON.stringify({ type: "about:blank",
			title: STATUS_CODES[status], status, code, detail,
			...(id && { request_id: id }) })),
	};
}
