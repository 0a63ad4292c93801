// What the issuer answers: a list of what is open. Better Auth has some thirty
// more endpoints, and what nobody uses here is not there.

import { BASE_PATH } from "./settings.js";

// query: the parameters that Better Auth is told, all others are dropped
const ROUTES = {
	"GET /ok": {},
	"GET /get-session": { query: ["disableCookieCache", "disableRefresh"] },
	"GET /token": {},
	"POST /sign-up/email": {},
	"POST /sign-in/email": {},
	"POST /sign-out": {},
	"POST /update-user": {},
};
const OPEN = new Map(Object.entries(ROUTES).map(([route, { query = [] }]) =>
	[route.replace(" ", ` ${BASE_PATH}`), query]));

// A target in origin-form (RFC 9112, 3.2.1): printable ASCII, and no character
// that URL parsers take for another.
const ORIGIN_FORM = /^\/[!"$-[\]-~]*$/;
// A path that some parser on the way reads as a different one.
const AMBIGUOUS = /\/\/|%2f|%5c|%(?![0-9a-f]{2})|\/(?:\.|%2e){1,2}(?:\/|$)/i;

// The target of a request: null if it is malformed, otherwise { path, search }.
export function readTarget(target) {
	if (!ORIGIN_FORM.test(target))
		return null;
	const at = target.indexOf("?");
	const path = at < 0 ? target : target.slice(0, at);
	if (AMBIGUOUS.test(path))
		return null;
	return { path, search: at < 0 ? "" : target.slice(at + 1) };
}

// The URL that Better Auth is told, or null if the route is not open. Scheme and
// host are those of the settings, whatever the request says.
export function openUrl(baseURL, method, { path, search }) {
	const query = OPEN.get(`${method} ${path}`);
	if (!query)
		return null;
	const url = new URL(path, baseURL);
	if (query.length > 0 && search) {
		const sent = new URLSearchParams(search);
		for (const name of query)
			if (sent.has(name))
				url.searchParams.set(name, sent.get(name));
	}
	return url;
}
