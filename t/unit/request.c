/*
 * Goal: a target is split without decoding it, and a target that could be
 * mistaken for another path is refused; parameters are split as in a form, and
 * methods have the names of RFC 9110.
 */

#include "http/request.h"

#include "tap.h"

static struct arena *arena;

/* The segments of *text* with "|" between them, or "400". */
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

	for (size_t i = 0; i < ARRAY_COUNT(table); i++)
		ok(strcmp(split(table[i].target), table[i].parts) == 0,
		    "target %zu is split into %s", i, table[i].parts);

	memset(longest, 'a', sizeof(longest));
	longest[0] = '/';
	longest[REQUEST_TARGET_MAX] = '\0';
	ok(strcmp(split(longest), "400") != 0, "the longest target is split");
	longest[REQUEST_TARGET_MAX] = 'a';
	longest[REQUEST_TARGET_MAX + 1] = '\0';
	ok(strcmp(split(longest), "400") == 0,
	    "a target longer by one byte is refused");
}

static void
test_decode(void)
{
	struct slice decoded;

	ok(request_decode(arena, SLICE("a%41%2f%zz"), &decoded) ==
		STATUS_INVALID,
	    "an incomplete escape is refused");
	ok(request_decode(arena, SLICE("a%41%2541%2f%00b"), &decoded) ==
		    STATUS_OK &&
		slice_equal(decoded, SLICE("aA%41/\0b")),
	    "each escape is decoded once");
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
	ok(strcmp(out, "a:1;b!;c:;:d;e:f=g;") == 0,
	    "each parameter is split at its first =: %s", out);
}

static void
test_methods(void)
{
	ok(request_method(SLICE("GET")) == METHOD_GET, "GET is GET");
	ok(request_method(SLICE("get")) == METHOD_OTHER,
	    "get is another method than GET");
	ok(request_method(SLICE("other is another method")) == METHOD_OTHER,
	    "other is another method");
	ok(request_method(SLICE("")) == METHOD_OTHER,
	    "an empty method is another method");
	for (enum method m = METHOD_GET; m < METHOD_COUNT; m++)
		ok(request_method(slice_of(request_method_name(m))) == m,
		    "the name of %s is the name of the same method",
		    request_method_name(m));
}

int
main(void)
{
	if ((arena = arena_new(100000)) == NULL)
		return 1;
	test_split();
	test_decode();
	test_parameters();
	test_methods();
	arena_free(arena);
	return tap_done();
}
