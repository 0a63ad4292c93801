/*
 * Goal: a cache returns the value of exactly the text it was added for, never
 * holds more than its cap, and drops the oldest entries first.
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

/* True if text *number* is in the cache.  Its value must be its own. */
static bool
has(const struct cache *cache, unsigned number)
{
	char text[32];
	const unsigned *value = cache_find(cache, text_of(number, text));

	if (value != NULL && *value != number)
		ok(false, "text %u has the value %u", number, *value);
	return value != NULL;
}

static void
test_find(void)
{
	struct cache *cache = cache_new(1 << 20);
	char text[32];
	struct slice one;
	unsigned found = 0;

	ok(!has(cache, 1), "an empty cache finds nothing");
	ok(add(cache, 1) && has(cache, 1) && !has(cache, 2),
	    "the text that was added is found, and no other");
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
	    "neither a part of the text nor a text with one bit changed is "
	    "found");
	ok(cache_find(cache, SLICE("")) == NULL &&
		cache_add(cache, SLICE(""), 1) != NULL &&
		cache_find(cache, SLICE("")) != NULL,
	    "the empty text can be added and found");
	ok((uintptr_t)cache_find(cache, one) % alignof(max_align_t) == 0,
	    "values are aligned for any object");
	cache_free(cache);
	cache_free(NULL);
}

static void
test_cap(void)
{
	const unsigned cap = 20000, many = 5000;
	struct cache *cache = cache_new(cap);
	unsigned first = 0, count = 0;
	bool order = true;

	for (unsigned i = 0; i < many; i++)
		if (!add(cache, i) || !has(cache, i))
			order = false;
	ok(order, "a full cache accepts one more entry");
	while (first < many && !has(cache, first))
		first++;
	for (unsigned i = first; i < many; i++)
		count += has(cache, i);
	ok(first > 0 && count == many - first,
	    "the %u newest entries are there, and no older one", count);
	ok(count > 1 && count < cap / sizeof(unsigned),
	    "the cache holds no more entries than fit");

	ok(cache_add(cache, SLICE("x"), cap) == NULL &&
		cache_add(cache, SLICE("x"), SIZE_MAX) == NULL &&
		cache_add(cache, (struct slice) { "x", SIZE_MAX }, 1) == NULL,
	    "an entry larger than the cap is refused");
	ok(has(cache, many - 1), "a refused entry drops no other");
	ok(cache_add(cache, SLICE("x"), cap - 48) != NULL &&
		!has(cache, many - 1) && cache_find(cache, SLICE("x")) != NULL,
	    "an entry as large as the cap drops all others");
	ok(add(cache, 1) && has(cache, 1),
	    "the next entry drops the large one");
	cache_free(cache);
}

int
main(void)
{
	test_find();
	test_cap();
	return tap_done();
}
