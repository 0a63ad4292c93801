/*
 * Goal: a secret is used byte for byte or refused, with words that say why and
 * hold no part of it; versions are plain decimal numbers; nothing is trimmed.
 */
#include "auth/secrets.h"

#include <stdlib.h>

#include "full.h"
#include "tap.h"

/* 32 bytes, the fewest that a secret can have. */
#define SECRET "0123456789abcdef0123456789abcdef"
#define OTHER "ABCDEFGHIJKLMNOPQRSTUVWXYZ-32byt"
#define SHORT "0123456789abcdef0123456789abcde"
#define DEFAULT_SECRET "better-auth-secret-12345678901234567890"

#define NBSP "\xC2\xA0"
#define NEL "\xC2\x85"
#define IDEOGRAPHIC_SPACE "\xE3\x80\x80"
#define BOM "\xEF\xBB\xBF"
#define REPLACEMENT "\xEF\xBF\xBD"

#define UTF8_PROBLEM "is not valid UTF-8, or has U+FFFD in it"
#define ENDS_PROBLEM \
	"has white space or a control character at its beginning or end"
#define DEFAULT_PROBLEM \
	"is Better Auth's built-in default, which everybody knows"
#define LINE_FEED_PROBLEM                                                      \
	"ends with a line feed, which would be part of the secret: write the " \
	"file with printf %s"
#define VERSION_PROBLEM                                                        \
	"version is not a number from 0 to 9007199254740991 in plain decimal " \
	"digits"
#define COLON_PROBLEM "is not <version>:<secret>"

static struct arena *arena;
static struct secrets secrets;
static const char *problem;

/* Read *text* from memory that is overwritten afterwards. */
static enum status
read_single(struct slice text)
{
	char *copy = malloc(text.length + 1);
	enum status status;

	if (copy == NULL)
		abort();
	memcpy(copy, text.data, text.length);
	problem = NULL;
	status = secrets_read_single(
	    arena, (struct slice) { copy, text.length }, &problem, &secrets);
	memset(copy, '?', text.length);
	free(copy);
	return status;
}

static enum status
read_versions(const char *text, size_t *entry)
{
	char *copy = strdup(text);
	enum status status;

	if (copy == NULL)
		abort();
	problem = NULL;
	*entry = 99;
	status = secrets_read_versions(
	    arena, slice_of(copy), entry, &problem, &secrets);
	memset(copy, '?', strlen(copy));
	free(copy);
	return status;
}

static void
test_single(void)
{
	static char big[65537];
	static const struct {
		const char *name;
		struct slice text;
		const char *problem; /* NULL: accepted */
	} table[] = {
		{ "32 bytes", SLICE(SECRET), NULL },
		{ "punctuation at the end", SLICE(SECRET "=:,"), NULL },
		{ "white space inside", SLICE("a b\nc\t" SECRET), NULL },
		{ "a no-break space inside", SLICE("a " NBSP "b" SECRET),
		    NULL },
		{ "11 characters of 3 bytes", SLICE("€€€€€€€€€€€"), NULL },
		{ "the default and a byte", SLICE(DEFAULT_SECRET "1"), NULL },
		{ "the form of versions", SLICE("2:" SECRET ",1:" OTHER),
		    NULL },
		{ "65,536 bytes", { big, 65536 }, NULL },

		{ "65,537 bytes", { big, 65537 }, "has more than 65536 bytes" },
		{ "31 bytes", SLICE(SHORT),
		    "has 31 bytes, at least 32 are needed" },
		{ "no byte", SLICE(""), "has 0 bytes, at least 32 are needed" },
		{ "the default", SLICE(DEFAULT_SECRET), DEFAULT_PROBLEM },
		{ "NUL inside", SLICE(SECRET "\0" SECRET), "has a NUL byte" },
		{ "NUL at the end", SLICE(SECRET "\0"), "has a NUL byte" },
		{ "a line feed at the end", SLICE(SECRET "\n"),
		    LINE_FEED_PROBLEM },
		{ "CR LF at the end", SLICE(SECRET "\r\n"), LINE_FEED_PROBLEM },
		{ "CR at the end", SLICE(SECRET "\r"), ENDS_PROBLEM },
		{ "a space at the beginning", SLICE(" " SECRET), ENDS_PROBLEM },
		{ "a space at the end", SLICE(SECRET " "), ENDS_PROBLEM },
		{ "a tab at the beginning", SLICE("\t" SECRET), ENDS_PROBLEM },
		{ "a line feed at the beginning", SLICE("\n" SECRET),
		    ENDS_PROBLEM },
		{ "U+0001 at the beginning", SLICE("\x01" SECRET),
		    ENDS_PROBLEM },
		{ "U+007F at the end", SLICE(SECRET "\x7F"), ENDS_PROBLEM },
		{ "U+0085 at the beginning", SLICE(NEL SECRET), ENDS_PROBLEM },
		{ "U+009F at the end", SLICE(SECRET "\xC2\x9F"), ENDS_PROBLEM },
		{ "U+00A0 at the end", SLICE(SECRET NBSP), ENDS_PROBLEM },
		{ "U+3000 at the end", SLICE(SECRET IDEOGRAPHIC_SPACE),
		    ENDS_PROBLEM },
		{ "U+FEFF at the beginning", SLICE(BOM SECRET), ENDS_PROBLEM },
		{ "U+FEFF at the end", SLICE(SECRET BOM), ENDS_PROBLEM },
		{ "byte FF at the end", SLICE(SECRET "\xFF"), UTF8_PROBLEM },
		{ "half a character", SLICE("\xC3" SECRET), UTF8_PROBLEM },
		{ "a surrogate", SLICE(SECRET "\xED\xA0\x80"), UTF8_PROBLEM },
		{ "Latin-1", SLICE(SECRET "\xE4!"), UTF8_PROBLEM },
		{ "U+FFFD", SLICE(SECRET REPLACEMENT "!"), UTF8_PROBLEM },
	};

	memset(big, 'a', sizeof(big));
	for (size_t i = 0; i < ARRAY_COUNT(table); i++) {
		enum status status = read_single(table[i].text);

		if (table[i].problem == NULL)
			ok(status == STATUS_OK && secrets.count == 1 &&
				slice_equal(
				    secrets.list[0].key, table[i].text) &&
				secrets.list[0].version.data == NULL,
			    "accepted: %s", table[i].name);
		else
			ok(status == STATUS_INVALID &&
				strcmp(problem, table[i].problem) == 0,
			    "refused: %s", table[i].name);
	}
}

static void
test_versions(void)
{
	static const struct {
		const char *text;
		const char *keys[SECRETS_MAX];
		const char *versions[SECRETS_MAX];
	} table[] = {
		{ "1:" SECRET, { SECRET }, { "1" } },
		{ "0:" SECRET, { SECRET }, { "0" } },
		{ "9007199254740991:" SECRET, { SECRET },
		    { "9007199254740991" } },
		{ "2:" SECRET ",1:" OTHER, { SECRET, OTHER }, { "2", "1" } },
		{ "1:" SECRET ",12:" OTHER, { SECRET, OTHER }, { "1", "12" } },
		{ "2:a:b:" SECRET, { "a:b:" SECRET }, { "2" } },
		{ "2:" SECRET " x", { SECRET " x" }, { "2" } },
		{ "4:" SECRET ",3:" OTHER ",2:x" SECRET ",1:y" OTHER,
		    { SECRET, OTHER, "x" SECRET, "y" OTHER },
		    { "4", "3", "2", "1" } },
	};
	size_t entry;

	for (size_t i = 0; i < ARRAY_COUNT(table); i++) {
		bool good = read_versions(table[i].text, &entry) == STATUS_OK;
		size_t count = 0;

		while (count < SECRETS_MAX && table[i].keys[count] != NULL)
			count++;
		good = good && secrets.count == count;
		for (size_t n = 0; good && n < count; n++)
			good = slice_equal(secrets.list[n].key,
				   slice_of(table[i].keys[n])) &&
			    slice_equal(secrets.list[n].version,
				slice_of(table[i].versions[n]));
		ok(good, "accepted: %zu with version %s first", count,
		    table[i].versions[0]);
	}
}

static void
test_wrong_versions(void)
{
	static const struct {
		const char *text;
		size_t entry;
		const char *problem;
	} table[] = {
		{ " ", 1, COLON_PROBLEM },
		{ ",", 1, COLON_PROBLEM },
		{ SECRET, 1, COLON_PROBLEM },
		{ "2:" SECRET ",", 2, COLON_PROBLEM },
		{ "2:" SECRET ",,1:" OTHER, 2, COLON_PROBLEM },
		{ "2:" SECRET "," OTHER, 2, COLON_PROBLEM },

		{ ":" SECRET, 1, VERSION_PROBLEM },
		{ "v2:" SECRET, 1, VERSION_PROBLEM },
		{ "-1:" SECRET, 1, VERSION_PROBLEM },
		{ "+-1:" SECRET, 1, VERSION_PROBLEM },
		{ "+ 1:" SECRET, 1, VERSION_PROBLEM },
		{ "9007199254740992:" SECRET, 1, VERSION_PROBLEM },
		{ "99999999999999999999999999:" SECRET, 1, VERSION_PROBLEM },
		/* Better Auth's parseInt() and trim() would accept these. */
		{ "007:" SECRET, 1, VERSION_PROBLEM },
		{ "+2:" SECRET, 1, VERSION_PROBLEM },
		{ "-0:" SECRET, 1, VERSION_PROBLEM },
		{ "2abc:" SECRET, 1, VERSION_PROBLEM },
		{ "1.9:" SECRET, 1, VERSION_PROBLEM },
		{ "1e3:" SECRET, 1, VERSION_PROBLEM },
		{ "0x10:" SECRET, 1, VERSION_PROBLEM },
		{ " 2:" SECRET, 1, VERSION_PROBLEM },
		{ "2 :" SECRET, 1, VERSION_PROBLEM },
		{ BOM "2:" SECRET, 1, VERSION_PROBLEM },
		{ "2" NBSP ":" SECRET, 1, VERSION_PROBLEM },
		{ "2:" SECRET ", 1:" OTHER, 2, VERSION_PROBLEM },
		{ "2:" SECRET ",\n1:" OTHER, 2, VERSION_PROBLEM },
		{ "2: " SECRET, 1, ENDS_PROBLEM },
		{ "2:" SECRET " ", 1, ENDS_PROBLEM },
		{ "2:" SECRET " ,1:" OTHER, 1, ENDS_PROBLEM },
		{ "2:" NBSP SECRET, 1, ENDS_PROBLEM },
		{ "2:" SECRET IDEOGRAPHIC_SPACE, 1, ENDS_PROBLEM },

		{ "2:" SECRET ",2:" OTHER, 2,
		    "has the same version as entry 1" },
		{ "2:" SECRET ",1:" OTHER ",1:x" OTHER, 3,
		    "has the same version as entry 2" },
		{ "2:", 1, "has 0 bytes, at least 32 are needed" },
		{ "2: ", 1, ENDS_PROBLEM },
		{ "2:" SHORT, 1, "has 31 bytes, at least 32 are needed" },
		{ "2:" SECRET ",1:short", 2,
		    "has 5 bytes, at least 32 are needed" },
		{ "2:" SECRET ",1:" DEFAULT_SECRET, 2, DEFAULT_PROBLEM },
		{ "2:" SECRET NEL, 1, ENDS_PROBLEM },
		{ "2:\x01" SECRET, 1, ENDS_PROBLEM },
		{ "2:" SECRET ",1:\xFF" OTHER, 2, UTF8_PROBLEM },
		{ "5:" SECRET ",4:" SECRET ",3:" SECRET ",2:" SECRET
		  ",1:" SECRET,
		    0, "has 5 entries, at most 4 are allowed" },
		{ ",,,,,", 0, "has 6 entries, at most 4 are allowed" },
	};
	size_t entry;

	for (size_t i = 0; i < ARRAY_COUNT(table); i++)
		ok(read_versions(table[i].text, &entry) == STATUS_INVALID &&
			entry == table[i].entry &&
			strcmp(problem, table[i].problem) == 0,
		    "refused: versions %zu, entry %zu %s", i, entry,
		    problem == NULL ? "" : problem);
}

static void
test_memory(void)
{
	size_t entry;
	unsigned whole = 0;

	for (unsigned left = 0; left < 9; left++) {
		struct arena *full = full_arena(left);
		enum status status = secrets_read_versions(
		    full, SLICE("1:" SECRET), &entry, &problem, &secrets);

		whole += status == STATUS_OK;
		ok(status == STATUS_INTERNAL ||
			(status == STATUS_OK &&
			    slice_equal(secrets.list[0].key, SLICE(SECRET))),
		    "with memory for %u small allocations: %s", left,
		    status == STATUS_OK ? "accepted" : "no verdict");
		arena_free(full);
	}
	ok(whole > 0 && whole < 9, "%u times there was enough memory", whole);
}

int
main(void)
{
	if ((arena = arena_new(1 << 24)) == NULL)
		return 1;
	test_single();
	test_versions();
	test_wrong_versions();
	test_memory();
	arena_free(arena);
	return tap_done();
}
