/*
 * Goal: each sequence of bytes has one base64url encoding, and every other text
 * is refused.
 */

#include "base/base64url.h"
#include "tap.h"

static void
test_pairs(struct arena *arena)
{
	/* RFC 4648 section 10 without padding; then '-' and '_', and NULs. */
	static const struct {
		struct slice bytes, text;
	} table[] = {
		{ SLICE(""), SLICE("") },
		{ SLICE("f"), SLICE("Zg") },
		{ SLICE("fo"), SLICE("Zm8") },
		{ SLICE("foo"), SLICE("Zm9v") },
		{ SLICE("foob"), SLICE("Zm9vYg") },
		{ SLICE("fooba"), SLICE("Zm9vYmE") },
		{ SLICE("foobar"), SLICE("Zm9vYmFy") },
		{ SLICE("\xFB\xFF\xFE"), SLICE("-__-") },
		{ SLICE("\x00\x00"), SLICE("AAA") },
	};

	for (size_t i = 0; i < ARRAY_COUNT(table); i++) {
		struct slice made = { 0 };

		ok(base64url_encode(arena, table[i].bytes, &made) ==
			    STATUS_OK &&
			slice_equal(made, table[i].text) &&
			made.data[made.length] == '\0',
		    "bytes are encoded as %s", table[i].text.data);
		ok(base64url_decode(arena, table[i].text, &made) == STATUS_OK &&
			slice_equal(made, table[i].bytes) &&
			made.data[made.length] == '\0',
		    "%s is decoded", table[i].text.data);
	}
}

static void
test_refused(struct arena *arena)
{
	static const struct slice table[] = { SLICE("Z"), SLICE("A"),
		SLICE("Zm9vA"), /* five characters: six bits left over */
		SLICE("Zh"), SLICE("Zv"), SLICE("Zm9"), SLICE("Zm-"),
		SLICE("Zg=="), SLICE("Zm8="), SLICE("Zg="), SLICE("+_+-"),
		SLICE("/__-"), SLICE("Zm9 "), SLICE(" Zm9"), SLICE("Zm9\n"),
		SLICE("Zm9\0"), SLICE("\0m9v"), SLICE("Zm.v"), SLICE("Zm9\x80"),
		SLICE("Zm9\xFF"), SLICE("Zm9@"), SLICE("Zm9["), SLICE("Zm9`"),
		SLICE("Zm9{"), SLICE("Zm9:") };

	for (size_t i = 0; i < ARRAY_COUNT(table); i++) {
		struct slice made;

		ok(base64url_decode(arena, table[i], &made) == STATUS_INVALID,
		    "malformed text %zu is refused", i);
	}
}

/* One text of two characters decodes to each byte, one of three to each pair.
 */
static void
test_canonical(struct arena *arena)
{
	static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				       "abcdefghijklmnopqrstuvwxyz0123456789-_";
	unsigned two = 0, three = 0;

	for (unsigned i = 0; i < 64 * 64 * 64; i++) {
		char text[3] = { alphabet[i / 64 % 64], alphabet[i % 64],
			alphabet[i / 64 / 64] };
		struct slice made;

		if (i < 64 * 64)
			two += base64url_decode(arena,
				   (struct slice) { text, 2 },
				   &made) == STATUS_OK;
		three += base64url_decode(arena, (struct slice) { text, 3 },
			     &made) == STATUS_OK;
		arena_reset(arena);
	}
	ok(two == 256, "256 texts of two characters are decoded: %u", two);
	ok(three == 65536, "65,536 texts of three characters are decoded: %u",
	    three);
}

int
main(void)
{
	struct arena *arena = arena_new(1 << 20), *small = arena_new(1 << 16);
	struct slice made;
	static char big[1 << 17];

	test_pairs(arena);
	test_refused(arena);
	test_canonical(arena);
	for (size_t i = 0; i < sizeof(big); i++)
		big[i] = 'A';
	ok(base64url_decode(small, (struct slice) { big, sizeof(big) },
	       &made) == STATUS_INTERNAL,
	    "decoding without memory fails");
	ok(base64url_encode(small, (struct slice) { big, sizeof(big) },
	       &made) == STATUS_INTERNAL,
	    "encoding without memory fails");
	arena_free(small);
	arena_free(arena);
	return tap_done();
}
