#include "base/cache.h"

#include <stdalign.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/crypto.h"

#define BUCKET_COUNT 1024

struct entry {
	struct entry *next;  /* in the same bucket */
	struct entry *newer; /* in the whole cache */
	uint64_t hash;
	uint32_t value_size;
	uint32_t text_length;
	alignas(max_align_t) unsigned char value[]; /* the text follows it */
};

/* The number of bytes of *entry* that count towards the cap. */
static size_t
entry_size(const struct entry *entry)
{
	return sizeof(*entry) + entry->value_size + entry->text_length;
}

static struct slice
entry_text(const struct entry *entry)
{
	return (struct slice) { (const char *)entry->value + entry->value_size,
		entry->text_length };
}

struct cache {
	struct crypto_hash *hash;
	size_t cap;
	size_t held; /* the sizes of all entries together */
	struct entry *oldest, *newest;
	struct entry *buckets[BUCKET_COUNT];
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
	struct entry **link = &cache->buckets[entry->hash % BUCKET_COUNT];

	while (*link != entry)
		link = &(*link)->next;
	*link = entry->next;
	cache->oldest = entry->newer;
	if (cache->oldest == NULL)
		cache->newest = NULL;
	cache->held -= entry_size(entry);
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
	entry = cache->buckets[hash % BUCKET_COUNT];
	for (; entry != NULL; entry = entry->next)
		if (entry->hash == hash && slice_equal(entry_text(entry), text))
			return entry->value;
	return NULL;
}

void *
cache_add(struct cache *cache, struct slice text, size_t size)
{
	struct entry *entry, **bucket;
	uint64_t hash;
	size_t added;

	if (size > UINT32_MAX || text.length > UINT32_MAX ||
	    crypto_hash_value(cache->hash, text, &hash) != STATUS_OK)
		return NULL;
	added = sizeof(*entry) + size + text.length;
	if (added > cache->cap)
		return NULL;
	while (added > cache->cap - cache->held)
		drop_oldest(cache);
	if ((entry = malloc(added)) == NULL)
		return NULL;

	*entry = (struct entry) {
		.hash = hash,
		.value_size = (uint32_t)size,
		.text_length = (uint32_t)text.length,
	};
	if (text.length > 0)
		memcpy(entry->value + size, text.data, text.length);
	bucket = &cache->buckets[entry->hash % BUCKET_COUNT];
	entry->next = *bucket;
	*bucket = entry;
	if (cache->newest == NULL)
		cache->oldest = entry;
	else
		cache->newest->newer = entry;
	cache->newest = entry;
	cache->held += added;
	return entry->value;
}
