// HTTP for Better Auth: from Node's request to a Request, and from a Response
// back. Better Auth's own adapter (better-call/node) is not used: it builds the
// URL from Host and X-Forwarded-Proto, outside every try, so a client's Host can
// end the process or select another path than the one that nginx checked.
//
// Better Auth is given only the method and path of an open route, the parameters
// and headers that are listed, and a body of bounded length. Scheme and host come
// from the settings.

import { createServer } from "node:http";
import { reasonOf } from "./errors.js";
import { log } from "./log.js";
import { problem, requestId, unavailable } from "./problem.js";
import { openUrl, readTarget } from "./routes.js";

/**
 * @typedef {import("node:http").IncomingMessage} IncomingMessage
 * @typedef {import("node:http").ServerResponse} ServerResponse
 * @typedef {import("./problem.js").Answer} Answer
 */

/**
 * Handles a request, given the id that nginx gave it. May throw.
 * @callback Handler
 * @param {Request} request
 * @param {string | undefined} id
 * @returns {Promise<Response | Answer>}
 */

// As client_max_body_size in nginx/todo-better-auth.conf.
const BODY_BYTES_MAX = 65_536;

// Requests at one time. A request counts until the database has answered, even if
// nginx or the client has closed its connection: nothing else bounds how many
// requests, with their bodies, wait for a slow database.
const REQUESTS_MAX = 500;

// The headers that Better Auth reads. The handler chooses among the cookies.
const HEADERS = ["content-type", "origin", "referer", "sec-fetch-dest",
	"sec-fetch-mode", "sec-fetch-site", "user-agent", "x-forwarded-for",
	"cookie"];

const OPTIONS = {
	// nginx allows four buffers of 8 KiB, and answers longer headers itself.
	maxHeaderSize: 65_536,
	// nginx sends a request once it has all of it. The timeouts are for other
	// programs on the socket that send slowly.
	headersTimeout: 10_000,
	requestTimeout: 30_000,
	connectionsCheckingInterval: 5_000,
	// Longer than nginx keeps an idle connection (keepalive_timeout of the
	// upstream, 60 s): a request that meets a closing connection is a 502.
	keepAliveTimeout: 75_000,
	// Host is not read.
	requireHostHeader: false,
};

class ClientGone extends Error {}

/**
 * The body, or null if it is too large. Throws ClientGone.
 * @param {IncomingMessage} request
 * @returns {Promise<Buffer | null>}
 */
function readBody(request) {
	return new Promise((resolve, reject) => {
		/** @type {Buffer[]} */
		const chunks = [];
		let bytes = 0;
		request.on("data", (chunk) => {
			bytes += chunk.length;
			if (bytes <= BODY_BYTES_MAX) {
				chunks.push(chunk);
			} else {
				// The rest is read and dropped until requestTimeout.
				chunks.length = 0;
				resolve(null);
			}
		});
		request.on("end", () => resolve(Buffer.concat(chunks)));
		request.on("close", () => reject(new ClientGone()));
	});
}

/**
 * @param {URL} url
 * @param {IncomingMessage} request
 * @param {Buffer | undefined} body
 */
function toRequest(url, { method, headers }, body) {
	const passed = new Headers();
	for (const name of HEADERS) {
		const value = headers[name];
		if (value !== undefined)
			passed.set(name, String(value));
	}
	return new Request(url, { method, headers: passed,
		body: body?.length ? body : undefined });
}

/**
 * @param {Response} response
 * @returns {Promise<Answer>}
 */
async function fromResponse(response) {
	/** @type {Answer["headers"]} */
	const headers = Object.fromEntries(response.headers);
	const cookies = response.headers.getSetCookie();
	if (cookies.length)
		headers["set-cookie"] = cookies;
	return { status: response.status, headers,
		body: Buffer.from(await response.arrayBuffer()) };
}

/**
 * @param {IncomingMessage} request
 * @param {string} baseURL
 * @param {Handler} handler
 * @returns {Promise<Answer>}
 */
async function answer(request, baseURL, handler) {
	const { method, headers, url: text = "" } = request;
	const id = requestId(headers);
	const target = readTarget(text);
	if (!target)
		return problem(400, id);
	const url = openUrl(baseURL, method, target);
	if (!url)
		return problem(404, id);
	const body = method === "POST" ? await readBody(request) : undefined;
	if (body === null)
		return problem(413, id);
	const handled = await handler(toRequest(url, request, body), id);
	return handled instanceof Response ? fromResponse(handled) : handled;
}

/**
 * @param {ServerResponse} response
 * @param {Answer} answer
 */
function send(response, { status, headers, body }) {
	response.writeHead(status, { ...headers, "content-length": body.length });
	response.end(body);
}

/**
 * Sends a 500 if there is no answer. Never throws.
 * @param {IncomingMessage} request
 * @param {ServerResponse} response
 * @param {() => Promise<Answer>} work
 */
async function sendAnswer(request, response, work) {
	try {
		send(response, await work());
	} catch (error) {
		if (error instanceof ClientGone)
			return;
		log("error", "request", { reason: reasonOf(error) });
		if (response.headersSent)
			response.destroy();
		else
			send(response, problem(500, requestId(request.headers)));
	}
}

/**
 * Answers on a connection where there is no request, and perhaps no HTTP.
 * @param {import("node:stream").Duplex} socket
 * @param {400 | 408 | 431} status
 */
function refuse(socket, status) {
	socket.on("error", ignore);
	if (!socket.writable) {
		socket.destroy();
		return;
	}
	const { headers, body } = problem(status);
	socket.end(`HTTP/1.1 ${status} -\r\nConnection: close\r\n`
		+ `Content-Type: ${headers["content-type"]}\r\n`
		+ `Content-Length: ${body.length}\r\n\r\n${body}`);
}

/**
 * @param {NodeJS.ErrnoException} error
 */
function statusOf({ code }) {
	return code === "HPE_HEADER_OVERFLOW" ? 431
		: code === "ERR_HTTP_REQUEST_TIMEOUT" ? 408 : 400;
}

function ignore() {}

/**
 * @param {string} baseURL
 * @param {Handler} handler
 */
export function createIssuerServer(baseURL, handler) {
	let running = 0;
	const server = createServer(OPTIONS, async (request, response) => {
		// A client that closes its connection is no error.
		request.on("error", ignore);
		response.on("error", ignore);
		if (running >= REQUESTS_MAX) {
			send(response, unavailable(requestId(request.headers)));
			return;
		}
		running++;
		await sendAnswer(request, response,
			() => answer(request, baseURL, handler));
		running--;
	});
	server.on("clientError", (error, socket) => refuse(socket, statusOf(error)));
	server.on("connect", (_, socket) => refuse(socket, 400));
	// Without a listener for "upgrade", Node answers such a request like any other.
	return server;
}
