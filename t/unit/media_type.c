/*
 * Goal: JSON is the media type of a body, and merge patch that of PATCH, with
 * no charset or UTF-8, in each form that RFC 9110 section 8.3 allows; nothing
 * else is.
 */

#include "http/media_type.h"

#include "tap.h"

static bool
accepts(enum method method, const char *type)
{
	return media_type_check(method, slice_of(type)) == STATUS_OK;
}

static void
test_media_type(void)
{
	static const struct {
		const char *type;
		bool accepted;
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

	for (size_t i = 0; i < ARRAY_COUNT(table); i++)
		ok(accepts(METHOD_POST, table[i].type) == table[i].accepted,
		    "%s is%s accepted for POST",
		    table[i].type == NULL ? "nothing" : table[i].type,
		    table[i].accepted ? "" : " not");
	for (enum method m = METHOD_GET; m < METHOD_COUNT; m++) {
		ok(accepts(m, "Application/Merge-Patch+JSON;charset=UTF8") ==
			(m == METHOD_PATCH),
		    "a merge patch is accepted for PATCH alone: %s",
		    request_method_name(m));
		ok(accepts(m, "application/json"),
		    "JSON is accepted for each method");
	}
	ok(!accepts(METHOD_PATCH, "application/merge-patch"),
	    "half the name of merge patch is refused");
	ok(!accepts(METHOD_PATCH, "application/json-patch+json"),
	    "a JSON patch is refused");
}

int
main(void)
{
	test_media_type();
	return tap_done();
}
