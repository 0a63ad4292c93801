/*
 * Goal: base64url has one spelling for each sequence of bytes, and only that
 * one is taken.
 */
#include "base/base64url.h"
#include "tap.h"

static void
pairs(struct arena *arena)
{
	/* RFC 4648 section 10 without the padding; the last characters. */
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

	for (size_t i = 0; i < COUNT(table); i++) {
		struct slice made = { 0 };

		ok(base64url_encode(arena, table[i].bytes, &made) ==
			    STATUS_OK &&
			slice_equal(made, table[i].text) &&
			made.data[made.length] == '\0',
		    "encode to %s", table[i].text.data);
		ok(base64url_decode(arena, table[i].text, &made) == STATUS_OK &&
			slice_equal(made, table[i].bytes) &&
			made.data[made.length] == '\0',
		    "decode %s", table[i].text.data);
	}
}

static void
refused(struct arena *arena)
{
	static const struct slice table[] = { SLICE("Z"), SLICE("A"),
		SLICE("Zm9vA"), /* six bits over */
		SLICE("Zh"), SLICE("Zv"), SLICE("Zm9"), SLICE("Zm-"),
		SLICE("Zg=="), SLICE("Zm8="), SLICE("Zg="), SLICE("+_+-"),
		SLICE("/__-"), SLICE("Zm9 "), SLICE(" Zm9"), SLICE("Zm9\n"),
		SLICE("Zm9\0"), SLICE("\0m9v"), SLICE("Zm.v"), SLICE("Zm9\x80"),
		SLICE("Zm9\xFF"), SLICE("Zm9@"), SLICE("Zm9["), SLICE("Zm9`"),
		SLICE("Zm9{"), SLICE("Zm9:") };

	for (size_t i = 0; i < COUNT(table); i++) {
		struct slice made;

		ok(base64url_decode(arena, table[i], &made) == STATUS_INVALID,
		    "refused: number %zu", i);
	}
}

/* Of all texts of two or three characters, one for each byte or two. */
static void
canonical(struct arena *arena)
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
	ok(two == 256, "256 texts of two characters are taken: %u", two);
	ok(three == 65536, "65,536 of three are: %u", three);
}

int
main(void)
{
	struct arena *arena = arena_new(1 << 20), *small = arena_new(1 << 16);
	struct slice made;
	static char big[1 << 17];

	pairs(arena);
	refused(arena);
	canonical(arena);
	for (size_t i = 0; i < sizeof(big); i++)
		big[i] = 'A';
	ok(base64url_decode(small, (struct slice) { big, sizeof(big) },
	       &made) == STATUS_INTERNAL,
	    "decode: no memory");
	ok(base64url_encode(small, (struct slice) { big, sizeof(big) },
	       &made) == STATUS_INTERNAL,
	    "encode: no memory");
	arena_free(small);
	arena_free(arena);
	return tap_done();
}
