// HTTP for Better Auth: from Node's request to a Request and from a Response
// back. Better Auth's own adapter (better-call/node) is not used: it builds the
// URL from Host and X-Forwarded-Proto, where a client's Host can throw outside
// every try, or make it another path than the one nginx checked.
//
// Of a request Better Auth is told: method and path, if the route is open; a
// query and headers that are named here; a body of bounded length. Scheme and
// host come from the settings.

import { createServer } from "node:http";
import { log, reasonOf } from "./log.js";
import { problem, requestId } from "./problem.js";
import { openUrl, readTarget } from "./routes.js";

// As client_max_body_size in nginx/todo-better-auth.conf.
const BODY_BYTES_MAX = 65_536;

// Requests in hand at one time. One counts until the database has answered, also
// if nginx or the client has given it up: while statements wait, nothing else
// bounds how many requests, with their bodies, wait for them.
const REQUESTS_MAX = 500;

// Each is read by Better Auth. `cookie` is chosen by the handler.
const HEADERS = ["content-type", "origin", "referer", "sec-fetch-dest",
	"sec-fetch-mode", "sec-fetch-site", "user-agent", "x-forwarded-for",
	"cookie"];

const OPTIONS = {
	// nginx lets 4 buffers of 8 KiB through, and is the one to say "too large".
	maxHeaderSize: 65_536,
	// nginx sends a request once it has all of it. Whoever else is at the
	// socket does not keep a connection by sending slowly.
	headersTimeout: 10_000,
	requestTimeout: 30_000,
	connectionsCheckingInterval: 5_000,
	// nginx closes an idle connection after 60 s (keepalive_timeout of the
	// upstream). The issuer must keep it longer: a request that meets a
	// connection which is being closed is a 502.
	keepAliveTimeout: 75_000,
	// Host has no influence here.
	requireHostHeader: false,
};

class Gone extends Error {}

// Resolves to the body, or to null if it is too large; rejects with Gone when
// the client goes away.
function readBody(request) {
	return new Promise((resolve, reject) => {
		const chunks = [];
		let bytes = 0;
		request.on("data", (chunk) => {
			bytes += chunk.length;
			if (bytes <= BODY_BYTES_MAX) {
				chunks.push(chunk);
			} else {
				// What follows is read and dropped until requestTimeout.
				chunks.length = 0;
				resolve(null);
			}
		});
		request.on("end", () => resolve(Buffer.concat(chunks)));
		request.on("close", () => reject(new Gone()));
	});
}

function toRequest(url, { method, headers }, body) {
	const told = new Headers();
	for (const name of HEADERS)
		if (headers[name] !== undefined)
			told.set(name, headers[name]);
	return new Request(url, { method, headers: told,
		body: body?.length ? body : undefined });
}

async function fromResponse(response) {
	const headers = Object.fromEntries(response.headers);
	const cookies = response.headers.getSetCookie();
	if (cookies.length)
		headers["set-cookie"] = cookies;
	return { status: response.status, headers,
		body: Buffer.from(await response.arrayBuffer()) };
}

// The whole answer to a request.
async function answer(request, baseURL, handler) {
	const { method, headers } = request;
	const id = requestId(headers);
	const target = readTarget(request.url);
	if (!target)
		return problem(400, id);
	const url = openUrl(baseURL, method, target);
	if (!url)
		return problem(404, id);
	const body = method === "POST" ? await readBody(request) : undefined;
	if (body === null)
		return problem(413, id);
	const answer = await handler(toRequest(url, request, body), id);
	return answer instanceof Response ? fromResponse(answer) : answer;
}

function send(response, { status, headers, body }) {
	response.writeHead(status, { ...headers, "content-length": body.length });
	response.end(body);
}

function ignore() {}

// handler(request, id): a Request to a Response, or to a problem(). It may
// throw.
export function createIssuerServer(baseURL, handler) {
	let inHand = 0;
	const server = createServer(OPTIONS, async (request, response) => {
		// Whoever goes away is not there to be told.
		request.on("error", ignore);
		response.on("error", ignore);
		if (inHand >= REQUESTS_MAX) {
			send(response, problem(503, requestId(request.headers),
				{ "retry-after": "1" }));
			return;
		}
		inHand++;
		try {
			send(response, await answer(request, baseURL, handler));
		} catch (error) {
			if (error instanceof Gone)
				return;
			log("error", "request", { reason: reasonOf(error) });
			if (response.headersSent)
				response.destroy();
			else
				send(response, problem(500, requestId(request.headers)));
		} finally {
			inHand--;
		}
	});

	// There is no request yet, and perhaps no HTTP.
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
	server.on("clientError", ({ code }, socket) => refuse(socket,
		code === "HPE_HEADER_OVERFLOW" ? 431
		: code === "ERR_HTTP_REQUEST_TIMEOUT" ? 408 : 400));
	server.on("connect", (request, socket) => refuse(socket, 400));
	// There is no listener for "upgrade": without one Node answers such a
	// request like any other.
	return server;
}
