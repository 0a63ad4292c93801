// Better Auth's jwt() plugin, made to issue the token that todo-fcgi verifies:
// HS256 under the secret itself, with exactly these claims:
//
//     iss sub aud exp iat jti user_id user_email
//
// This file depends on nothing else here: copy it into any Better Auth server
// and add todoJwt({ … }) to its plugins. The token is GET /api/auth/token.
//
// What the plugin's documentation does not say, and this file rests on:
//
// - By itself it signs EdDSA, and an option naming another algorithm is
//   ignored. Only `jwt.sign` replaces the signature, and it is called only if
//   `jwks.remoteUrl` and a `keyPairConfig.alg` are there, both else unused.
// - `expirationTime` as a number is a moment, not a duration. We set `exp`
//   ourselves, because it may not outlive the session.
// - No claim may be called `email` or `updateTo`: Better Auth signs its links
//   for verifying an address with the same secret, and would take our token
//   for such a link.

import { createHmac, randomUUID } from "node:crypto";
import { jwt } from "better-auth/plugins";

// todo-fcgi takes no token that was issued to live longer.
const LIFETIME_MAX = 86400;

function check(right, message) {
	if (!right)
		throw new TypeError(`todoJwt: ${message}`);
}

const base64url = (value) =>
	Buffer.from(JSON.stringify(value)).toString("base64url");

// secret:    the key, used as its UTF-8 bytes: never decoded, never trimmed
// kid:       the secret's version when secrets rotate; otherwise leave it out
// issuer, audience: for `iss` and `aud`
// lifetime:  seconds a token lives at most (86400)
//
// Throws if one of them is missing or wrong. Otherwise each request for a token
// would fail, or each token be refused.
export function todoJwt({ secret, kid, issuer, audience,
		lifetime = LIFETIME_MAX } = {}) {
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

	const header = base64url({ alg: "HS256", typ: "JWT",
		...(kid !== undefined && { kid: String(kid) }) });

	const sign = ({ iss, sub, aud, exp, iat, jti, user_id, user_email }) => {
		const signed = header + "." + base64url(
			{ iss, sub, aud, exp, iat, jti, user_id, user_email });
		return signed + "." + createHmac("sha256", secret)
			.update(signed).digest("base64url");
	};

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
		// Otherwise every answer to /get-session carries a fresh token.
		disableSettingJwtHeader: true,
		jwks: {
			remoteUrl: "https://unused.invalid",
			keyPairConfig: { alg: "EdDSA" },
		},
		jwt: { issuer, audience, definePayload, sign },
	});
}
