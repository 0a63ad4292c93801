// The settings: the environment, read once, into a frozen object.
//
// The program todo-fcgi reads the same file of settings. Both refuse the same
// values in the same words, with exit status 78 (see t/program/settings.t):
//
//     every value         valid UTF-8 without U+FFFD; no white space or control
//                         character at either end; an empty one is not set
//     numbers             decimal digits without sign or leading zero
//     BETTER_AUTH_URL     a URL with a host in normal form: origin.js
//     a secret            32 to 65536 bytes, not Better Auth's default:
//                         secrets.js
//     ..._SECRET_FILE     an absolute path; the file holds the secret alone,
//                         without NUL or a line feed at its end
//     ..._SECRETS         at most 4 of version:secret, with a comma between two;
//                         versions are numbers, each different
//
// Only the issuer, which parses URLs, refuses a host name with a label xn--…
// that is not Punycode.

import { readOrigin } from "./origin.js";
import { readSecret, readSecretFile, readSecrets } from "./secrets.js";
import { checkText, readNumber, SettingsError } from "./values.js";

export { SettingsError };

/**
 * @typedef {Record<string, string | undefined>} Environment
 * @typedef {ReturnType<typeof readSettings>} Settings
 */

// The path below which nginx passes everything to the issuer.
export const BASE_PATH = "/api/auth";

const DAY = 24 * 60 * 60;

/**
 * @param {Environment} env
 * @param {string} name
 */
function lookup(env, name) {
	// A line `NAME=` in a file of settings means "not set".
	const text = env[name] || undefined;
	if (text !== undefined)
		checkText(name, text);
	return text;
}

/**
 * Seconds, at most a day, which is also what a setting that is not set means.
 * @param {Environment} env
 * @param {string} name
 * @param {number} min
 */
function lifetime(env, name, min) {
	const text = lookup(env, name);
	return text === undefined ? DAY
		: readNumber(name, text, { of: "seconds", min, max: DAY });
}

/**
 * @param {Environment} env
 * @returns {{ secrets: import("./secrets.js").VersionedSecrets,
 *     secret?: undefined } | { secret: string, secrets?: undefined }}
 */
function secrets(env) {
	const rotating = lookup(env, "BETTER_AUTH_SECRETS");
	if (rotating !== undefined)
		return { secrets: readSecrets("BETTER_AUTH_SECRETS", rotating) };

	const secret = lookup(env, "BETTER_AUTH_SECRET");
	const path = lookup(env, "BETTER_AUTH_SECRET_FILE");
	if (secret !== undefined && path !== undefined)
		throw new SettingsError("BETTER_AUTH_SECRET",
			"BETTER_AUTH_SECRET_FILE is set too: set only one of them");
	if (secret !== undefined)
		return { secret: readSecret("BETTER_AUTH_SECRET", secret) };
	if (path !== undefined)
		return { secret: readSecretFile("BETTER_AUTH_SECRET_FILE", path) };
	throw new SettingsError("BETTER_AUTH_SECRET", "not set, nor is "
		+ "BETTER_AUTH_SECRET_FILE or BETTER_AUTH_SECRETS");
}

/** @param {Environment} env */
function baseURL(env) {
	const text = lookup(env, "BETTER_AUTH_URL");
	if (text === undefined)
		throw new SettingsError("BETTER_AUTH_URL", "not set");
	return readOrigin("BETTER_AUTH_URL", text);
}

/** @param {Environment} env */
function trustedOrigins(env) {
	const text = lookup(env, "TRUSTED_ORIGINS");
	return text === undefined ? [] : text.split(",").map((entry, index) => {
		const name = `TRUSTED_ORIGINS, entry ${index + 1}`;
		checkText(name, entry);
		return readOrigin(name, entry);
	});
}

/** @param {Environment} env */
function database(env) {
	const name = "ISSUER_DATABASE";
	const text = lookup(env, name);
	if (text === undefined)
		throw new SettingsError(name, "not set");
	if (!/^(mysql|mariadb):\/\//.test(text))
		throw new SettingsError(name,
			"does not begin with mysql:// or mariadb://");
	if (!URL.canParse(text) || new URL(text).href !== text)
		throw new SettingsError(name, "is not a URL in normal form: "
			+ "percent-encode special characters");
	if (new URL(text).pathname.length < 2)
		throw new SettingsError(name, "names no database");
	return text;
}

/**
 * @param {Environment} env
 * @returns {{ path: string } | { host: string, port: number }}
 */
function listen(env) {
	const path = lookup(env, "ISSUER_SOCKET");
	const port = lookup(env, "ISSUER_PORT");
	if (path !== undefined && port !== undefined)
		throw new SettingsError("ISSUER_SOCKET",
			"ISSUER_PORT is set too: set only one of them");
	if (port !== undefined)
		return { host: "127.0.0.1",
			port: readNumber("ISSUER_PORT", port, { min: 1, max: 65535 }) };
	if (path === undefined)
		throw new SettingsError("ISSUER_SOCKET",
			"not set, nor is ISSUER_PORT");
	if (!path.startsWith("/"))
		throw new SettingsError("ISSUER_SOCKET", "is not an absolute path");
	return { path };
}

/** @param {Environment} env */
function rateLimit(env) {
	const text = lookup(env, "ISSUER_RATE_LIMIT") ?? "on";
	if (text !== "on" && text !== "off")
		throw new SettingsError("ISSUER_RATE_LIMIT", "is neither on nor off");
	return text === "on";
}

/** @param {Environment} env */
export function readSettings(env) {
	const url = baseURL(env);
	return Object.freeze({
		...secrets(env),
		baseURL: url,
		trustedOrigins: trustedOrigins(env),
		issuer: lookup(env, "JWT_ISSUER") ?? url,
		audience: lookup(env, "JWT_AUDIENCE") ?? url,
		// The program refuses a token that was issued to live longer than
		// JWT_MAX_LIFETIME.
		lifetime: Math.min(lifetime(env, "TOKEN_LIFETIME", 1),
			lifetime(env, "JWT_MAX_LIFETIME", 60)),
		database: database(env),
		listen: listen(env),
		rateLimit: rateLimit(env),
	});
}
