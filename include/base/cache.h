#ifndef CACHE_H
#define CACHE_H

#include <stddef.h>

#include "base/slice.h"
#include "base/status.h"

/*
 * Texts that came before, and what was found out about them.  What it holds is
 * bounded; when it is full, what came first goes first.
 *
 * A text is looked for by a hash under a random key, which nobody can foresee,
 * and then compared whole.
 */
struct cache;

/*
 * A cache of at most *cap* bytes, and as little as what is in it.  Returns NULL
 * if there is no memory.  The caller owns it; cache_free() ends it.
 */
struct cache *cache_new(size_t cap);
void cache_free(struct cache *cache);

/*
 * What is known of *text*, or NULL.  It is aligned for any object and valid
 * until the next cache_add().
 */
const void *cache_find(const struct cache *cache, struct slice text);

/*
 * Make room for *size* bytes about *text*, which is not in *cache* yet, and
 * return where they go, aligned for any object.  Returns NULL if that is too
 * much, or there is no memory; then nothing is kept.
 */
void *cache_add(struct cache *cache, struct slice text, size_t size) MUST_CHECK;

#endif
