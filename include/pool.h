#ifndef POOL_H
#define POOL_H

#include <stddef.h>

#include "slice.h"
#include "status.h"

/*
 * An arena that lives as long as a request: what is taken from it is never
 * given back singly, all of it goes at pool_reset().  Foreign objects (a
 * json-c tree, a libjwt token) are handed to it with pool_defer() the moment
 * they exist, so that they go with the request too.
 *
 * Under AddressSanitizer each allocation is a malloc() of its own, so that an
 * overrun is seen.
 */
struct pool;

/*
 * Make a pool that will hold at most *cap* bytes at a time.  Returns NULL if
 * there is no memory.  The caller owns it; pool_free() ends it.
 */
struct pool *pool_new(size_t cap);

/*
 * Return *size* bytes, aligned for any object, not cleared; NULL if that would
 * pass the cap or there is no memory.  Valid until pool_reset().
 */
void *pool_alloc(struct pool *pool, size_t size) MUST_CHECK;

/* Return a terminated copy of *text*, or NULL as pool_alloc() does. */
char *pool_copy(struct pool *pool, struct slice text) MUST_CHECK;

/*
 * Return the text that printf(3) would print, or NULL as pool_alloc() does.
 */
char *pool_printf(struct pool *pool, const char *format, ...)
    __attribute__((format(printf, 2, 3))) MUST_CHECK;

/*
 * Have *release*(*object*) called at pool_reset(), last registered first.  If
 * it cannot be registered it is called at once: STATUS_INTERNAL.
 */
enum status pool_defer(
    struct pool *pool, void (*release)(void *), void *object) MUST_CHECK;

/* Run the cleanups and take everything back. */
void pool_reset(struct pool *pool);

/* Reset and end *pool*, which may be NULL. */
void pool_free(struct pool *pool);

#endif
