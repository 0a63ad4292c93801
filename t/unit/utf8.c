/*
 * Goal: well-formed UTF-8 is exactly that of RFC 3629, at both ends of each
 * range, and white space is that of Unicode.
 */

#include "base/utf8.h"
#include "tap.h"

/* Encode *point* as in RFC 3629 section 3, but surrogates too. */
static size_t
encode(uint32_t point, char out[4])
{
	size_t length = point < 0x80 ? 1
	    : point < 0x800	     ? 2
	    : point < 0x10000	     ? 3
				     : 4;
	static const unsigned char first[] = { 0, 0x00, 0xC0, 0xE0, 0xF0 };

	for (size_t i = length; i-- > 1; point >>= 6)
		out[i] = (char)(0x80 | (point & 0x3F));
	out[0] = (char)(first[length] | point);
	return length;
}

static void
test_code_points(void)
{
	unsigned wrong = 0, spaces = 0;

	for (uint32_t point = 0; point <= 0x110FFF; point++) {
		char bytes[4];
		struct slice text = { bytes, encode(point, bytes) };
		bool good = point <= 0x10FFFF &&
		    (point < 0xD800 || point > 0xDFFF);
		uint32_t taken = 0;

		if (utf8_valid(text) != good)
			wrong++;
		if (utf8_next(&text, &taken) != good ||
		    (good && (taken != point || text.length != 0)))
			wrong++;
		spaces += utf8_white_space(point);
	}
	ok(wrong == 0, "each code point is read or refused: %u wrong", wrong);
	ok(spaces == 25, "25 code points are white space: %u", spaces);
}

static void
test_malformed(void)
{
	static const struct {
		const char *name;
		struct slice text;
	} table[] = {
		{ "a continuation byte alone", SLICE("\x80") },
		{ "80 after a letter", SLICE("a\x80") },
		{ "overlong NUL", SLICE("\xC0\x80") },
		{ "overlong slash", SLICE("\xC1\xAF") },
		{ "overlong, three bytes", SLICE("\xE0\x9F\xBF") },
		{ "overlong, four bytes", SLICE("\xF0\x8F\xBF\xBF") },
		{ "first surrogate", SLICE("\xED\xA0\x80") },
		{ "last surrogate", SLICE("\xED\xBF\xBF") },
		{ "past U+10FFFF", SLICE("\xF4\x90\x80\x80") },
		{ "F5", SLICE("\xF5\x80\x80\x80") },
		{ "FE", SLICE("\xFE") },
		{ "FF", SLICE("\xFF") },
		{ "cut after one of two", SLICE("\xC3") },
		{ "cut after two of three", SLICE("\xE2\x82") },
		{ "cut after three of four", SLICE("\xF0\x9F\x98") },
		{ "a letter for the second byte",
		    SLICE("\xC3"
			  "a") },
		{ "a letter for the third byte",
		    SLICE("\xE2\x82"
			  "a") },
		{ "C0 for the last byte", SLICE("\xF0\x9F\x98\xC0") },
	};

	for (size_t i = 0; i < ARRAY_COUNT(table); i++) {
		struct slice text = table[i].text;

		ok(!utf8_valid(text), "%s is refused", table[i].name);
	}
}

static void
test_texts(void)
{
	struct slice text = SLICE("a\xC3\xA4\xE2\x82\xAC\xF0\x9F\x98\x80\x00z");
	struct slice bad = SLICE("\xC3"
				 "a");
	uint32_t point = 7;

	ok(utf8_valid((struct slice) { "", 0 }), "an empty text is valid");
	ok(utf8_valid(text), "a mixed text is valid");
	ok(utf8_length(text) == 6, "the length is the number of code points");
	ok(utf8_length((struct slice) { "", 0 }) == 0,
	    "an empty text has length 0");
	ok(!utf8_next(&bad, &point) && point == 7 && bad.length == 2,
	    "utf8_next() leaves a malformed text unchanged");
	bad.length = 0;
	ok(!utf8_next(&bad, &point),
	    "utf8_next() returns false for an empty text");
	ok(utf8_visible('x') && utf8_visible(0x301) && utf8_visible(0x1F600),
	    "a letter, an accent and an emoji are visible");
	ok(!utf8_visible(' ') && !utf8_visible(0x200B) &&
		!utf8_visible(0x3164) && !utf8_visible(0x2800) &&
		!utf8_visible(0xE0FFF),
	    "a space, a zero width space, fillers and tags are invisible");
	ok(!utf8_white_space(0x200B) && !utf8_white_space(0xFEFF) &&
		!utf8_white_space(0x180E) && !utf8_white_space(0x1F),
	    "zero width space, byte order mark and the like are no white "
	    "space");
	bad = (struct slice) { "\xE2\x82\xAC", 2 };
	ok(!utf8_valid(bad), "a byte after the end is not read");
	ok(utf8_white_space(0x85) && utf8_white_space(0x3000) &&
		utf8_white_space(0x0B) && utf8_white_space(0x2028),
	    "next line, ideographic space and the like are white space");
}

int
main(void)
{
	test_code_points();
	test_malformed();
	test_texts();
	return tap_done();
}
