// Refuses bodies that Better Auth would accept and then fail on: a text that is
// too long for its column, or that cannot be part of a header.

import { APIError, createAuthMiddleware } from "better-auth/api";

// The lengths of the columns, in characters. `image` is TEXT, which holds every
// body that nginx lets through.
const STORED = { name: 255, email: 255, newEmail: 255, image: 65_535 };
// Members that become part of Location or of a link.
const URLS = ["callbackURL", "errorCallbackURL", "newUserCallbackURL",
	"redirectTo"];
const URL_LENGTH_MAX = 2048;

/**
 * @param {string} code
 * @param {string} message
 * @returns {never}
 */
function refuse(code, message) {
	throw new APIError("BAD_REQUEST", { code, message });
}

/**
 * The form that codes of Better Auth have: errorCallbackURL is ERROR_CALLBACK_URL.
 * @param {string} member
 */
function codeOf(member) {
	return member.replace(/[a-z](?=[A-Z])/g, "$&_").toUpperCase();
}

/**
 * @param {string} member
 * @param {unknown} value
 * @param {number} max characters
 */
function checkText(member, value, max) {
	if (typeof value !== "string")
		refuse(`INVALID_${codeOf(member)}`, `${member} must be a text`);
	const { length } = [...value];
	if (length > max)
		refuse(`${codeOf(member)}_TOO_LONG`,
			`${member} has ${length} characters, ${max} are allowed`);
	return value;
}

/** @param {Record<string, unknown> | undefined} body */
function checkMembers(body = {}) {
	for (const [member, max] of Object.entries(STORED)) {
		const value = body[member];
		// /update-user removes the image with null.
		if (value !== undefined && !(value === null && member === "image"))
			checkText(member, value, max);
	}
	for (const member of URLS) {
		const value = body[member];
		if (value !== undefined
				&& !/^[!-~]*$/.test(checkText(member, value, URL_LENGTH_MAX)))
			refuse(`INVALID_${codeOf(member)}`,
				`${member} has a character outside printable ASCII`);
	}
}

export const checkBody = createAuthMiddleware(async ({ body }) => {
	checkMembers(body ?? undefined);
});
