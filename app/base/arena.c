#include "base/arena.h"

#include <stdalign.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * The first block is kept from request to request, so a request of usual size
 * costs no malloc().  arena_reset() frees all other blocks.  Under
 * AddressSanitizer each allocation has a block of its own, because
 * AddressSanitizer guards the ends of blocks.
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
	size_t size; /* of bytes[] */
	size_t used; /* bytes[] allocated so far */
	alignas(max_align_t) unsigned char bytes[];
};

struct cleanup {
	struct cleanup *next;
	void (*release)(void *);
	void *object;
};

struct arena {
	size_t cap;
	size_t held;		  /* the sizes of all blocks together */
	struct block *blocks;	  /* newest first; the kept block is last */
	struct cleanup *cleanups; /* newest first */
};

static struct block *
block_new(struct arena *arena, size_t size)
{
	struct block *block;

	if (size > arena->cap - arena->held)
		return NULL;
	if ((block = malloc(sizeof(*block) + size)) == NULL)
		return NULL;
	*block = (struct block) { .next = arena->blocks, .size = size };
	arena->blocks = block;
	arena->held += size;
	return block;
}

struct arena *
arena_new(size_t cap)
{
	struct arena *arena;

	if ((arena = malloc(sizeof(*arena))) == NULL)
		return NULL;
	*arena = (struct arena) { .cap = cap };
	if (!ONE_BLOCK_EACH && block_new(arena, BLOCK_SIZE) == NULL) {
		free(arena);
		return NULL;
	}
	return arena;
}

void *
arena_alloc(struct arena *arena, size_t size)
{
	const size_t unit = alignof(max_align_t);
	struct block *block = arena->blocks;
	size_t step = size;
	void *bytes;

	if (size > arena->cap)
		return NULL;
	if (!ONE_BLOCK_EACH)
		step = (size + unit - 1) / unit * unit;
	if (ONE_BLOCK_EACH || step > block->size - block->used) {
		size_t room = ONE_BLOCK_EACH || step > BLOCK_SIZE ? step
								  : BLOCK_SIZE;

		if ((block = block_new(arena, room)) == NULL)
			return NULL;
	}
	bytes = block->bytes + block->used;
	block->used += step;
	return bytes;
}

char *
arena_copy(struct arena *arena, struct slice text)
{
	char *copy;

	if ((copy = arena_alloc(arena, text.length + 1)) == NULL)
		return NULL;
	if (text.length > 0)
		memcpy(copy, text.data, text.length);
	copy[text.length] = '\0';
	return copy;
}

char *
arena_printf(struct arena *arena, const char *format, ...)
{
	va_list arguments;
	char *text;
	int length;

	va_start(arguments, format);
	length = vsnprintf(NULL, 0, format, arguments);
	va_end(arguments);
	if (length < 0)
		return NULL;
	if ((text = arena_alloc(arena, (size_t)length + 1)) == NULL)
		return NULL;
	va_start(arguments, format);
	(void)vsnprintf(text, (size_t)length + 1, format, arguments);
	va_end(arguments);
	return text;
}

enum status
arena_defer(struct arena *arena, void (*release)(void *), void *object)
{
	struct cleanup *cleanup;

	if ((cleanup = arena_alloc(arena, sizeof(*cleanup))) == NULL) {
		release(object);
		return STATUS_INTERNAL;
	}
	*cleanup = (struct cleanup) { arena->cleanups, release, object };
	arena->cleanups = cleanup;
	return STATUS_OK;
}

/* Free the blocks before *kept*; all blocks if *kept* is NULL. */
static void
free_blocks(struct arena *arena, const struct block *kept)
{
	while (arena->blocks != kept) {
		struct block *block = arena->blocks;

		arena->blocks = block->next;
		arena->held -= block->size;
		free(block);
	}
}

void
arena_reset(struct arena *arena)
{
	struct block *kept = arena->blocks;

	for (struct cleanup *c = arena->cleanups; c != NULL; c = c->next)
		c->release(c->object);
	arena->cleanups = NULL;

	if (ONE_BLOCK_EACH) {
		free_blocks(arena, NULL);
		return;
	}
	while (kept->next != NULL)
		kept = kept->next;
	free_blocks(arena, kept);
	kept->used = 0;
}

void
arena_free(struct arena *arena)
{
	if (arena == NULL)
		return;
	arena_reset(arena);
	free_blocks(arena, NULL);
	free(arena);
}
