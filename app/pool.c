#include "pool.h"

#include <stdalign.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * The first block stays from request to request, so a request of usual size
 * costs no malloc(); the ones after it are given back.  Under AddressSanitizer
 * every allocation has a block of its own, whose end is then guarded.
 */
#ifdef __SANITIZE_ADDRESS__
#define ONE_BLOCK_EACH 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ONE_BLOCK_EACH 1
#endif
#endif
#ifndef ONE_BLOCK_EACH
#define ONE_BLOCK_EACH 0
#endif

#define BLOCK_SIZE ((size_t)32768)

struct block {
	struct block *next;
	size_t size; /* of bytes */
	size_t used;
	alignas(max_align_t) unsigned char bytes[];
};

struct cleanup {
	struct cleanup *next;
	void (*release)(void *);
	void *object;
};

struct pool {
	size_t cap;
	size_t held;	      /* the sizes of all blocks */
	struct block *blocks; /* the one in use first, the lasting one last */
	struct cleanup *cleanups; /* the one registered last first */
};

static struct block *
block_new(struct pool *pool, size_t size)
{
	struct block *block;

	if (size > pool->cap - pool->held)
		return NULL;
	if ((block = malloc(sizeof(*block) + size)) == NULL)
		return NULL;
	*block = (struct block) { .next = pool->blocks, .size = size };
	pool->blocks = block;
	pool->held += size;
	return block;
}

struct pool *
pool_new(size_t cap)
{
	struct pool *pool;

	if ((pool = malloc(sizeof(*pool))) == NULL)
		return NULL;
	*pool = (struct pool) { .cap = cap };
	if (!ONE_BLOCK_EACH && block_new(pool, BLOCK_SIZE) == NULL) {
		free(pool);
		return NULL;
	}
	return pool;
}

void *
pool_alloc(struct pool *pool, size_t size)
{
	const size_t unit = alignof(max_align_t);
	struct block *block = pool->blocks;
	size_t step = size;
	void *bytes;

	if (size > pool->cap)
		return NULL;
	if (!ONE_BLOCK_EACH)
		step = (size + unit - 1) / unit * unit;
	if (ONE_BLOCK_EACH || step > block->size - block->used) {
		size_t room = ONE_BLOCK_EACH || step > BLOCK_SIZE ? step
								  : BLOCK_SIZE;

		if ((block = block_new(pool, room)) == NULL)
			return NULL;
	}
	bytes = block->bytes + block->used;
	block->used += step;
	return bytes;
}

char *
pool_copy(struct pool *pool, struct slice text)
{
	char *copy;

	if ((copy = pool_alloc(pool, text.length + 1)) == NULL)
		return NULL;
	if (text.length > 0)
		memcpy(copy, text.data, text.length);
	copy[text.length] = '\0';
	return copy;
}

char *
pool_printf(struct pool *pool, const char *format, ...)
{
	va_list arguments;
	char *text;
	int length;

	va_start(arguments, format);
	length = vsnprintf(NULL, 0, format, arguments);
	va_end(arguments);
	if (length < 0)
		return NULL;
	if ((text = pool_alloc(pool, (size_t)length + 1)) == NULL)
		return NULL;
	va_start(arguments, format);
	(void)vsnprintf(text, (size_t)length + 1, format, arguments);
	va_end(arguments);
	return text;
}

enum status
pool_defer(struct pool *pool, void (*release)(void *), void *object)
{
	struct cleanup *cleanup;

	if ((cleanup = pool_alloc(pool, sizeof(*cleanup))) == NULL) {
		release(object);
		return STATUS_INTERNAL;
	}
	*cleanup = (struct cleanup) { pool->cleanups, release, object };
	pool->cleanups = cleanup;
	return STATUS_OK;
}

/* Free the blocks before *last*. */
static void
free_blocks(struct pool *pool, const struct block *last)
{
	while (pool->blocks != last) {
		struct block *block = pool->blocks;

		pool->blocks = block->next;
		pool->held -= block->size;
		free(block);
	}
}

void
pool_reset(struct pool *pool)
{
	struct block *lasting = pool->blocks;

	for (struct cleanup *c = pool->cleanups; c != NULL; c = c->next)
		c->release(c->object);
	pool->cleanups = NULL;

	if (ONE_BLOCK_EACH) {
		free_blocks(pool, NULL);
		return;
	}
	while (lasting->next != NULL)
		lasting = lasting->next;
	free_blocks(pool, lasting);
	lasting->used = 0;
}

void
pool_free(struct pool *pool)
{
	if (pool == NULL)
		return;
	pool_reset(pool);
	free_blocks(pool, NULL);
	free(pool);
}
