#ifndef FULL_H
#define FULL_H

#include "base/arena.h"

#define FULL_CAP ((size_t)40000)

/*
 * An arena that has room for *left* allocations of 16 bytes and no more.  (As
 * many as there are is known once they have been taken.)
 */
static inline struct arena *
full_arena(unsigned left)
{
	struct arena *arena = arena_new(FULL_CAP);
	unsigned room = 0;

	while (arena_alloc(arena, 16) != NULL)
		room++;
	arena_free(arena);
	arena = arena_new(FULL_CAP);
	while (room > left && arena_alloc(arena, 16) != NULL)
		room--;
	return arena;
}

#endif
