// From a request to Better Auth's response, or to a problem where Better Auth
// hides that the database failed.

import { chooseCookies } from "./cookies.js";
import { isOutage, reasonOf } from "./errors.js";
import { noteFaults } from "./faults.js";
import { log } from "./log.js";
import { problem, unavailable } from "./problem.js";

/** @typedef {ReturnType<typeof import("./auth.js").createAuth>} Auth */

/**
 * Leaves the request one cookie of each name.
 * @param {Auth} auth
 * @param {Request} request
 */
async function setChosenCookies(auth, request) {
	const header = request.headers.get("cookie");
	if (header === null)
		return;
	const { authCookies, internalAdapter, secret } = await auth.$context;
	const chosen = await chooseCookies(header, {
		session: authCookies.sessionToken.name,
		others: [authCookies.dontRememberToken.name],
		secret,
		async isLive(token) {
			const found = await internalAdapter.findSession(token);
			return found !== null && found.session.expiresAt > new Date();
		},
	});
	if (chosen)
		request.headers.set("cookie", chosen);
	else
		request.headers.delete("cookie");
}

/**
 * Better Auth's response, and the faults on the way to it. No response: it threw.
 * @param {Auth} auth
 * @param {Request} request
 */
async function respond(auth, request) {
	const faults = { outage: false, refused: false, taken: false };
	let response = null;
	try {
		response = await noteFaults(faults, async () => {
			await setChosenCookies(auth, request);
			return auth.handler(request);
		});
	} catch (error) {
		faults.outage ||= isOutage(error);
		log("error", "request", { reason: reasonOf(error) });
	}
	return { response, faults };
}

/**
 * The handler for createIssuerServer(). When the database fails, Better Auth
 * answers "no session" if it was looking for one, and "signed out" if it was
 * deleting one. The client would believe it, and ask its user to sign in again.
 * @param {Auth} auth
 * @returns {import("./server.js").Handler}
 */
export function createHandler(auth) {
	return async (request, id) => {
		const { response, faults } = await respond(auth, request);
		if (faults.outage)
			return unavailable(id);
		if (response === null || faults.refused)
			return problem(500, id);
		const headers = { "cache-control": "no-store" };
		// Another request stored the address after Better Auth had looked for it.
		if (faults.taken && response.status === 422)
			return Response.json({
				code: "USER_ALREADY_EXISTS_USE_ANOTHER_EMAIL",
				message: "User already exists. Use another email.",
			}, { status: 422, headers });
		response.headers.set("cache-control", headers["cache-control"]);
		return response;
	};
}
