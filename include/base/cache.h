#ifndef CACHE_H
#define CACHE_H

#include <stddef.h>

#include "base/slice.h"
#include "base/status.h"

/*
 * A bounded table from texts to values.  When the table is full, the oldest
 * entries are dropped first.
 *
 * Entries are found by a hash under a random key, so nobody can choose texts
 * that collide.  Then the whole text is compared.
 */
struct cache;

/*
 * Make a cache whose entries, with their texts and values, take at most *cap*
 * bytes.  Memory is allocated as entries are added.  Returns NULL if there is
 * no memory.  The caller owns the cache and frees it with cache_free(), which
 * accepts NULL.
 */
struct cache *cache_new(size_t cap);
void cache_free(struct cache *cache);

/*
 * Return the value of *text*, or NULL if *text* is not in the cache.  The value
 * is aligned for any object and valid until the next cache_add().
 */
const void *cache_find(const struct cache *cache, struct slice text);

/*
 * Add an entry for *text*, which must not be in *cache* yet, with a value of
 * *size* bytes.  Returns where the caller writes the value, aligned for any
 * object; NULL, adding no entry, if the entry alone exceeds the cap or there is
 * no memory.
 */
void *cache_add(struct cache *cache, struct slice text, size_t size) MUST_CHECK;

#endif
