#ifndef FULL_H
#define FULL_H

#include "pool.h"

#define FULL_CAP ((size_t)40000)

/*
 * A pool that has room for *left* allocations of 16 bytes and no more.  (As
 * many as there are is known once they have been taken.)
 */
static inline struct pool *
full_pool(unsigned left)
{
	struct pool *pool = pool_new(FULL_CAP);
	unsigned room = 0;

	while (pool_alloc(pool, 16) != NULL)
		room++;
	pool_free(pool);
	pool = pool_new(FULL_CAP);
	while (room > left && pool_alloc(pool, 16) != NULL)
		room--;
	return pool;
}

#endif
