// The secrets: the keys under which tokens and cookies are signed. They are used
// byte for byte as they stand.

import { closeSync, openSync, readSync } from "node:fs";
import { getSystemErrorMap } from "node:util";
import { checkText, readNumber, SettingsError } from "./values.js";

/**
 * @typedef {{ version: number, value: string }} VersionedSecret
 * @typedef {[VersionedSecret, ...VersionedSecret[]]} VersionedSecrets
 */

const BYTES_MIN = 32;
const BYTES_MAX = 65_536;
const ENTRIES_MAX = 4;

// What Better Auth uses where it is given no secret: public knowledge.
const BETTER_AUTH_DEFAULT = "better-auth-secret-12345678901234567890";

/**
 * @param {string} name of the setting
 * @param {string} text
 */
export function readSecret(name, text) {
	const bytes = Buffer.byteLength(text);
	if (bytes > BYTES_MAX)
		throw new SettingsError(name, `has more than ${BYTES_MAX} bytes`);
	checkText(name, text);
	if (bytes < BYTES_MIN)
		throw new SettingsError(name,
			`has ${bytes} bytes, at least ${BYTES_MIN} are needed`);
	if (text === BETTER_AUTH_DEFAULT)
		throw new SettingsError(name,
			"is Better Auth's built-in default, which everybody knows");
	return text;
}

/**
 * The secret in a file that holds these bytes.
 * @param {string} name
 * @param {Buffer} bytes
 */
function readContent(name, bytes) {
	if (bytes.length > BYTES_MAX)
		throw new SettingsError(name, `has more than ${BYTES_MAX} bytes`);
	if (bytes.includes(0))
		throw new SettingsError(name, "has a NUL byte");
	if (bytes.at(-1) === 0x0a)
		throw new SettingsError(name, "ends with a line feed, which would be "
			+ "part of the secret: write the file with printf %s");
	return readSecret(name, bytes.toString());
}

/**
 * The first bytes of a file, which may be one without end.
 * @param {string} path
 * @param {number} max
 */
function readBytes(path, max) {
	const bytes = Buffer.alloc(max);
	const file = openSync(path, "r");
	try {
		let length = 0;
		for (let count = 1; count > 0; length += count)
			count = readSync(file, bytes, length, max - length, null);
		return bytes.subarray(0, length);
	} finally {
		closeSync(file);
	}
}

/**
 * The secret in the file at `path`. The path is not part of a refusal: it may be
 * the secret, in the wrong setting.
 * @param {string} name
 * @param {string} path
 */
export function readSecretFile(name, path) {
	if (!path.startsWith("/"))
		throw new SettingsError(name, "is not an absolute path");
	let bytes;
	try {
		bytes = readBytes(path, BYTES_MAX + 1);
	} catch (error) {
		const { errno } = /** @type {NodeJS.ErrnoException} */ (error);
		throw new SettingsError(name, "cannot be read: "
			+ getSystemErrorMap().get(errno ?? 0)?.[1]);
	}
	return readContent(name, bytes);
}

/**
 * `2:new,1:old`. Whatever passes is read alike by Better Auth itself
 * (dist/context/secret-utils.mjs in its package). The first secret signs.
 * @param {string} name
 * @param {string} text
 */
export function readSecrets(name, text) {
	const entries = text.split(",");
	if (entries.length > ENTRIES_MAX)
		throw new SettingsError(name,
			`has ${entries.length} entries, at most ${ENTRIES_MAX} are allowed`);
	/** @type {VersionedSecret[]} */
	const secrets = [];
	for (const [index, entry] of entries.entries()) {
		const where = `${name}, entry ${index + 1}`;
		const colon = entry.indexOf(":");
		if (colon < 0)
			throw new SettingsError(where, "is not <version>:<secret>");
		const version = readNumber(where, entry.slice(0, colon),
			{ part: "version", min: 0, max: Number.MAX_SAFE_INTEGER });
		const same = secrets.findIndex((secret) => secret.version === version);
		if (same >= 0)
			throw new SettingsError(where,
				`has the same version as entry ${same + 1}`);
		secrets.push({ version,
			value: readSecret(where, entry.slice(colon + 1)) });
	}
	return /** @type {VersionedSecrets} */ (secrets);
}
