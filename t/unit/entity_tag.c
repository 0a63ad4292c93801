/*
 * Goal: the entity tags of a list are read as in RFC 9110 section 8.8.3, and a
 * malformed list is noticed.
 */

#include "http/entity_tag.h"

#include "tap.h"

/* True if *field* is a well-formed list that has the tag "3". */
static bool
has_tag_3(struct slice field)
{
	bool found = false;
	struct slice tag;

	while (entity_tag_next(&field, &tag))
		found = found || slice_equal(tag, SLICE("\"3\""));
	return found && field.length == 0;
}

static void
test_tags(void)
{
	static const struct {
		const char *field;
		bool has_3;
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

	for (size_t i = 0; i < ARRAY_COUNT(table); i++)
		ok(has_tag_3(slice_of(table[i].field)) == table[i].has_3,
		    "<%s> does%s have the tag", table[i].field,
		    table[i].has_3 ? "" : " not");
}

int
main(void)
{
	test_tags();
	return tap_done();
}
