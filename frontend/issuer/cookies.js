// The cookies that Better Auth is told. A browser may send several of one name,
// of other paths or domains, in an order that nobody chose, and Better Auth
// reads the first: one that has ended would hide the one that is good.

import { createHmac, timingSafeEqual } from "node:crypto";

// More of one name are no browser's doing. Each can cost a query.
const SAME_NAME_MAX = 4;

function decode(value) {
	try {
		return decodeURIComponent(value);
	} catch {
		return value;
	}
}

// What was signed, or null. (better-call/dist/crypto.mjs makes the signature.)
function signed(value, secret) {
	const text = decode(value);
	const at = text.lastIndexOf(".");
	const signature = Buffer.from(text.slice(at + 1));
	const right = Buffer.from(createHmac("sha256", secret)
		.update(text.slice(0, Math.max(at, 0))).digest("base64"));
	return at > 0 && signature.length === right.length
		&& timingSafeEqual(signature, right) ? text.slice(0, at) : null;
}

// The different values of each name, in the order of the header.
function valuesOf(header, names) {
	const values = new Map(names.map((name) => [name, new Set()]));
	for (const pair of header.split(";")) {
		const at = pair.indexOf("=");
		const found = values.get(pair.slice(0, Math.max(at, 0)).trim());
		if (found && found.size < SAME_NAME_MAX)
			found.add(pair.slice(at + 1).trim());
	}
	return values;
}

// The header Cookie with at most one cookie of each name: of those that are
// signed with our secret, the one whose session isLive(token) (a promise), or
// else the first.
export async function chooseCookies(header, { session, others, secret,
		isLive }) {
	const chosen = [];
	for (const [name, values] of valuesOf(header, [session, ...others])) {
		const ours = [...values].map((value) =>
			({ value, token: signed(value, secret) }))
			.filter(({ token }) => token !== null);
		let [first] = ours;
		// Usually there is one, and Better Auth looks it up itself.
		if (name === session && ours.length > 1)
			for (const one of ours)
				if (await isLive(one.token)) {
					first = one;
					break;
				}
		if (first)
			chosen.push(`${name}=${first.value}`);
	}
	return chosen.join("; ");
}
