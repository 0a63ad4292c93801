// Readers of single values. Nothing is repaired: a value is used as it stands
// or refused. What a SettingsError says never holds a part of the value.

export class SettingsError extends Error {
	/**
	 * @param {string} name of the setting
	 * @param {string} problem
	 */
	constructor(name, problem) {
		super(`${name}: ${problem}`);
	}
}

// The edges that other programs would trim: Unicode's White_Space, U+FEFF and
// the control characters.
const TRIMMED = /^[\s\p{Cc}]|[\s\p{Cc}]$/u;

/**
 * @param {string} name
 * @param {string} text
 */
export function checkText(name, text) {
	// Node puts U+FFFD where the environment or a file is not UTF-8, and the
	// program would hold another key.
	if (text.includes("\uFFFD"))
		throw new SettingsError(name, "is not valid UTF-8, or has U+FFFD in it");
	if (TRIMMED.test(text))
		throw new SettingsError(name, "has white space or a control character "
			+ "at its beginning or end");
}

/**
 * @param {string} text
 * @param {number} min
 * @param {number} max
 */
function isNumber(text, min, max) {
	return /^(0|[1-9][0-9]*)$/.test(text)
		&& Number(text) >= min && Number(text) <= max;
}

/**
 * @param {string} name
 * @param {string} text
 * @param {{ min: number, max: number, of?: string, part?: string }} rule
 *     of: the unit; part: of the value, if the number is not all of it
 */
export function readNumber(name, text, { min, max, of, part }) {
	if (!isNumber(text, min, max))
		throw new SettingsError(name, (part ? `${part} ` : "") + "is not a number "
			+ (of ? `of ${of} ` : "") + `from ${min} to ${max} `
			+ "in plain decimal digits");
	return Number(text);
}
