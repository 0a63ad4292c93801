#include "base/json_check.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/buffer.h"
#include "base/text.h"
#include "base/utf8.h"

/*
 * json-c takes many pairs of surrogates for lone surrogates (each pair whose
 * code point ends in D800 to DFFF).  So json-c gets a copy of the text in which
 * each escaped pair is replaced by the character itself.  The copy is begun at
 * the first pair: most texts have none.
 */
struct checker {
	struct slice rest;
	struct json_census census;
	struct buffer copy;
	const char *copied_to; /* the text before this is in the copy */
};

static bool check_value(struct checker *checker, unsigned depth);

/* Return the next byte, or -1 at the end. */
static int
peek(const struct checker *checker)
{
	return checker->rest.length > 0 ? (unsigned char)checker->rest.data[0]
					: -1;
}

/* Skip *byte*.  Returns false if another byte, or none, is next. */
static bool
skip_byte(struct checker *checker, char byte)
{
	if (peek(checker) != byte)
		return false;
	(void)slice_take(&checker->rest, 1);
	return true;
}

static void
skip_space(struct checker *checker)
{
	for (;;) {
		switch (peek(checker)) {
		case ' ':
		case '\t':
		case '\n':
		case '\r':
			(void)slice_take(&checker->rest, 1);
			break;
		default:
			return;
		}
	}
}

/* Skip decimal digits.  Returns false if there is none. */
static bool
skip_digits(struct checker *checker)
{
	size_t count = 0;

	for (; peek(checker) >= '0' && peek(checker) <= '9'; count++)
		(void)slice_take(&checker->rest, 1);
	return count > 0;
}

static bool
check_number(struct checker *checker)
{
	(void)skip_byte(checker, '-');
	if (!skip_byte(checker, '0') && !skip_digits(checker))
		return false;
	if (skip_byte(checker, '.') && !skip_digits(checker))
		return false;
	if (skip_byte(checker, 'e') || skip_byte(checker, 'E')) {
		if (!skip_byte(checker, '+'))
			(void)skip_byte(checker, '-');
		return skip_digits(checker);
	}
	return true;
}

/* Read the four hexadecimal digits of a UTF-16 code unit. */
static bool
read_unit(struct checker *checker, unsigned *unit)
{
	*unit = 0;
	for (int i = 0; i < 4; i++) {
		int value = text_hex_value((char)peek(checker));

		if (value < 0)
			return false;
		*unit = *unit << 4 | (unsigned)value;
		(void)slice_take(&checker->rest, 1);
	}
	return true;
}

/* Append the text before *end* to the copy. */
static void
copy_until(struct checker *checker, const char *end)
{
	size_t length = (size_t)(end - checker->copied_to);

	buffer_add(
	    &checker->copy, (struct slice) { checker->copied_to, length });
	checker->copied_to = end;
}

/*
 * Append *point*, which is above U+FFFF, to the copy, in place of the two
 * escapes that begin at *escapes* and end before the rest of the text.
 */
static void
copy_pair(struct checker *checker, const char *escapes, uint32_t point)
{
	const char bytes[] = {
		(char)(0xF0 | point >> 18),
		(char)(0x80 | (point >> 12 & 0x3F)),
		(char)(0x80 | (point >> 6 & 0x3F)),
		(char)(0x80 | (point & 0x3F)),
	};

	copy_until(checker, escapes);
	buffer_add(&checker->copy, (struct slice) { bytes, sizeof(bytes) });
	checker->copied_to = checker->rest.data;
}

/* Check an escape, whose backslash is next. */
static bool
check_escape(struct checker *checker)
{
	const char *start = checker->rest.data;
	unsigned high, low;
	int c;

	(void)slice_take(&checker->rest, 1);
	c = peek(checker);
	if (c <= 0 || strchr("\"\\/bfnrtu", c) == NULL)
		return false;
	(void)slice_take(&checker->rest, 1);
	if (c != 'u') {
		checker->census.bytes++;
		return true;
	}
	if (!read_unit(checker, &high) || high == 0)
		return false;
	if (high < 0xD800 || high > 0xDFFF) {
		checker->census.bytes += high < 0x80 ? 1 : high < 0x800 ? 2 : 3;
		return true;
	}

	/* A surrogate must be the high one of a pair. */
	if (high > 0xDBFF || !slice_take_prefix(&checker->rest, SLICE("\\u")) ||
	    !read_unit(checker, &low) || low < 0xDC00 || low > 0xDFFF)
		return false;
	checker->census.bytes += 4;
	copy_pair(
	    checker, start, 0x10000 + ((high & 0x3FF) << 10 | (low & 0x3FF)));
	return true;
}

static bool
check_string(struct checker *checker)
{
	if (!skip_byte(checker, '"'))
		return false;
	for (;;) {
		size_t before = checker->rest.length;
		uint32_t point;

		if (skip_byte(checker, '"'))
			return true;
		if (peek(checker) == '\\') {
			if (!check_escape(checker))
				return false;
			continue;
		}
		if (!utf8_next(&checker->rest, &point) || point < 0x20)
			return false;
		checker->census.bytes += before - checker->rest.length;
	}
}

/* Check an array, whose bracket is next. */
static bool
check_array(struct checker *checker, unsigned depth)
{
	if (depth > JSON_DEPTH_MAX)
		return false;
	(void)slice_take(&checker->rest, 1);
	skip_space(checker);
	if (skip_byte(checker, ']'))
		return true;
	do {
		if (!check_value(checker, depth))
			return false;
	} while (skip_byte(checker, ','));
	return skip_byte(checker, ']');
}

/* Check an object, whose brace is next. */
static bool
check_object(struct checker *checker, unsigned depth)
{
	if (depth > JSON_DEPTH_MAX)
		return false;
	(void)slice_take(&checker->rest, 1);
	skip_space(checker);
	if (skip_byte(checker, '}'))
		return true;
	do {
		skip_space(checker);
		if (!check_string(checker))
			return false;
		skip_space(checker);
		if (!skip_byte(checker, ':') || !check_value(checker, depth))
			return false;
		checker->census.members++;
	} while (skip_byte(checker, ','));
	return skip_byte(checker, '}');
}

/* Check a value inside *depth* others, and the white space around it. */
static bool
check_value(struct checker *checker, unsigned depth)
{
	bool good;

	skip_space(checker);
	switch (peek(checker)) {
	case '{':
		good = check_object(checker, depth + 1);
		break;
	case '[':
		good = check_array(checker, depth + 1);
		break;
	case '"':
		good = check_string(checker);
		break;
	case 't':
		good = slice_take_prefix(&checker->rest, SLICE("true"));
		break;
	case 'f':
		good = slice_take_prefix(&checker->rest, SLICE("false"));
		break;
	case 'n':
		good = slice_take_prefix(&checker->rest, SLICE("null"));
		break;
	default:
		good = check_number(checker);
		break;
	}
	skip_space(checker);
	return good;
}

enum status
json_check(struct arena *arena, struct slice text, struct json_checked *checked)
{
	struct checker checker = {
		.rest = text,
		.copy = buffer_in(arena),
		.copied_to = text.data,
	};

	if (!check_value(&checker, 0) || checker.rest.length > 0)
		return STATUS_INVALID;
	if (checker.copied_to != text.data) {
		copy_until(&checker, text.data + text.length);
		text = buffer_slice(&checker.copy);
	}
	if (checker.copy.failed)
		return STATUS_INTERNAL;
	*checked = (struct json_checked) { text, checker.census };
	return STATUS_OK;
}
