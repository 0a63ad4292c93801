#include "base/cache.h"

#include <stdalign.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/crypto.h"

#define BUCKETS 1024

struct entry {
	struct entry *next;    /* in its bucket */
	struct entry *younger; /* of all */
	uint64_t hash;
	uint32_t size; /* of the value */
	uint32_t text_length;
	alignas(max_align_t) unsigned char value[]; /* the text is behind it */
};

/* All that it takes of the cap. */
static size_t
size_of(const struct entry *entry)
{
	return sizeof(*entry) + entry->size + entry->text_length;
}

static struct slice
text_of(const struct entry *entry)
{
	return (struct slice) { (const char *)entry->value + entry->size,
		entry->text_length };
}

struct cache {
	struct crypto_hash *hash;
	size_t cap;
	size_t held; /* by all entries */
	struct entry *oldest, *youngest;
	struct entry *buckets[BUCKETS];
};

struct cache *
cache_new(size_t cap)
{
	struct cache *cache;

	if ((cache = calloc(1, sizeof(*cache))) == NULL)
		return NULL;
	cache->cap = cap;
	if ((cache->hash = crypto_hash_new()) == NULL) {
		free(cache);
		return NULL;
	}
	return cache;
}

static void
drop_oldest(struct cache *cache)
{
	struct entry *entry = cache->oldest;
	struct entry **link = &cache->buckets[entry->hash % BUCKETS];

	while (*link != entry)
		link = &(*link)->next;
	*link = entry->next;
	cache->oldest = entry->younger;
	if (cache->oldest == NULL)
		cache->youngest = NULL;
	cache->held -= size_of(entry);
	free(entry);
}

void
cache_free(struct cache *cache)
{
	if (cache == NULL)
		return;
	while (cache->oldest != NULL)
		drop_oldest(cache);
	crypto_hash_free(cache->hash);
	free(cache);
}

const void *
cache_find(const struct cache *cache, struct slice text)
{
	const struct entry *entry;
	uint64_t hash;

	if (crypto_hash_value(cache->hash, text, &hash) != STATUS_OK)
		return NULL;
	entry = cache->buckets[hash % BUCKETS];
	for (; entry != NULL; entry = entry->next)
		if (entry->hash == hash && slice_equal(text_of(entry), text))
			return entry->value;
	return NULL;
}

void *
cache_add(struct cache *cache, struct slice text, size_t size)
{
	struct entry *entry, **bucket;
	uint64_t hash;
	size_t room;

	if (size > UINT32_MAX || text.length > UINT32_MAX ||
	    crypto_hash_value(cache->hash, text, &hash) != STATUS_OK)
		return NULL;
	room = sizeof(*entry) + size + text.length;
	if (room > cache->cap)
		return NULL;
	while (room > cache->cap - cache->held)
		drop_oldest(cache);
	if ((entry = malloc(room)) == NULL)
		return NULL;

	*entry = (struct entry) {
		.hash = hash,
		.size = (uint32_t)size,
		.text_length = (uint32_t)text.length,
	};
	if (text.length > 0)
		memcpy(entry->value + size, text.data, text.length);
	bucket = &cache->buckets[entry->hash % BUCKETS];
	entry->next = *bucket;
	*bucket = entry;
	if (cache->youngest == NULL)
		cache->oldest = entry;
	else
		cache->youngest->younger = entry;
	cache->youngest = entry;
	cache->held += room;
	return entry->value;
}
