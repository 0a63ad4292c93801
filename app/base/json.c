#include "base/json.h"

#include <limits.h>

#include <json-c/json_object.h>
#include <json-c/json_tokener.h>
#include <json-c/linkhash.h>

#include "base/text.h"
#include "base/utf8.h"

/*
 * What a JSON text holds.  The check counts it in the text, and it is counted
 * again in the tree that json-c makes of it.
 */
struct census {
	size_t members; /* of all objects */
	size_t bytes;	/* of all strings and names, unescaped */
};

/* ------------------------------------------------- the check of the text */

/*
 * json-c takes many a pair of surrogates for a lone one (all whose code point
 * ends in D800 to DFFF), so it gets a copy of the text in which pairs are the
 * character they stand for.  The copy is begun at the first pair.
 */
struct check {
	struct slice rest;
	struct census census;
	struct buffer copy;
	const char *copied; /* the text before this is in the copy */
};

static bool check_value(struct check *check, unsigned depth);

/* The next byte, or -1 at the end. */
static int
peek(const struct check *check)
{
	return check->rest.length > 0 ? (unsigned char)check->rest.data[0] : -1;
}

static void
skip(struct check *check, size_t length)
{
	check->rest.data += length;
	check->rest.length -= length;
}

static bool
take(struct check *check, char byte)
{
	if (peek(check) != byte)
		return false;
	skip(check, 1);
	return true;
}

static bool
take_literal(struct check *check, struct slice literal)
{
	struct slice head = { check->rest.data, literal.length };

	if (check->rest.length < literal.length || !slice_equal(head, literal))
		return false;
	skip(check, literal.length);
	return true;
}

static void
take_space(struct check *check)
{
	for (;;) {
		switch (peek(check)) {
		case ' ':
		case '\t':
		case '\n':
		case '\r':
			skip(check, 1);
			break;
		default:
			return;
		}
	}
}

/* Take one or more digits. */
static bool
take_digits(struct check *check)
{
	size_t count = 0;

	for (; peek(check) >= '0' && peek(check) <= '9'; count++)
		skip(check, 1);
	return count > 0;
}

static bool
check_number(struct check *check)
{
	(void)take(check, '-');
	if (!take(check, '0') && !take_digits(check))
		return false;
	if (take(check, '.') && !take_digits(check))
		return false;
	if (take(check, 'e') || take(check, 'E')) {
		if (!take(check, '+'))
			(void)take(check, '-');
		return take_digits(check);
	}
	return true;
}

/* Take four hexadecimal digits, in either case. */
static bool
take_unit(struct check *check, unsigned *unit)
{
	*unit = 0;
	for (int i = 0; i < 4; i++) {
		int value = text_hex_value((char)peek(check));

		if (value < 0)
			return false;
		*unit = *unit << 4 | (unsigned)value;
		skip(check, 1);
	}
	return true;
}

/* Put the text before *end* into the copy. */
static void
copy_until(struct check *check, const char *end)
{
	size_t length = (size_t)(end - check->copied);

	buffer_add(&check->copy, (struct slice) { check->copied, length });
	check->copied = end;
}

/* Put *point*, past U+FFFF, into the copy for the escapes just taken. */
static void
copy_pair(struct check *check, const char *escapes, uint32_t point)
{
	const char bytes[] = {
		(char)(0xF0 | point >> 18),
		(char)(0x80 | (point >> 12 & 0x3F)),
		(char)(0x80 | (point >> 6 & 0x3F)),
		(char)(0x80 | (point & 0x3F)),
	};

	copy_until(check, escapes);
	buffer_add(&check->copy, (struct slice) { bytes, sizeof(bytes) });
	check->copied = check->rest.data;
}

/* An escape, from its backslash on. */
static bool
check_escape(struct check *check)
{
	const char *start = check->rest.data;
	unsigned high, low;
	int c;

	skip(check, 1);
	c = peek(check);
	if (c <= 0 || strchr("\"\\/bfnrtu", c) == NULL)
		return false;
	skip(check, 1);
	if (c != 'u') {
		check->census.bytes++;
		return true;
	}
	if (!take_unit(check, &high) || high == 0)
		return false;
	if (high < 0xD800 || high > 0xDFFF) {
		check->census.bytes += high < 0x80 ? 1 : high < 0x800 ? 2 : 3;
		return true;
	}

	/* A surrogate is the first of a pair, or wrong. */
	if (high > 0xDBFF || !take_literal(check, SLICE("\\u")) ||
	    !take_unit(check, &low) || low < 0xDC00 || low > 0xDFFF)
		return false;
	check->census.bytes += 4;
	copy_pair(
	    check, start, 0x10000 + ((high & 0x3FF) << 10 | (low & 0x3FF)));
	return true;
}

static bool
check_string(struct check *check)
{
	if (!take(check, '"'))
		return false;
	for (;;) {
		size_t before = check->rest.length;
		uint32_t point;

		if (take(check, '"'))
			return true;
		if (peek(check) == '\\') {
			if (!check_escape(check))
				return false;
			continue;
		}
		if (!utf8_next(&check->rest, &point) || point < 0x20)
			return false;
		check->census.bytes += before - check->rest.length;
	}
}

/* An array, from its bracket on. */
static bool
check_array(struct check *check, unsigned depth)
{
	if (depth > JSON_DEPTH_MAX)
		return false;
	skip(check, 1);
	take_space(check);
	if (take(check, ']'))
		return true;
	do {
		if (!check_value(check, depth))
			return false;
	} while (take(check, ','));
	return take(check, ']');
}

/* An object, from its brace on. */
static bool
check_object(struct check *check, unsigned depth)
{
	if (depth > JSON_DEPTH_MAX)
		return false;
	skip(check, 1);
	take_space(check);
	if (take(check, '}'))
		return true;
	do {
		take_space(check);
		if (!check_string(check))
			return false;
		take_space(check);
		if (!take(check, ':') || !check_value(check, depth))
			return false;
		check->census.members++;
	} while (take(check, ','));
	return take(check, '}');
}

/* A value within *depth* others, and the white space around it. */
static bool
check_value(struct check *check, unsigned depth)
{
	bool good;

	take_space(check);
	switch (peek(check)) {
	case '{':
		good = check_object(check, depth + 1);
		break;
	case '[':
		good = check_array(check, depth + 1);
		break;
	case '"':
		good = check_string(check);
		break;
	case 't':
		good = take_literal(check, SLICE("true"));
		break;
	case 'f':
		good = take_literal(check, SLICE("false"));
		break;
	case 'n':
		good = take_literal(check, SLICE("null"));
		break;
	default:
		good = check_number(check);
		break;
	}
	take_space(check);
	return good;
}

/* -------------------------------------------------------- json-c's tree */

static void
count(struct json_object *node, struct census *census)
{
	switch (json_object_get_type(node)) {
	case json_type_object: {
		struct json_object_iter member;

		json_object_object_foreachC(node, member)
		{
			census->members++;
			census->bytes += strlen(member.key);
			count(member.val, census);
		}
		break;
	}
	case json_type_array:
		for (size_t i = 0; i < json_object_array_length(node); i++)
			count(json_object_array_get_idx(node, i), census);
		break;
	case json_type_string:
		census->bytes += (size_t)json_object_get_string_len(node);
		break;
	case json_type_null:
	case json_type_boolean:
	case json_type_double:
	case json_type_int:
		break;
	}
}

static struct json
value_of(struct json_object *node)
{
	static const enum json_kind kinds[] = {
		[json_type_null] = JSON_NULL,
		[json_type_boolean] = JSON_BOOLEAN,
		[json_type_double] = JSON_NUMBER,
		[json_type_int] = JSON_INTEGER,
		[json_type_object] = JSON_OBJECT,
		[json_type_array] = JSON_ARRAY,
		[json_type_string] = JSON_STRING,
	};

	return (struct json) { kinds[json_object_get_type(node)], node };
}

static void
release(void *node)
{
	(void)json_object_put(node);
}

/* Have json-c make its tree of *text*, which has been checked. */
static enum status
build(struct arena *arena, struct slice text, struct json_object **node)
{
	struct json_tokener *tokener;
	enum json_tokener_error error;
	size_t end;

	/* A scalar is a level to json-c too; the depth has been checked. */
	if ((tokener = json_tokener_new_ex(JSON_DEPTH_MAX + 2)) == NULL)
		return STATUS_INTERNAL;
	json_tokener_set_flags(tokener, JSON_TOKENER_STRICT);
	*node = json_tokener_parse_ex(tokener, text.data, (int)text.length);
	error = json_tokener_get_error(tokener);
	end = json_tokener_get_parse_end(tokener);
	if (error == json_tokener_continue) {
		/* A number or literal might go on; the NUL says it does not. */
		*node = json_tokener_parse_ex(tokener, "", 1);
		error = json_tokener_get_error(tokener);
	}
	json_tokener_free(tokener);

	if (arena_defer(arena, release, *node) != STATUS_OK)
		return STATUS_INTERNAL;
	if (error != json_tokener_success || end != text.length)
		return STATUS_INTERNAL;
	return STATUS_OK;
}

enum status
json_read(struct arena *arena, struct slice text, struct json *value)
{
	struct check check = {
		.rest = text,
		.copy = buffer_in(arena),
		.copied = text.data,
	};
	struct census census = { 0 };
	struct json_object *node;

	if (text.length > INT_MAX || !check_value(&check, 0) ||
	    check.rest.length > 0)
		return STATUS_INVALID;
	if (check.copied != text.data) {
		copy_until(&check, text.data + text.length);
		text = buffer_slice(&check.copy);
	}
	if (check.copy.failed || build(arena, text, &node) != STATUS_OK)
		return STATUS_INTERNAL;

	/*
	 * json-c keeps one member of each name, as it is after unescaping, and
	 * drops the others with all that is in them.  So the tree never holds
	 * more members than the text, and it holds as many only if no object
	 * has two of the same name.
	 *
	 * An allocation that fails inside json-c can go unnoticed there and
	 * leave a string cut short: hence the other count.
	 */
	count(node, &census);
	if (census.members != check.census.members) {
		struct census again = { 0 };

		/* Or a member found no memory: that does not happen twice. */
		if (build(arena, text, &node) != STATUS_OK)
			return STATUS_INTERNAL;
		count(node, &again);
		return again.members == census.members ? STATUS_INVALID
						       : STATUS_INTERNAL;
	}
	if (census.bytes != check.census.bytes)
		return STATUS_INTERNAL;
	*value = value_of(node);
	return STATUS_OK;
}

bool
json_member(struct json object, const char *name, struct json *member)
{
	struct json_object *node;

	if (object.type != JSON_OBJECT ||
	    !json_object_object_get_ex(object.node, name, &node))
		return false;
	*member = value_of(node);
	return true;
}

struct slice
json_as_string(struct json string)
{
	return (struct slice) { json_object_get_string(string.node),
		(size_t)json_object_get_string_len(string.node) };
}

bool
json_as_boolean(struct json boolean)
{
	return json_object_get_boolean(boolean.node);
}

int64_t
json_as_integer(struct json integer)
{
	return json_object_get_int64(integer.node);
}

size_t
json_items(struct json array)
{
	return json_object_array_length(array.node);
}

struct json
json_item(struct json array, size_t i)
{
	return value_of(json_object_array_get_idx(array.node, i));
}

/* --------------------------------------------------------------- writing */

static void
write_escape(struct buffer *out, unsigned char byte)
{
	static const char names[] = {
		['"'] = '"',
		['\\'] = '\\',
		['\b'] = 'b',
		['\f'] = 'f',
		['\n'] = 'n',
		['\r'] = 'r',
		['\t'] = 't',
	};

	buffer_add_char(out, '\\');
	if (names[byte] != '\0') {
		buffer_add_char(out, names[byte]);
		return;
	}
	buffer_add_text(out, "u00");
	buffer_add_char(out, text_hex_digit(byte >> 4));
	buffer_add_char(out, text_hex_digit(byte));
}

/* Eight bytes, each *byte*. */
#define EIGHT(byte) (UINT64_C(0x0101010101010101) * (byte))

/* Is one of the eight bytes of *word* less than *limit*, at most 128?  It then
 * borrows from its highest bit, which was not set. */
static bool
has_below(uint64_t word, unsigned limit)
{
	return ((word - EIGHT(limit)) & ~word & EIGHT(0x80)) != 0;
}

/* How many bytes *text* begins with that are written as they are. */
static size_t
plain_length(struct slice text)
{
	size_t length = 0;

	/* Most are, so they are looked at by eights first. */
	for (uint64_t word; text.length - length >= sizeof(word);
	     length += sizeof(word)) {
		memcpy(&word, text.data + length, sizeof(word));
		if (has_below(word, 0x20) || has_below(word ^ EIGHT('"'), 1) ||
		    has_below(word ^ EIGHT('\\'), 1))
			break;
	}
	while (length < text.length) {
		unsigned char byte = (unsigned char)text.data[length];

		if (byte < 0x20 || byte == '"' || byte == '\\')
			break;
		length++;
	}
	return length;
}

void
json_write_string(struct buffer *out, struct slice text)
{
	buffer_add_char(out, '"');
	while (text.length > 0) {
		size_t plain = plain_length(text);

		buffer_add(out, (struct slice) { text.data, plain });
		if (plain == text.length)
			break;
		write_escape(out, (unsigned char)text.data[plain]);
		text.data += plain + 1;
		text.length -= plain + 1;
	}
	buffer_add_char(out, '"');
}
