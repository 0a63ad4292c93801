// The origin of a URL: "https://todo.example", "http://[::1]:3000".

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
 * The origin of a URL: scheme and host in lower case, and the port unless it is
 * the default of the scheme. The path is ignored.
 * @param {string} name of the setting
 * @param {string} text
 */
export function readOrigin(name, text) {
	// toLowerCase() of the whole text would also turn U+212A into a k.
	const lower = text.replace(/[A-Z]/g, (letter) => letter.toLowerCase());
	const [, scheme, authority] = /^(https?):\/\/([^/]*)/.exec(lower) ?? [];
	if (scheme === undefined || authority === undefined)
		throw new SettingsError(name,
			"does not begin with https:// or http://");
	if (authority.includes("@"))
		throw new SettingsError(name, "has a user or password: "
			+ "write scheme, host and port alone");

	const [, host, port] = /^(\[[^\]]*\]|[^:]*)(?::(.*))?$/s.exec(authority) ?? [];
	if (host === undefined || !isHost(host)
			|| !URL.canParse(`${scheme}://${host}`)
			|| new URL(`${scheme}://${host}`).host !== host)
		throw new SettingsError(name, "host is not a name of A-Z a-z 0-9 - _ and "
			+ "single dots, an IPv4 address, or an IPv6 address in brackets, "
			+ "each in its shortest form");
	if (port === undefined
			|| readNumber(name, port, { part: "port", min: 1, max: 65535 })
				=== DEFAULT_PORTS[scheme])
		return `${scheme}://${host}`;
	return `${scheme}://${host}:${port}`;
}
