// What Better Auth takes from a body and then fails on: a text that its column
// does not hold, or one that it puts into a header. It is the caller's mistake,
// and is said so before anything is done.

import { APIError, createAuthMiddleware } from "better-auth/api";

// Characters that the column holds; undefined is a member that is not there.
// An image is TEXT, and a body that nginx lets through is shorter.
const STORED = { name: 255, email: 255, newEmail: 255, image: 65_535 };
// Members that end up in Location or in a link.
const URLS = ["callbackURL", "errorCallbackURL", "newUserCallbackURL",
	"redirectTo"];
const URL_LENGTH_MAX = 2048;

function refuse(code, message) {
	throw new APIError("BAD_REQUEST", { code, message });
}

// errorCallbackURL: ERROR_CALLBACK_URL, as in Better Auth's codes
function codeOf(name) {
	return name.replace(/[a-z](?=[A-Z])/g, "$&_").toUpperCase();
}

export const checkBody = createAuthMiddleware(async ({ body }) => {
	for (const [name, max] of Object.entries(STORED)) {
		const value = body?.[name];
		// /update-user takes an image of null for none.
		if (value === undefined || value === null && name === "image")
			continue;
		if (typeof value !== "string")
			refuse(`INVALID_${codeOf(name)}`, `${name} must be a text`);
		const length = [...value].length;
		// At sign-in an address is looked for and not stored, but none that
		// is longer can be found.
		if (length > max)
			refuse(`${codeOf(name)}_TOO_LONG`,
				`${name} has ${length} characters, ${max} are allowed`);
	}
	for (const name of URLS) {
		const value = body?.[name];
		if (value === undefined)
			continue;
		if (typeof value !== "string")
			refuse(`INVALID_${codeOf(name)}`, `${name} must be a text`);
		if (value.length > URL_LENGTH_MAX)
			refuse(`${codeOf(name)}_TOO_LONG`, `${name} has ${value.length} `
				+ `characters, ${URL_LENGTH_MAX} are allowed`);
		if (!/^[!-~]*$/.test(value))
			refuse(`INVALID_${codeOf(name)}`,
				`${name} has a character outside printable ASCII`);
	}
});
