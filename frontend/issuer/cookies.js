// The cookies that Better Auth is given. A browser may send several of one name,
// set for different paths or domains, in any order. Better Auth reads the first,
// so a cookie of an ended session would hide the one of a live session.

import { createHmac, timingSafeEqual } from "node:crypto";

// Values of one name that are looked at: each can cost a query.
const VALUES_MAX = 4;

/** @param {string} text */
function percentDecoded(text) {
	try {
		return decodeURIComponent(text);
	} catch {
		return text;
	}
}

/**
 * The token in a signed cookie, or null if the signature is not ours.
 * (better-call/dist/crypto.mjs makes it: token.signature, percent-encoded.)
 * @param {string} value
 * @param {string} secret
 */
function tokenIn(value, secret) {
	const text = percentDecoded(value);
	const at = text.lastIndexOf(".");
	if (at < 1)
		return null;
	const token = text.slice(0, at);
	const signature = Buffer.from(text.slice(at + 1));
	const expected = Buffer.from(
		createHmac("sha256", secret).update(token).digest("base64"));
	return signature.length === expected.length
		&& timingSafeEqual(signature, expected) ? token : null;
}

/**
 * The different values of the cookie `name`, in the order of the header.
 * @param {string} header
 * @param {string} name
 */
function valuesOf(header, name) {
	const values = new Set();
	for (const pair of header.split(";")) {
		const at = pair.indexOf("=");
		if (at > 0 && pair.slice(0, at).trim() === name
				&& values.size < VALUES_MAX)
			values.add(pair.slice(at + 1).trim());
	}
	return /** @type {string[]} */ ([...values]);
}

/**
 * The header Cookie with at most one cookie of each name: the first that is
 * signed with our secret. Of several session cookies, the first for whose token
 * `isLive` is true goes before.
 * @param {string} header
 * @param {{ session: string, others: string[], secret: string,
 *     isLive(token: string): Promise<boolean> }} options
 */
export async function chooseCookies(header, { session, others, secret,
		isLive }) {
	const chosen = [];
	for (const name of [session, ...others]) {
		const signed = valuesOf(header, name).flatMap((value) => {
			const token = tokenIn(value, secret);
			return token === null ? [] : [{ value, token }];
		});
		let [best] = signed;
		// Better Auth itself looks up a single one.
		if (name === session && signed.length > 1)
			for (const cookie of signed)
				if (await isLive(cookie.token)) {
					best = cookie;
					break;
				}
		if (best)
			chosen.push(`${name}=${best.value}`);
	}
	return chosen.join("; ");
}
