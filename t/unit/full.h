#ifndef FULL_H
#define FULL_H

#include "base/arena.h"

#define FULL_CAP ((size_t)40000)

/*
 * Return an arena that has room for *left* more allocations of 16 bytes.  A
 * first arena is filled to count how many there are in all.
 */
static inline struct arena *
full_arena(unsigned left)
{
	struct arena *arena = arena_new(FULL_CAP);
	unsigned count = 0;

	while (arena_alloc(arena, 16) != NULL)
		count++;
	arena_free(arena);
	arena = arena_new(FULL_CAP);
	while (count > left && arena_alloc(arena, 16) != NULL)
		count--;
	return arena;
}

#endif
