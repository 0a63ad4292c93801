/*
 * Goal: json_read() accepts RFC 8259 with the limits of json_check.h, whatever
 * else json-c would accept.  Strings are read as they were written.  A failed
 * allocation never gives a wrong value.
 */

#include "base/json.h"

#include <limits.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/json_check.h"
#include "base/json_write.h"
#include "base/utf8.h"
#include "scarce.h"
#include "tap.h"

static struct arena *arena;

static enum status
read_text(struct slice text, struct json *value)
{
	/* In memory of its own, so that sanitizers find reads after its end. */
	char *copy = malloc(text.length + !text.length);
	enum status status;

	if (text.length > 0)
		memcpy(copy, text.data, text.length);
	status = json_read(arena, (struct slice) { copy, text.length }, value);
	free(copy);
	return status;
}

static void
test_accepted(void)
{
	static const struct {
		enum json_kind type;
		struct slice text;
	} table[] = {
		{ JSON_NULL, SLICE("null") },
		{ JSON_NULL, SLICE(" \t\r\nnull \t\r\n") },
		{ JSON_BOOLEAN, SLICE("true") },
		{ JSON_BOOLEAN, SLICE("false ") },
		{ JSON_INTEGER, SLICE("0") },
		{ JSON_INTEGER, SLICE("-0") },
		{ JSON_INTEGER, SLICE("7 ") },
		{ JSON_INTEGER, SLICE("-12345678901234567890123456789012345") },
		{ JSON_INTEGER, SLICE("99999999999999999999999999999999999") },
		{ JSON_NUMBER, SLICE("0.0") },
		{ JSON_NUMBER, SLICE("-0.5e+3") },
		{ JSON_NUMBER, SLICE("1E400") },
		{ JSON_NUMBER, SLICE("-1E400") },
		{ JSON_NUMBER, SLICE("1e-400") },
		{ JSON_NUMBER, SLICE("0E0") },
		{ JSON_NUMBER, SLICE("0e+1") },
		{ JSON_NUMBER, SLICE("123.456789012345678901234567890123456") },
		{ JSON_STRING, SLICE("\"\"") },
		{ JSON_STRING, SLICE("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0001\"") },
		{ JSON_STRING, SLICE("\"\x7F\"") },
		{ JSON_STRING, SLICE("\"\\uFFFF\\uD7FF\\uE000\"") },
		{ JSON_STRING, SLICE("\"\\ud800\\udc00\\uDBFF\\uDFFF\"") },
		{ JSON_STRING, SLICE("\"\xF4\x8F\xBF\xBF\"") },
		{ JSON_STRING, SLICE("\"/* no comment */\"") },
		{ JSON_ARRAY, SLICE("[]") },
		{ JSON_ARRAY, SLICE("[ ]") },
		{ JSON_ARRAY, SLICE("[1 , [2,{}], null]") },
		{ JSON_ARRAY, SLICE("[-0,0,0e0,-0.0,10,1e1]") },
		{ JSON_OBJECT, SLICE("{}") },
		{ JSON_OBJECT, SLICE("{ }") },
		{ JSON_OBJECT, SLICE("{\"\":0}") },
		{ JSON_OBJECT, SLICE(" { \"a\" : 1 , \"b\" : [ ] } ") },
		{ JSON_OBJECT, SLICE("{\"a\":{\"a\":{\"a\":[{\"a\":1}]}}}") },
		{ JSON_OBJECT,
		    SLICE("{\"a\":1,\"A\":1,\"a \":1,\"\\u00e1\":1}") },
		{ JSON_OBJECT, SLICE("{\"n\":null,\"m\":null}") },
	};

	for (size_t i = 0; i < ARRAY_COUNT(table); i++) {
		struct json value;

		ok(read_text(table[i].text, &value) == STATUS_OK &&
			value.type == table[i].type,
		    "%s is accepted", table[i].text.data);
	}
}

static void
test_refused(void)
{
	static const struct slice table[] = {
		/* No value, two values, or a value and something else. */
		SLICE(""), SLICE(" "), SLICE("1 2"), SLICE("{}{}"),
		SLICE("[]x"), SLICE("{}\0"), SLICE("\0"), SLICE("[1]\0x"),
		SLICE("{} /**/"), SLICE("// \n1"), SLICE("/**/1"),
		SLICE("\xEF\xBB\xBF{}"), SLICE("\xEF\xBB\xBF"), SLICE("\f1"),
		SLICE("\v1"), SLICE("1\xC2\xA0"),

		/* Literals. */
		SLICE("nul"), SLICE("nulll"), SLICE("NULL"), SLICE("Null"),
		SLICE("True"), SLICE("TRUE"), SLICE("tru"), SLICE("fals"),
		SLICE("falsee"), SLICE("NaN"), SLICE("nan"), SLICE("Infinity"),
		SLICE("-Infinity"), SLICE("inf"), SLICE("undefined"),

		/* Numbers. */
		SLICE("-"), SLICE("+1"), SLICE("01"), SLICE("-01"), SLICE("00"),
		SLICE("1."), SLICE("-1."), SLICE(".1"), SLICE("-.1"),
		SLICE("0.e1"), SLICE("1e"), SLICE("1e+"), SLICE("1E-"),
		SLICE("1e1.0"), SLICE("1.2.3"), SLICE("0x1"), SLICE("1_0"),
		SLICE("--1"), SLICE("- 1"), SLICE("1e+-1"), SLICE("[1.]"),
		SLICE("[-01]"), SLICE("[0e]"), SLICE("1f"),
		SLICE("\xEF\xBC\x91"),

		/* Strings. */
		SLICE("\""), SLICE("\"a"), SLICE("'a'"), SLICE("a"),
		SLICE("\"\t\""), SLICE("\"\n\""), SLICE("\"\x1F\""),
		SLICE("\"\0\""), SLICE("\"a\0b\""), SLICE("\"\\"),
		SLICE("\"\\\""), SLICE("\"\\a\""), SLICE("\"\\v\""),
		SLICE("\"\\'\""), SLICE("\"\\0\""), SLICE("\"\\x41\""),
		SLICE("\"\\U0041\""), SLICE("\"\\u\""), SLICE("\"\\u004\""),
		SLICE("\"\\u004g\""), SLICE("\"\\u 041\""),
		SLICE("\"\\u+041\""), SLICE("\"\\\0\""),
		SLICE("\"\\\xC3\xA4\""), SLICE("\"\\u0000\""),
		SLICE("\"a\\u0000b\""), SLICE("\"\\ud800\""),
		SLICE("\"\\uDBFF\""), SLICE("\"\\udc00\""),
		SLICE("\"\\udfff\""), SLICE("\"\\ud800\\ud800\""),
		SLICE("\"\\ud800a\""), SLICE("\"\\ud800\\n\""),
		SLICE("\"\\ud800\\u0041\""), SLICE("\"\\ud800\\udbff\""),
		SLICE("\"\\ud800\\ue000\""), SLICE("\"\\udc00\\ud800\""),
		SLICE("\"\\ud800"), SLICE("\"\\ud800\\u"),
		SLICE("\"\\ud800\\udc0\""), SLICE("\"\x80\""),
		SLICE("\"\xC0\x80\""), SLICE("\"\xC1\xBF\""),
		SLICE("\"\xE0\x80\x80\""), SLICE("\"\xED\xA0\x80\""),
		SLICE("\"\xF4\x90\x80\x80\""), SLICE("\"\xFF\""),
		SLICE("\"\xC3\""), SLICE("\"\xC3"),

		/* Arrays and objects. */
		SLICE("["), SLICE("]"), SLICE("[1"), SLICE("[1,"),
		SLICE("[1,]"), SLICE("[,1]"), SLICE("[,]"), SLICE("[1,,2]"),
		SLICE("[1 2]"), SLICE("[1;2]"), SLICE("[1}"),
		SLICE("[\"a\":1]"), SLICE("{"), SLICE("}"), SLICE("{\"a\""),
		SLICE("{\"a\":"), SLICE("{\"a\":}"), SLICE("{\"a\"}"),
		SLICE("{\"a\" 1}"), SLICE("{\"a\":1"), SLICE("{\"a\":1,"),
		SLICE("{\"a\":1,}"), SLICE("{,\"a\":1}"), SLICE("{\"a\"=1}"),
		SLICE("{\"a\"::1}"), SLICE("{'a':1}"), SLICE("{a:1}"),
		SLICE("{1:1}"), SLICE("{null:1}"), SLICE("{\"a\":1]"),
		SLICE("{\"a\":1;}"), SLICE("{\"a\":1 \"b\":2}"),
		SLICE("{\"a\\u0000\":1}"), SLICE("{\"title\\u0000x\":1}"),
		SLICE("{\"\\ud800\":1}"), SLICE("{\"\xFF\":1}"),
		SLICE("{\"\n\":1}"),

		/* A name twice in one object, at any depth and with escapes. */
		SLICE("{\"a\":1,\"a\":1}"), SLICE("{\"a\":1,\"a\":2}"),
		SLICE("{\"\":1,\"\":2}"), SLICE("{\"a\":1,\"b\":2,\"a\":3}"),
		SLICE("{\"a\":1,\"\\u0061\":2}"), SLICE("{\"/\":1,\"\\/\":2}"),
		SLICE("{\"\xC3\xA4\":1,\"\\u00E4\":2}"),
		SLICE("{\"\xF0\x9F\x98\x80\":1,\"\\ud83d\\ude00\":2}"),
		SLICE("{\"a\":null,\"a\":null}"),
		SLICE("{\"a\":{\"b\":1},\"a\":{\"b\":1}}"),
		SLICE("{\"a\":{},\"a\":{\"b\":1,\"c\":2,\"d\":3}}"),
		SLICE("{\"a\":{\"b\":1,\"c\":2,\"d\":3},\"a\":{}}"),
		SLICE("{\"x\":{\"a\":1,\"a\":1}}"),
		SLICE("[{\"a\":1},{\"a\":1,\"a\":1}]"),
		SLICE("[[[{\"x\":[{\"a\":[],\"a\":[]}]}]]]")
	};

	for (size_t i = 0; i < ARRAY_COUNT(table); i++) {
		struct json value;

		ok(read_text(table[i], &value) == STATUS_INVALID,
		    "text %zu, of %zu bytes, is refused", i, table[i].length);
	}
}

/*
 * Each code point that is escaped is read as itself.  json-c alone reads some
 * pairs of surrogates as U+FFFD.
 */
static void
test_escapes(void)
{
	unsigned wrong = 0;

	for (uint32_t point = 1; point <= 0x10FFFF; point++) {
		char text[32];
		struct slice inside;
		struct json value;
		uint32_t first = 0, second = 0;

		if (point == 0xD800)
			point = 0xE000;
		if (point < 0x10000)
			snprintf(text, sizeof(text), "\"\\u%04X!\"", point);
		else
			snprintf(text, sizeof(text), "\"\\u%04x\\u%04x!\"",
			    0xD800 + (point - 0x10000) / 0x400,
			    0xDC00 + point % 0x400);
		if (json_read(arena, slice_of(text), &value) != STATUS_OK) {
			wrong++;
			continue;
		}
		inside = json_as_string(value);
		if (!utf8_next(&inside, &first) || first != point ||
		    !utf8_next(&inside, &second) || second != '!' ||
		    inside.length != 0)
			wrong++;
		arena_reset(arena);
	}
	ok(wrong == 0, "each escaped code point is read as itself: %u wrong",
	    wrong);
}

/* Read *inside* with *depth* times *open* before it and *close* after it. */
static enum status
read_nested(unsigned depth, const char *open, const char *inside,
    const char *close, struct json *value)
{
	struct buffer text = buffer_in(arena);

	for (unsigned i = 0; i < depth; i++)
		buffer_add_text(&text, open);
	buffer_add_text(&text, inside);
	for (unsigned i = 0; i < depth; i++)
		buffer_add_text(&text, close);
	return read_text(buffer_slice(&text), value);
}

static void
test_depth(void)
{
	static const struct {
		const char *open, *inside, *close;
	} table[] = {
		{ "[", "", "]" },
		{ "[", "1", "]" },
		{ "[", "\"a\"", "]" },
		{ "[", "null,true,-1.5e3", "]" },
		{ "{\"a\":", "1", "}" },
		{ " { \"a\" : ", " \"b\" ", " } " },
	};
	struct json value;

	for (size_t i = 0; i < ARRAY_COUNT(table); i++) {
		ok(read_nested(JSON_DEPTH_MAX, table[i].open, table[i].inside,
		       table[i].close, &value) == STATUS_OK,
		    "the deepest nesting is accepted: %s%s", table[i].open,
		    table[i].inside);
		ok(read_nested(JSON_DEPTH_MAX + 1, table[i].open,
		       table[i].inside, table[i].close,
		       &value) == STATUS_INVALID,
		    "one level more is refused: %s%s", table[i].open,
		    table[i].inside);
	}
	ok(read_nested(JSON_DEPTH_MAX - 1, "[", "{},[],{\"a\":1}", "]",
	       &value) == STATUS_OK,
	    "several values at the deepest level are accepted");
	ok(read_nested(16000, "[", "", "]", &value) == STATUS_INVALID,
	    "16,000 levels are refused");
	ok(read_nested(16000, "[", "", "", &value) == STATUS_INVALID,
	    "16,000 levels that are not closed are refused");
}

/* Return the integer that *text* is read as, or -7777 if it is none. */
static int64_t
read_integer(const char *text)
{
	struct json value;

	if (read_text(slice_of(text), &value) != STATUS_OK ||
	    value.type != JSON_INTEGER)
		return -7777;
	return json_as_integer(value);
}

static void
test_integers(void)
{
	ok(read_integer("0") == 0 && read_integer("-0") == 0, "0 and -0 are 0");
	ok(read_integer("-1") == -1 && read_integer("1764000000") == 1764000000,
	    "integers are read");
	ok(read_integer("9223372036854775807") == INT64_MAX,
	    "INT64_MAX is read");
	ok(read_integer("9223372036854775808") == INT64_MAX,
	    "INT64_MAX + 1 is read as INT64_MAX");
	ok(read_integer("18446744073709551615") == INT64_MAX,
	    "UINT64_MAX is read as INT64_MAX");
	ok(read_integer("18446744073709551616") == INT64_MAX,
	    "UINT64_MAX + 1 is read as INT64_MAX");
	ok(read_integer("99999999999999999999999999999999999999") == INT64_MAX,
	    "38 digits are read as INT64_MAX");
	ok(read_integer("-9223372036854775808") == INT64_MIN,
	    "INT64_MIN is read");
	ok(read_integer("-9223372036854775809") == INT64_MIN,
	    "INT64_MIN - 1 is read as INT64_MIN");
	ok(read_integer("-99999999999999999999999999999999999999") == INT64_MIN,
	    "38 negative digits are read as INT64_MIN");
}

static void
test_values(void)
{
	struct json value, member, inner;

	ok(read_text(SLICE("{\"s\":\"a\\u00e4\\ud83d\\ude00\\n\","
			   "\"t\":true,\"f\":false,\"n\":null,\"a\":[1,\"\",[2]"
			   "],\"\":0,"
			   "\"\\u0061b\":{\"c\":-5}}"),
	       &value) == STATUS_OK,
	    "an object with values of each kind is read");
	ok(json_member(value, "s", &member) && member.type == JSON_STRING &&
		slice_equal(json_as_string(member),
		    SLICE("a\xC3\xA4\xF0\x9F\x98\x80\n")) &&
		strlen(json_as_string(member).data) == 8,
	    "a string is unescaped and terminated");
	ok(json_member(value, "t", &member) && member.type == JSON_BOOLEAN &&
		json_as_boolean(member),
	    "true is true");
	ok(json_member(value, "f", &member) && member.type == JSON_BOOLEAN &&
		!json_as_boolean(member),
	    "false is false");
	ok(json_member(value, "n", &member) && member.type == JSON_NULL,
	    "a member that is null is found");
	ok(json_member(value, "", &member) && member.type == JSON_INTEGER,
	    "a member with the empty name is found");
	ok(!json_member(value, "x", &member),
	    "a member that is not there is not found");
	ok(!json_member(value, "S", &member), "names are case-sensitive");
	ok(json_member(value, "a", &member) && member.type == JSON_ARRAY &&
		json_items(member) == 3,
	    "an array has its number of items");
	ok(json_as_integer(json_item(member, 0)) == 1,
	    "the first item is read");
	ok(json_as_string(json_item(member, 1)).length == 0,
	    "the second item is read");
	inner = json_item(member, 2);
	ok(inner.type == JSON_ARRAY && json_items(inner) == 1,
	    "the third item is read");
	ok(json_member(value, "ab", &member) &&
		json_member(member, "c", &inner) &&
		json_as_integer(inner) == -5,
	    "a name is compared unescaped");
	ok(read_text(SLICE("[\"\\uD836\\uDC00a\\ud83d\\ude00\",\"\\n\\ud869"
			   "\\ude00\\u00e4\"] "),
	       &value) == STATUS_OK &&
		slice_equal(json_as_string(json_item(value, 0)),
		    SLICE("\xF0\x9D\xA0\x80"
			  "a\xF0\x9F\x98\x80")) &&
		slice_equal(json_as_string(json_item(value, 1)),
		    SLICE("\n\xF0\xAA\x98\x80\xC3\xA4")),
	    "pairs of surrogates between other text are read");
	ok(read_text(SLICE("[1]"), &value) == STATUS_OK &&
		!json_member(value, "a", &member),
	    "an array has no members");
}

/* As json_write_string(), in a simple way: byte by byte. */
static void
write_slowly(struct buffer *out, struct slice text)
{
	static const char named[] = "\"\\\b\f\n\r\t", names[] = "\"\\bfnrt";

	buffer_add_char(out, '"');
	for (size_t i = 0; i < text.length; i++) {
		const char *name = memchr(named, text.data[i], sizeof(named));
		char escape[8];

		if (text.data[i] != '\0' && name != NULL)
			snprintf(escape, 8, "\\%c", names[name - named]);
		else if ((unsigned char)text.data[i] < 0x20)
			snprintf(escape, 8, "\\u%04x", text.data[i]);
		else
			snprintf(escape, 8, "%c", text.data[i]);
		buffer_add_text(out, escape);
	}
	buffer_add_char(out, '"');
}

/* Each byte at each position of a text, with various bytes around it. */
static void
test_writing_positions(void)
{
	static const unsigned char fill[] = { 'x', 0x20, 0x7F, 0x80, 0xFF, '"',
		0x1F };
	unsigned wrong = 0;
	char text[19];

	for (size_t f = 0; f < ARRAY_COUNT(fill); f++) {
		for (unsigned n = 0; n < 256 * sizeof(text); n++) {
			struct buffer out = buffer_in(arena);
			struct buffer right = buffer_in(arena);
			struct slice whole = { text, sizeof(text) };

			memset(text, fill[f], sizeof(text));
			text[n / 256] = (char)(n % 256);
			json_write_string(&out, whole);
			write_slowly(&right, whole);
			wrong += !slice_equal(
			    buffer_slice(&out), buffer_slice(&right));
			arena_reset(arena);
		}
	}
	ok(wrong == 0,
	    "each byte is written correctly at each position: %u wrong", wrong);
}

static void
test_writing(void)
{
	static const struct {
		struct slice text, json;
	} table[] = {
		{ SLICE(""), SLICE("\"\"") },
		{ { NULL, 0 }, SLICE("\"\"") },
		{ SLICE("abc"), SLICE("\"abc\"") },
		{ SLICE("\"\\/"), SLICE("\"\\\"\\\\/\"") },
		{ SLICE("a\nb\tc\rd\be\f"), SLICE("\"a\\nb\\tc\\rd\\be\\f\"") },
		{ SLICE("\x01\x1F\x0B\x7F"),
		    SLICE("\"\\u0001\\u001f\\u000b\x7F\"") },
		{ SLICE("\xC3\xA4\xF0\x9F\x98\x80\xE2\x80\xA8</script>"),
		    SLICE(
			"\"\xC3\xA4\xF0\x9F\x98\x80\xE2\x80\xA8</script>\"") },
	};
	struct buffer out, long_text;
	struct json value;
	unsigned wrong = 0;

	for (size_t i = 0; i < ARRAY_COUNT(table); i++) {
		out = buffer_in(arena);
		json_write_string(&out, table[i].text);
		ok(!out.failed &&
			slice_equal(buffer_slice(&out), table[i].json),
		    "%s is written", table[i].json.data);
	}

	/* Each ASCII character is read as it was written. */
	for (unsigned byte = 1; byte < 0x80; byte++) {
		char text[3] = { 'x', (char)byte, 'y' };

		out = buffer_in(arena);
		json_write_string(&out, (struct slice) { text, 3 });
		if (json_read(arena, buffer_slice(&out), &value) != STATUS_OK ||
		    !slice_equal(
			json_as_string(value), (struct slice) { text, 3 }))
			wrong++;
	}
	ok(wrong == 0, "each ASCII character is read as it was written");

	long_text = buffer_in(arena);
	for (int i = 0; i < 4000; i++)
		buffer_add_text(&long_text, "ab\"\xE2\x82\xAC");
	out = buffer_in(arena);
	json_write_string(&out, buffer_slice(&long_text));
	ok(json_read(arena, buffer_slice(&out), &value) == STATUS_OK &&
		slice_equal(json_as_string(value), buffer_slice(&long_text)),
	    "a long text is read as it was written");
}

static const struct slice sample = SLICE(
    "{\"title\":\"Buy milk, and bread \\u00e4\\ud83d\\ude00\xC3\xA4\", "
    "\"description\":null,\"completed\":false,\"n\":[1,-2.5e+3,0,[],{}],"
    "\"deep\":{\"a\":{\"b\":[true,{\"c\":\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"}]}}}");

/* No bytes make json_read() crash or fail internally. */
static void
test_mutations(void)
{
	unsigned accepted_count = 0, failed = 0;
	uint64_t seed = 20261123;

	for (int round = 0; round < 20000; round++) {
		static const char likely[] = "{}[]\",:\\u0dD9eE+-.tfn \t";
		struct slice text = sample;
		char copy[512];
		struct json value;
		enum status status;

		memcpy(copy, sample.data, sample.length);
		for (int changes = 1 + round % 3; changes > 0; changes--) {
			size_t at;

			seed = seed * 6364136223846793005U +
			    1442695040888963407U;
			at = (size_t)(seed >> 33) % sample.length;
			copy[at] = round % 2 == 0
			    ? (char)(seed >> 56)
			    : likely[(seed >> 56) % (sizeof(likely) - 1)];
		}
		text.data = copy;
		if (round % 5 == 0)
			text.length = (size_t)(seed >> 40) % text.length;
		status = read_text(text, &value);
		accepted_count += status == STATUS_OK;
		failed += status != STATUS_OK && status != STATUS_INVALID;
		arena_reset(arena);
	}
	ok(failed == 0, "20,000 mutations are accepted or refused: %u fail",
	    failed);
	ok(accepted_count > 100, "more than 100 mutations are accepted: %u",
	    accepted_count);
}

#define TEN ",0,1,2,3,4,5,6,7,8,9"

/*
 * Read a text while allocation *n*, counted from 0, fails.  Returns 0 if the
 * text was read correctly or not at all, 1 if it was read correctly with no
 * more than *n* allocations, 2 if a wrong value was read.
 */
static int
read_scarcely(long n)
{
	struct slice text = SLICE(
	    "{\"user_id\":\"ea5oVK53YjEeqel2O0hkNmyjreZ5"
	    "6iuZ-ea5oVK53YjEeqel2O0hkNmyjreZ56iuZ\",\"aud\":[\"a\",\"b\","
	    "{\"c\":1.5}" TEN TEN TEN TEN "],\"exp\":1764000000,\"ok\":true}");
	struct json value, member;
	enum status status;
	bool whole;

	scarce_after = n;
	status = json_read(arena, text, &value);
	whole = scarce_after >= 0;
	scarce_after = -1;
	if (status == STATUS_OK &&
	    !(value.type == JSON_OBJECT &&
		json_member(value, "user_id", &member) &&
		json_as_string(member).length == 65 &&
		json_member(value, "aud", &member) &&
		json_items(member) == 43 &&
		json_item(member, 2).type == JSON_OBJECT &&
		json_member(value, "exp", &member) &&
		json_as_integer(member) == 1764000000 &&
		json_member(value, "ok", &member) &&
		member.type == JSON_BOOLEAN))
		return 2;
	return whole && status == STATUS_OK;
}

/*
 * Make each allocation fail in turn, those of json-c too.  Some of them crash
 * json-c, so each is tried in a process of its own.  A crash is acceptable,
 * because the master replaces the worker; a wrong value is not.
 */
static void
test_failed_allocations(void)
{
	unsigned wrong = 0, died = 0;
	int code = 0;
	long n;

	if (!scarce_possible())
		return;
	for (n = 0; n < 1000 && code != 1; n++) {
		pid_t child;
		int status;

		fflush(stdout);
		if ((child = fork()) == 0)
			scarce_exit(read_scarcely(n));
		if (child < 0 || waitpid(child, &status, 0) != child)
			break;
		code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
		died += code == -1;
		wrong += code == 2;
	}
	ok(code == 1 && n > 50, "with enough memory the text is read");
	ok(wrong == 0,
	    "with each of %ld allocations failed, no value is wrong: %u; "
	    "json-c crashed %u times",
	    n - 1, wrong, died);
}

int
main(void)
{
	struct arena *small;
	struct json value;

	arena = arena_new(1 << 20);
	test_accepted();
	test_refused();
	test_depth();
	test_integers();
	test_values();
	test_writing();
	arena_reset(arena);
	test_writing_positions();
	test_escapes();
	test_mutations();
	test_failed_allocations();

	small = arena_new(40000);
	if (arena_alloc(small, 32768) == NULL)
		return 1;
	while (arena_alloc(small, 1) != NULL)
		;
	ok(json_read(small, sample, &value) == STATUS_INTERNAL,
	    "a full arena is STATUS_INTERNAL");
	ok(json_read(small, SLICE("\"\\ud83d\\ude00\""), &value) ==
		STATUS_INTERNAL,
	    "a full arena is STATUS_INTERNAL for a pair of surrogates too");
	ok(json_read(small, (struct slice) { "{", (size_t)INT_MAX + 1 },
	       &value) == STATUS_INVALID,
	    "a text longer than INT_MAX is refused without reading it");
	arena_free(small);
	arena_free(arena);
	return tap_done();
}
