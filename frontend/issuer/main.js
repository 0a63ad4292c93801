// The issuer: Better Auth behind nginx, at /api/auth/.
//
// Exit status: 0 after SIGTERM or SIGINT, 78 if a setting is wrong, 1 if the
// database or the address to listen on cannot be had.

import "./signals.js";
import { rmSync, statSync } from "node:fs";
import { createConnection } from "node:net";
import { createAuth, createDatabase, migrate } from "./auth.js";
import { chooseCookies } from "./cookies.js";
import { isOutage, log, reasonOf, requestStore } from "./log.js";
import { problem } from "./problem.js";
import { startPurge } from "./purge.js";
import { createIssuerServer } from "./server.js";
import { readSettings, SettingsError } from "./settings.js";

const EX_CONFIG = 78;
const STOP_MS = 10_000;
const DATABASE_MS = 3_000;

function settingsOrExit() {
	try {
		return readSettings(process.env);
	} catch (error) {
		if (!(error instanceof SettingsError))
			throw error;
		log("error", "settings", { reason: error.message });
		process.exit(EX_CONFIG);
	}
}

// A socket file that nobody answers on is what a killed issuer left behind.
async function removeStaleSocket(path) {
	if (!statSync(path, { throwIfNoEntry: false })?.isSocket())
		return;
	const alive = await new Promise((resolve) => {
		const probe = createConnection(path);
		probe.on("connect", () => { probe.destroy(); resolve(true); });
		probe.on("error", () => resolve(false));
	});
	if (!alive)
		rmSync(path);
}

function listen(server, where) {
	// A socket is made for its owner and group, nginx's: mode 0660.
	process.umask(0o117);
	return new Promise((resolve, reject) => {
		server.once("error", reject);
		server.listen(where, resolve);
	});
}

// Of several cookies of one name, the one that is good.
async function withChosenCookies(auth, request) {
	const header = request.headers.get("cookie");
	if (header === null)
		return;
	const { authCookies, internalAdapter, secret } = await auth.$context;
	const cookie = await chooseCookies(header, {
		session: authCookies.sessionToken.name,
		others: [authCookies.dontRememberToken.name],
		secret,
		async isLive(token) {
			const found = await internalAdapter.findSession(token);
			return found !== null && found.session.expiresAt > new Date();
		},
	});
	if (cookie)
		request.headers.set("cookie", cookie);
	else
		request.headers.delete("cookie");
}

// Better Auth answers "no session" when it could not look, and "signed out"
// when it could not delete, whether the database is away or refuses the
// statement. Say what is true instead: a client would otherwise send its user to
// sign in again.
async function answer(auth, request, id) {
	const store = { outage: false, failed: false, taken: false };
	let response;
	try {
		response = await requestStore.run(store, async () => {
			await withChosenCookies(auth, request);
			return auth.handler(request);
		});
	} catch (error) {
		store.outage ||= isOutage(error);
		log("error", "request", { reason: reasonOf(error) });
		response = null;
	}
	if (store.outage)
		return problem(503, id, { "retry-after": "1" });
	if (response === null || store.failed)
		return problem(500, id);
	// Another request stored the address after Better Auth had looked for it.
	if (store.taken && response.status === 422)
		response = Response.json({
			code: "USER_ALREADY_EXISTS_USE_ANOTHER_EMAIL",
			message: "User already exists. Use another email.",
		}, { status: 422 });
	response.headers.set("cache-control", "no-store");
	return response;
}

// What reaches these belongs to no request: those are answered in a try, so it
// is a timer or a promise of a library's that nobody waits for. To end for it
// would be to end for everybody who is being served, and whoever can bring it
// about once can do so until the service manager gives up. What the issuer must
// not lose is in the database, so it says what happened and goes on.
function carryOn() {
	for (const event of ["uncaughtException", "unhandledRejection"])
		process.on(event, (error) => log("error", event,
			{ reason: reasonOf(error) }));
	process.removeAllListeners("warning");
	process.on("warning", (warning) => log("warning", "node",
		{ reason: warning.message }));
}

async function main() {
	const settings = settingsOrExit();
	// Nothing may hand these on: not a child, not a report of Node's.
	for (const name of ["BETTER_AUTH_SECRET", "BETTER_AUTH_SECRETS",
		"ISSUER_DATABASE"])
		delete process.env[name];

	const pool = createDatabase(settings.database);
	const auth = createAuth(settings, pool);
	await migrate(auth, pool);

	const server = createIssuerServer(settings.baseURL,
		(request, id) => answer(auth, request, id));
	if (settings.listen.path)
		await removeStaleSocket(settings.listen.path);
	await listen(server, settings.listen);
	// A connection that could not be taken, for want of descriptors or memory.
	server.on("error", (error) => log("error", "accept",
		{ reason: reasonOf(error) }));
	carryOn();
	const stopPurge = startPurge(pool);
	log("info", "ready", { listen: settings.listen.path
		?? `${settings.listen.host}:${settings.listen.port}` });

	let stopping = false;
	// A kept connection that is busy now is to end with its request.
	server.prependListener("request", (request, response) => {
		if (stopping)
			response.setHeader("Connection", "close");
	});
	const stop = () => {
		stopping = true;
		// Whoever has not sent a whole request by then is cut off; that the
		// database does not let go is a failure.
		setTimeout(() => server.closeAllConnections(), STOP_MS).unref();
		setTimeout(() => process.exit(1), STOP_MS + DATABASE_MS).unref();
		const purged = stopPurge();
		server.close(async () => {
			await purged;
			await pool.end();
			log("info", "stop");
			process.exit(0);
		});
		server.closeIdleConnections();
	};
	process.once("SIGTERM", stop);
	process.once("SIGINT", stop);
}

main().catch((error) => {
	log("error", "start", { reason: error.code
		? `${error.code}: ${error.message}` : error.message });
	process.exit(1);
});
