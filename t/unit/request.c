/*
 * Goal: a target is taken apart as it was sent, and one that could be taken
 * for another path is refused; media types, entity tags and parameters are
 * read as RFC 9110 and RFC 3986 have them.
 */

#include "http/request.h"

#include "tap.h"

static struct arena *arena;

/* The segments of *text* with "|" between, or "400". */
static const char *
split(const char *text)
{
	struct target target;
	static char out[5000];
	size_t length = 0;

	if (request_split(slice_of(text), &target) != STATUS_OK)
		return "400";
	for (size_t i = 0; i < target.segment_count; i++)
		length += (size_t)sprintf(out + length, "%s%.*s",
		    i == 0 ? "" : "|", (int)target.segments[i].length,
		    target.segments[i].data);
	if (target.query.data != NULL)
		length += (size_t)sprintf(out + length, "?%.*s",
		    (int)target.query.length, target.query.data);
	out[length] = '\0';
	return out;
}

static void
test_split(void)
{
	static const struct {
		const char *target, *parts;
	} table[] = {
		{ "/healthz", "healthz" },
		{ "/api/u1/tasks", "api|u1|tasks" },
		{ "/api/u%31/tasks", "api|u%31|tasks" },
		{ "/%61pi/me", "%61pi|me" },
		{ "/api/me?", "api|me?" },
		{ "/api/me?a=/../b", "api|me?a=/../b" },
		{ "/api/me?a?b", "api|me?a?b" },
		{ "/a/b/c/d/e/f/g", "a|b|c|d|e|f" },
		{ "/api/...", "api|..." },
		{ "/api/.x", "api|.x" },
		{ "/api/%2e%2e%2e", "api|%2e%2e%2e" },
		{ "/api/\xc3\xa4", "api|\xc3\xa4" },
		{ "", "400" },
		{ "/", "400" },
		{ "*", "400" },
		{ "api/me", "400" },
		{ "http://h/api/me", "400" },
		{ "//api/me", "400" },
		{ "/api//me", "400" },
		{ "/api/me/", "400" },
		{ "/api/me/?x", "400" },
		{ "/api/./me", "400" },
		{ "/api/../me", "400" },
		{ "/api/..", "400" },
		{ "/api/%2e", "400" },
		{ "/api/%2E%2e/me", "400" },
		{ "/api/.%2e/me", "400" },
		{ "/api/u1%2Ftasks", "400" },
		{ "/api/u1%2ftasks", "400" },
		{ "/api/u1%5ctasks", "400" },
		{ "/api/u1\\tasks", "400" },
		{ "/api/u1%00/tasks", "400" },
		{ "/api/u1%0a/tasks", "400" },
		{ "/api/u1%20/tasks", "api|u1%20|tasks" },
		{ "/api/u1\x7f/tasks", "400" },
		{ "/api/u1%7F/tasks", "400" },
		{ "/api/u1%1F/tasks", "400" },
		{ "/api/u1\t/tasks", "400" },
		{ "/api/u1%", "400" },
		{ "/api/u1%4", "400" },
		{ "/api/u1%4g", "400" },
		{ "/api/me#x", "400" },
	};
	char longest[REQUEST_TARGET_MAX + 2];

	for (size_t i = 0; i < COUNT(table); i++)
		ok(strcmp(split(table[i].target), table[i].parts) == 0,
		    "target %zu comes apart as %s", i, table[i].parts);

	memset(longest, 'a', sizeof(longest));
	longest[0] = '/';
	longest[REQUEST_TARGET_MAX] = '\0';
	ok(strcmp(split(longest), "400") != 0, "the longest target");
	longest[REQUEST_TARGET_MAX] = 'a';
	longest[REQUEST_TARGET_MAX + 1] = '\0';
	ok(strcmp(split(longest), "400") == 0, "one byte more");
}

static void
test_decode(void)
{
	struct slice decoded;

	ok(request_decode(arena, SLICE("a%41%2f%zz"), &decoded) ==
		STATUS_INVALID,
	    "an escape that is none");
	ok(request_decode(arena, SLICE("a%41%2541%2f%00b"), &decoded) ==
		    STATUS_OK &&
		slice_equal(decoded, SLICE("aA%41/\0b")),
	    "each escape is decoded, once");
}

static void
test_parameters(void)
{
	struct slice query = SLICE("&a=1&&b&c=&=d&e=f=g&");
	struct slice name, value;
	char out[64] = "";

	while (request_next_parameter(&query, &name, &value))
		sprintf(out + strlen(out), "%.*s%s%.*s;", (int)name.length,
		    name.data, value.data == NULL ? "!" : ":",
		    (int)value.length, value.data == NULL ? "" : value.data);
	ok(strcmp(out, "a:1;b!;c:;:d;e:f=g;") == 0, "parameters: %s", out);
}

static bool
is_json(enum method method, const char *type)
{
	return request_is_json(method, slice_of(type)) == STATUS_OK;
}

static void
test_media_type(void)
{
	static const struct {
		const char *type;
		bool json;
	} table[] = {
		{ "application/json", true },
		{ "Application/JSON", true },
		{ "application/json;charset=utf-8", true },
		{ "application/json ; charset=UTF-8", true },
		{ "application/json; charset=\"utf-8\"", true },
		{ "application/json;", true },
		{ "application/json; x=y", true },
		{ "application/json\t;;\tx=y;", true },
		{ "application/json; x=\"a;charset=latin1\"", true },
		{ "application/json; x=\"\\\";\"; charset=utf-8", true },
		{ "application/json; x=\"\\\";\"; charset=latin1", false },
		{ "application/json; x=\"a", false },
		{ "application/json; x=\"a\\", false },
		{ "application/json; x=\"a\"b", false },
		{ "application/json; x=y z", false },
		{ "application/json; x", false },
		{ "application/json; =y", false },
		{ "application/json; ][", false },
		{ "application/json x=y", false },
		{ "application/json; x=y; charset=latin1", false },
		{ "application/json; charset=UTF8", true },
		{ "application/json; charset=\"utf8\"", true },
		{ "application/json; charset=\"ut\\f-8\"", true },
		{ "application/json; charset=\"u\\\\tf8\"", false },
		{ "application/json; charset=\"\"", false },
		{ "application/json; charset=\"utf-8 \"", false },
		{ "application/json; charset=utf_8", false },
		{ "application/json; charset=utf-88", false },
		{ "application/json/x", false },
		{ "application/json; charset=utf-16", false },
		{ "application/json; charset=", false },
		{ "application/json5", false },
		{ "application/jso", false },
		{ "text/json", false },
		{ "application/problem+json", false },
		{ "application/x-www-form-urlencoded", false },
		{ "", false },
		{ NULL, false },
	};

	for (size_t i = 0; i < COUNT(table); i++)
		ok(is_json(METHOD_POST, table[i].type) == table[i].json,
		    "%s is%s JSON",
		    table[i].type == NULL ? "nothing" : table[i].type,
		    table[i].json ? "" : " not");
	for (enum method m = METHOD_GET; m < METHOD_COUNT; m++) {
		ok(is_json(m, "Application/Merge-Patch+JSON;charset=UTF8") ==
			(m == METHOD_PATCH),
		    "a merge patch is for PATCH: %s", request_method_name(m));
		ok(is_json(m, "application/json"), "JSON is for all");
	}
	ok(!is_json(METHOD_PATCH, "application/merge-patch"), "nor half of it");
	ok(!is_json(METHOD_PATCH, "application/json-patch+json"),
	    "a JSON patch is another thing");
}

/* Does the list *field*, which must be well-formed, name the tag "3"? */
static bool
names_3(struct slice field)
{
	bool found = false;
	struct slice tag;

	while (request_next_tag(&field, &tag))
		found = found || slice_equal(tag, SLICE("\"3\""));
	return found && field.length == 0;
}

static void
test_tags(void)
{
	static const struct {
		const char *field;
		bool names;
	} table[] = {
		{ "\"3\"", true },
		{ "W/\"3\"", true },
		{ "\"1\", \"3\"", true },
		{ "\"1\",\"3\",\"4\"", true },
		{ ",, \"3\" ,", true },
		{ "\"1\" , W/\"3\"", true },
		{ "\"a,b\", \"3\"", true },
		{ "\"1\"", false },
		{ "\"33\"", false },
		{ "3", false },
		{ "\"3", false },
		{ "\"3\" \"4\"", false },
		{ "\"3\", x", false },
		{ "w/\"3\"", false },
		{ "*", false },
		{ "*, \"3\"", false },
		{ "\"1,\"3\"", false },
		{ "\"3\", \"\x7f\"", false },
		{ "\"3\", \"a b\"", false },
		{ "\"3\", \"a\tb\"", false },
		{ "\"\xe9\", \"3\"", true },
		{ "\"3\", W", false },
		{ "\"3\", W/", false },
		{ "\"3\", WX\"4\"", false },
		{ "W\"3\"", false },
		{ "", false },
	};

	for (size_t i = 0; i < COUNT(table); i++)
		ok(names_3(slice_of(table[i].field)) == table[i].names,
		    "<%s> does%s name it", table[i].field,
		    table[i].names ? "" : " not");
}

static void
test_methods(void)
{
	ok(request_method(SLICE("GET")) == METHOD_GET, "GET");
	ok(request_method(SLICE("get")) == METHOD_OTHER, "get is not GET");
	ok(request_method(SLICE("other")) == METHOD_OTHER, "other");
	ok(request_method(SLICE("")) == METHOD_OTHER, "no method");
	for (enum method m = METHOD_GET; m < METHOD_COUNT; m++)
		ok(request_method(slice_of(request_method_name(m))) == m,
		    "%s there and back", request_method_name(m));
}

int
main(void)
{
	if ((arena = arena_new(100000)) == NULL)
		return 1;
	test_split();
	test_decode();
	test_parameters();
	test_media_type();
	test_tags();
	test_methods();
	arena_free(arena);
	return tap_done();
}
