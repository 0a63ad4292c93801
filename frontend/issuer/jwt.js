// Better Auth's jwt() plugin, made to issue the token that todo-fcgi verifies:
// HS256 under the secret itself, with exactly these claims:
//
//     iss sub aud exp iat jti user_id user_email
//
// This file depends on nothing else here: copy it into any Better Auth server
// and add todoJwt({ … }) to its plugins. GET /api/auth/token answers the token.
//
// The plugin's documentation does not say what this file relies on:
//
// - By itself the plugin signs EdDSA, and ignores an option that names another
//   algorithm. Only `jwt.sign` replaces the signature. It is called only if
//   `jwks.remoteUrl` and `keyPairConfig.alg` are set, which have no other effect.
// - A number as `expirationTime` is a point in time, not a duration. This file
//   sets `exp` itself, because a token must not outlive its session.
// - No claim may be called `email` or `updateTo`: Better Auth signs its links
//   for verifying an address with the same secret, and would accept the token as
//   such a link.

import { createHmac, randomUUID } from "node:crypto";
import { jwt } from "better-auth/plugins";

// todo-fcgi refuses tokens that were issued to live longer, in seconds.
const LIFETIME_MAX = 86400;

/**
 * @param {boolean} condition
 * @param {string} message
 */
function check(condition, message) {
	if (!condition)
		throw new TypeError(`todoJwt: ${message}`);
}

/** @param {unknown} value */
function base64url(value) {
	return Buffer.from(JSON.stringify(value)).toString("base64url");
}

/**
 * @typedef {object} Options
 * @property {string} secret the key: its UTF-8 bytes, neither decoded nor trimmed
 * @property {string | number} [kid] the version of the secret when secrets rotate
 * @property {string} issuer for `iss`
 * @property {string} audience for `aud`
 * @property {number} [lifetime] the longest life of a token, in seconds
 */

/** @param {Options} options */
function checkOptions({ secret, kid, issuer, audience,
		lifetime = LIFETIME_MAX }) {
	check(typeof secret === "string" && Buffer.byteLength(secret) >= 32,
		"secret must be a string of at least 32 bytes");
	check(kid === undefined || typeof kid === "string" && kid !== ""
		|| Number.isSafeInteger(kid), "kid must be a string or an integer");
	check(typeof issuer === "string" && issuer !== "",
		"issuer must be a string that is not empty");
	check(typeof audience === "string" && audience !== "",
		"audience must be a string that is not empty");
	check(Number.isSafeInteger(lifetime) && lifetime >= 1
		&& lifetime <= LIFETIME_MAX,
		`lifetime must be an integer from 1 to ${LIFETIME_MAX} (seconds)`);
}

/**
 * Throws a TypeError if an option is missing or wrong. Otherwise each request for
 * a token would fail, or each token would be refused.
 * @param {Options} options
 */
export function todoJwt(options = /** @type {any} */ ({})) {
	checkOptions(options);
	const { secret, kid, issuer, audience, lifetime = LIFETIME_MAX } = options;

	const header = base64url({ alg: "HS256", typ: "JWT",
		...(kid !== undefined && { kid: String(kid) }) });

	/** @param {Record<string, unknown>} payload */
	const sign = ({ iss, sub, aud, exp, iat, jti, user_id, user_email }) => {
		const signed = header + "." + base64url(
			{ iss, sub, aud, exp, iat, jti, user_id, user_email });
		return signed + "." + createHmac("sha256", secret)
			.update(signed).digest("base64url");
	};

	/**
	 * @param {{ user: { id: string, email: string },
	 *     session: { expiresAt: Date | string | number } }} signedIn
	 */
	const definePayload = ({ user, session }) => {
		const iat = Math.floor(Date.now() / 1000);
		const end = Math.floor(new Date(session.expiresAt).getTime() / 1000);
		return {
			iat,
			exp: Math.min(iat + lifetime, end),
			jti: randomUUID(),
			user_id: user.id,
			user_email: user.email,
		};
	};

	return jwt({
		// Otherwise every answer to /get-session has a new token.
		disableSettingJwtHeader: true,
		jwks: {
			remoteUrl: "https://unused.invalid",
			keyPairConfig: { alg: "EdDSA" },
		},
		jwt: { issuer, audience, definePayload, sign },
	});
}
