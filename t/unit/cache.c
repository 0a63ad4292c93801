/*
 * Goal: a cache gives back what was kept of the very text and of no other,
 * never holds more than its cap, and forgets the oldest first.
 */
#include "base/cache.h"

#include <stdalign.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "tap.h"

static struct slice
text_of(unsigned number, char out[32])
{
	return (struct slice) { out,
		(size_t)snprintf(out, 32, "text number %u", number) };
}

static bool
add(struct cache *cache, unsigned number)
{
	char text[32];
	unsigned *value = cache_add(
	    cache, text_of(number, text), sizeof(number));

	if (value != NULL)
		*value = number;
	return value != NULL;
}

/* Is text *number* there, and is what is known of it its own? */
static bool
has(const struct cache *cache, unsigned number)
{
	char text[32];
	const unsigned *value = cache_find(cache, text_of(number, text));

	if (value != NULL && *value != number)
		ok(false, "%u is known as %u", number, *value);
	return value != NULL;
}

static void
kept(void)
{
	struct cache *cache = cache_new(1 << 20);
	char text[32];
	struct slice one;
	unsigned found = 0;

	ok(!has(cache, 1), "an empty one knows nothing");
	ok(add(cache, 1) && has(cache, 1) && !has(cache, 2),
	    "what was kept is there, and nothing else");
	one = text_of(1, text);
	for (size_t i = 0; i < one.length; i++) {
		for (int bit = 0; bit < 8; bit++) {
			text[i] ^= (char)(1 << bit);
			found += cache_find(cache, one) != NULL;
			text[i] ^= (char)(1 << bit);
		}
		found += cache_find(cache, (struct slice) { text, i }) != NULL;
	}
	ok(found == 0,
	    "no part of the text will do, nor one with a bit changed");
	ok(cache_find(cache, SLICE("")) == NULL &&
		cache_add(cache, SLICE(""), 1) != NULL &&
		cache_find(cache, SLICE("")) != NULL,
	    "no byte is a text too");
	ok((uintptr_t)cache_find(cache, one) % alignof(max_align_t) == 0,
	    "values are aligned");
	cache_free(cache);
	cache_free(NULL);
}

static void
bounded(void)
{
	const unsigned cap = 20000, many = 5000;
	struct cache *cache = cache_new(cap);
	unsigned first = 0, count = 0;
	bool order = true;

	for (unsigned i = 0; i < many; i++)
		if (!add(cache, i) || !has(cache, i))
			order = false;
	ok(order, "there is always room for one more");
	while (first < many && !has(cache, first))
		first++;
	for (unsigned i = first; i < many; i++)
		count += has(cache, i);
	ok(first > 0 && count == many - first,
	    "the %u youngest are there, and no older one", count);
	ok(count > 1 && count < cap / sizeof(unsigned),
	    "which is no more than fit");

	ok(cache_add(cache, SLICE("x"), cap) == NULL &&
		cache_add(cache, SLICE("x"), SIZE_MAX) == NULL &&
		cache_add(cache, (struct slice) { "x", SIZE_MAX }, 1) == NULL,
	    "what would not fit alone is not kept");
	ok(has(cache, many - 1), "and nothing is lost for it");
	ok(cache_add(cache, SLICE("x"), cap - 48) != NULL &&
		!has(cache, many - 1) && cache_find(cache, SLICE("x")) != NULL,
	    "a large one takes the room of all others");
	ok(add(cache, 1) && has(cache, 1), "and goes in its turn");
	cache_free(cache);
}

int
main(void)
{
	kept();
	bounded();
	return tap_done();
}
