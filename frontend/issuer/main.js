// The issuer: Better Auth behind nginx, at /api/auth/.
//
// Exit status: 0 after SIGTERM or SIGINT; 78 if a setting is wrong; 1 if the
// database or the listening address is not available, or the stop takes too long.

import "./signals.js";
import { rmSync, statSync } from "node:fs";
import { createConnection } from "node:net";
import { createAuth, migrate } from "./auth.js";
import { createDatabase } from "./database.js";
import { reasonOf } from "./errors.js";
import { createHandler } from "./handler.js";
import { log } from "./log.js";
import { startPurge } from "./purge.js";
import { createIssuerServer } from "./server.js";
import { readSettings, SettingsError } from "./settings.js";

/** @typedef {import("node:http").Server} Server */

const EX_CONFIG = 78;
// How long a stop waits for requests, and then for the database.
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

// No child process and no report of Node's shows the secrets.
function scrubEnvironment() {
	for (const name of ["BETTER_AUTH_SECRET", "BETTER_AUTH_SECRETS",
		"ISSUER_DATABASE"])
		delete process.env[name];
}

/**
 * Removes the socket file of an issuer that was killed: nobody answers on it.
 * @param {string} path
 */
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

/**
 * @param {Server} server
 * @param {import("./settings.js").Settings["listen"]} address
 */
async function listen(server, address) {
	if ("path" in address)
		await removeStaleSocket(address.path);
	// The socket file is for its owner and its group, which is nginx's: mode 0660.
	process.umask(0o117);
	await new Promise((resolve, reject) => {
		server.once("error", reject);
		server.listen(address, () => resolve(undefined));
	});
	// Connections that fail for lack of descriptors or memory.
	server.on("error", (error) => log("error", "accept",
		{ reason: reasonOf(error) }));
}

// Logs errors that belong to no request, and goes on: a library's timer, or a
// promise that nobody awaits. Ending would end all requests that run, and a client
// that can cause such an error could do so until systemd gives up restarting.
// Nothing that must not be lost is in memory.
function surviveStrayErrors() {
	for (const event of ["uncaughtException", "unhandledRejection"])
		process.on(event, (error) => log("error", event,
			{ reason: reasonOf(error) }));
	process.removeAllListeners("warning");
	process.on("warning", (warning) => log("warning", "node",
		{ reason: warning.message }));
}

/**
 * @param {Server} server
 * @param {import("mysql2/promise").Pool} pool
 * @param {() => Promise<void>} stopPurge
 */
function stopOnSignals(server, pool, stopPurge) {
	let stopping = false;
	// Ends kept connections with the request that runs on them.
	server.prependListener("request", (_, response) => {
		if (stopping)
			response.setHeader("Connection", "close");
	});
	const stop = () => {
		stopping = true;
		// Clients that are still sending are cut off; a database that still
		// works on a statement makes the stop fail.
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

async function main() {
	const settings = settingsOrExit();
	scrubEnvironment();

	const pool = createDatabase(settings.database);
	const auth = createAuth(settings, pool);
	await migrate(auth, pool);

	const server = createIssuerServer(settings.baseURL, createHandler(auth));
	await listen(server, settings.listen);
	surviveStrayErrors();
	stopOnSignals(server, pool, startPurge(pool));
	log("info", "ready", { listen: "path" in settings.listen
		? settings.listen.path
		: `${settings.listen.host}:${settings.listen.port}` });
}

main().catch((error) => {
	log("error", "start", { reason: error.code
		? `${error.code}: ${error.message}` : error.message });
	process.exit(1);
});
