// An origin in its normal form: "https://todo.example", "http://[::1]:3000".

import { isIP } from "node:net";
import { readNumber, SettingsError } from "./values.js";

/** @type {Record<string, number>} */
const DEFAULT_PORTS = { https: 443, http: 80 };

// One or more labels with a dot between two.
const NAME = /^[a-z0-9_-]+(\.[a-z0-9_-]+)*$/;
// The URL Standard takes such a name for an IPv4 address.
const NUMBER_LAST = /(^|\.)([0-9]+|0x[^.]*)$/;
// An IPv6 address that holds an IPv4 address. RFC 5952 writes it with dots, the
// URL Standard in hexadecimal, so neither form is the normal one.
const IPV4_INSIDE = /^\[::(ffff:)?[0-9a-f]+:[0-9a-f]+\]$/;

/** @param {string} host */
function isHost(host) {
	if (host.startsWith("["))
		return isIP(host.slice(1, -1)) === 6 && !IPV4_INSIDE.test(host);
	return NUMBER_LAST.test(host) ? isIP(host) === 4 : NAME.test(host);
}

/**
 * The origin, which is the text itself.
 * @param {string} name of the setting
 * @param {string} text
 */
export function readOrigin(name, text) {
	const [, scheme, rest] = /^(https?):\/\/(.*)$/s.exec(text) ?? [];
	if (scheme === undefined || rest === undefined)
		throw new SettingsError(name,
			"does not begin with https:// or http://");
	if (/[/?#\\]/.test(rest))
		throw new SettingsError(name, "has a path, query or fragment: "
			+ "write scheme, host and port alone, without a / at the end");
	if (rest.includes("@"))
		throw new SettingsError(name, "has a user or password: "
			+ "write scheme, host and port alone");

	const [, host, port] = /^(\[[^\]]*\]|[^:]*)(?::(.*))?$/s.exec(rest) ?? [];
	if (host === undefined || !isHost(host)
			|| !URL.canParse(`${scheme}://${host}`)
			|| new URL(`${scheme}://${host}`).host !== host)
		throw new SettingsError(name, "host is not a name of a-z 0-9 - _ and "
			+ "single dots, an IPv4 address, or an IPv6 address in brackets, "
			+ "each in its shortest form");
	if (port === undefined)
		return text;
	if (readNumber(name, port, { part: "port", min: 1, max: 65535 })
			=== DEFAULT_PORTS[scheme])
		throw new SettingsError(name,
			`port ${port} is the default of ${scheme}: leave it out`);
	return text;
}
