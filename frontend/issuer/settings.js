// Settings: the environment, checked once, into a frozen object.
//
// The names and the rules are those of todo-fcgi, so that one file of settings
// serves both: what makes that program refuse to start makes this one refuse,
// with the same exit status.

import { closeSync, openSync, readSync } from "node:fs";

// Below it nginx passes everything to the issuer.
export const BASE_PATH = "/api/auth";

export class SettingsError extends Error {}

const SECRET_BYTES_MIN = 32;
const SECRET_BYTES_MAX = 65_536;
const SECRETS_MAX = 4;
const LIFETIME_MAX = 24 * 60 * 60;

// What Better Auth falls back to when it is given no secret: public knowledge.
const BETTER_AUTH_DEFAULT = "better-auth-secret-12345678901234567890";

function text(env, name) {
	// Node replaces what is no UTF-8 in the environment, and the key would
	// silently be another than the one todo-fcgi verifies with.
	if (env[name]?.includes("\uFFFD"))
		throw new SettingsError(`${name}: not valid UTF-8`);
	// A line `NAME=` in an environment file means "not set".
	return env[name] || undefined;
}

function integer(env, name, min, max, otherwise) {
	const value = text(env, name);
	if (value === undefined)
		return otherwise;
	if (!/^[0-9]{1,9}$/.test(value) || value < min || value > max)
		throw new SettingsError(`${name}: must be an integer from ${min} to ${max}`);
	return Number(value);
}

function origin(value, name) {
	let url;
	try {
		url = new URL(value);
	} catch {
		throw new SettingsError(`${name}: not a URL`);
	}
	if (url.protocol !== "https:" && url.protocol !== "http:")
		throw new SettingsError(`${name}: must begin with https:// or http://`);
	if (url.username || url.password)
		throw new SettingsError(`${name}: must not hold a user or password`);
	return url.origin;
}

function checkSecret(secret, name) {
	if (/^[\s\p{Cc}]|[\s\p{Cc}]$/u.test(secret))
		throw new SettingsError(`${name}: white space or a control character `
			+ "at either end (a file's last line feed counts)");
	if (Buffer.byteLength(secret) < SECRET_BYTES_MIN)
		throw new SettingsError(`${name}: shorter than ${SECRET_BYTES_MIN} bytes`);
	if (Buffer.byteLength(secret) > SECRET_BYTES_MAX)
		throw new SettingsError(`${name}: longer than ${SECRET_BYTES_MAX} bytes`);
	if (secret.includes("\0"))
		throw new SettingsError(`${name}: holds a NUL byte`);
	if (secret === BETTER_AUTH_DEFAULT)
		throw new SettingsError(`${name}: is Better Auth's built-in default`);
}

// Only so much as shows that it is too long: it may be one without end.
function readFile(path) {
	const buffer = Buffer.alloc(SECRET_BYTES_MAX + 1);
	const file = openSync(path);
	try {
		let length = 0, more;
		do {
			more = readSync(file, buffer, length, buffer.length - length, null);
			length += more;
		} while (more > 0 && length < buffer.length);
		return buffer.subarray(0, length);
	} finally {
		closeSync(file);
	}
}

function secretFile(path) {
	let bytes;
	try {
		bytes = readFile(path);
	} catch (error) {
		throw new SettingsError(`BETTER_AUTH_SECRET_FILE: ${error.message}`);
	}
	try {
		// Never trimmed, a byte order mark included.
		return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })
			.decode(bytes);
	} catch {
		throw new SettingsError("BETTER_AUTH_SECRET_FILE: not valid UTF-8");
	}
}

// `2:new,1:old`, read as Better Auth reads it (dist/context/secret-utils.mjs
// in its package), then held to our own rules.
function rotation(value) {
	const name = "BETTER_AUTH_SECRETS";
	const keys = value.split(",").map((entry, index) => {
		const where = `${name}, entry ${index + 1}`;
		const colon = entry.trim().indexOf(":");
		const version = parseInt(entry.trim().slice(0, colon), 10);
		if (colon === -1 || !Number.isInteger(version) || version < 0)
			throw new SettingsError(`${where}: must be <version>:<secret>`);
		if (!Number.isSafeInteger(version))
			throw new SettingsError(`${where}: version too large`);
		const secret = entry.trim().slice(colon + 1).trim();
		checkSecret(secret, where);
		return { version, value: secret };
	});
	if (keys.length > SECRETS_MAX)
		throw new SettingsError(`${name}: more than ${SECRETS_MAX} entries`);
	if (new Set(keys.map((key) => key.version)).size < keys.length)
		throw new SettingsError(`${name}: a version occurs twice`);
	return keys;
}

// The keys in force: { secrets: [{ version, value }, …] } when rotating,
// otherwise { secret }. The first of `secrets` signs.
function keys(env) {
	const secrets = text(env, "BETTER_AUTH_SECRETS");
	if (secrets)
		return { secrets: rotation(secrets) };

	const secret = text(env, "BETTER_AUTH_SECRET");
	const path = text(env, "BETTER_AUTH_SECRET_FILE");
	if (secret && path)
		throw new SettingsError("BETTER_AUTH_SECRET and "
			+ "BETTER_AUTH_SECRET_FILE: set one of them, not both");
	if (!secret && !path)
		throw new SettingsError("BETTER_AUTH_SECRET: not set");
	const value = secret ?? secretFile(path);
	checkSecret(value, secret ? "BETTER_AUTH_SECRET" : "BETTER_AUTH_SECRET_FILE");
	return { secret: value };
}

function database(env) {
	const value = text(env, "ISSUER_DATABASE");
	if (!value)
		throw new SettingsError("ISSUER_DATABASE: not set");
	let url;
	try {
		url = new URL(value);
	} catch {
		throw new SettingsError("ISSUER_DATABASE: not a URL");
	}
	if (url.protocol !== "mysql:" && url.protocol !== "mariadb:")
		throw new SettingsError("ISSUER_DATABASE: must begin with mysql://");
	if (url.pathname.length < 2)
		throw new SettingsError("ISSUER_DATABASE: names no database");
	return value;
}

function listen(env) {
	const path = text(env, "ISSUER_SOCKET");
	const port = integer(env, "ISSUER_PORT", 1, 65535, undefined);
	if (path && port)
		throw new SettingsError("ISSUER_SOCKET and ISSUER_PORT: "
			+ "set one of them, not both");
	if (!path && !port)
		throw new SettingsError("ISSUER_SOCKET: not set, nor is ISSUER_PORT");
	return path ? { path } : { host: "127.0.0.1", port };
}

function rateLimit(env) {
	const value = text(env, "ISSUER_RATE_LIMIT") ?? "on";
	if (value !== "on" && value !== "off")
		throw new SettingsError("ISSUER_RATE_LIMIT: must be on or off");
	return value === "on";
}

export function readSettings(env) {
	const url = text(env, "BETTER_AUTH_URL");
	if (!url)
		throw new SettingsError("BETTER_AUTH_URL: not set");
	const baseURL = origin(url, "BETTER_AUTH_URL");

	return Object.freeze({
		...keys(env),
		baseURL,
		trustedOrigins: (text(env, "TRUSTED_ORIGINS") ?? "").split(",")
			.filter((value) => value.trim())
			.map((value) => origin(value.trim(), "TRUSTED_ORIGINS")),
		issuer: text(env, "JWT_ISSUER") ?? baseURL,
		audience: text(env, "JWT_AUDIENCE") ?? baseURL,
		// todo-fcgi refuses what was issued to live longer than it allows.
		lifetime: Math.min(
			integer(env, "TOKEN_LIFETIME", 1, LIFETIME_MAX, LIFETIME_MAX),
			integer(env, "JWT_MAX_LIFETIME", 60, LIFETIME_MAX, LIFETIME_MAX)),
		database: database(env),
		listen: listen(env),
		rateLimit: rateLimit(env),
	});
}
