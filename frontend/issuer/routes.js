// The routes that are open. Better Auth has some thirty more, which nobody uses
// here: they are 404.

import { BASE_PATH } from "./settings.js";

/**
 * The query parameters that Better Auth is given; all others are dropped.
 * @type {Record<string, string[]>}
 */
const PARAMETERS = {
	"GET /ok": [],
	"GET /get-session": ["disableCookieCache", "disableRefresh"],
	"GET /token": [],
	"POST /sign-up/email": [],
	"POST /sign-in/email": [],
	"POST /sign-out": [],
	"POST /update-user": [],
};
const OPEN = new Map(Object.entries(PARAMETERS).map(([route, parameters]) =>
	[route.replace(" ", ` ${BASE_PATH}`), parameters]));

// A target in origin-form (RFC 9112, 3.2.1): printable ASCII without " # and \,
// which URL parsers drop or replace.
const ORIGIN_FORM = /^\/[!"$-[\]-~]*$/;
// A path that some URL parsers read as a different one: with an empty segment, an
// encoded slash or backslash, a bad percent-encoding or a dot segment.
const AMBIGUOUS = /\/\/|%2f|%5c|%(?![0-9a-f]{2})|\/(?:\.|%2e){1,2}(?:\/|$)/i;

/**
 * @typedef {{ path: string, search: string }} Target
 */

/**
 * The target of a request, or null if it is malformed.
 * @param {string} text
 * @returns {Target | null}
 */
export function readTarget(text) {
	if (!ORIGIN_FORM.test(text))
		return null;
	const at = text.indexOf("?");
	const path = at < 0 ? text : text.slice(0, at);
	if (AMBIGUOUS.test(path))
		return null;
	return { path, search: at < 0 ? "" : text.slice(at + 1) };
}

/**
 * The URL for Better Auth, or null if the route is not open. Scheme and host come
 * from the settings, never from the request.
 * @param {string} baseURL
 * @param {string | undefined} method
 * @param {Target} target
 */
export function openUrl(baseURL, method, { path, search }) {
	const parameters = OPEN.get(`${method} ${path}`);
	if (!parameters)
		return null;
	const url = new URL(path, baseURL);
	const sent = new URLSearchParams(search);
	for (const name of parameters) {
		const value = sent.get(name);
		if (value !== null)
			url.searchParams.set(name, value);
	}
	return url;
}
