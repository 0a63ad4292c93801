#ifndef ARENA_H
#define ARENA_H

#include <stddef.h>

#include "base/slice.h"
#include "base/status.h"

/*
 * The memory of one request.  Allocations are not freed one by one:
 * arena_reset() frees all of them.  Foreign objects (a json-c tree, a libjwt
 * token) are registered with arena_defer() the moment they exist, so
 * arena_reset() releases them too.
 *
 * Under AddressSanitizer each allocation is a malloc() of its own, so overruns
 * are detected.
 */
struct arena;

/*
 * Make an arena that holds at most *cap* bytes at a time.  Returns NULL if
 * there is no memory.  The caller owns the arena and frees it with
 * arena_free().
 */
struct arena *arena_new(size_t cap);

/*
 * Return *size* bytes, aligned for any object, not cleared; NULL if the arena
 * would exceed its cap or there is no memory.  Valid until arena_reset().
 */
void *arena_alloc(struct arena *arena, size_t size) MUST_CHECK;

/* Return a terminated copy of *text*, or NULL as arena_alloc() does. */
char *arena_copy(struct arena *arena, struct slice text) MUST_CHECK;

/*
 * Return the text that printf(3) would print, or NULL as arena_alloc() does.
 */
char *arena_printf(struct arena *arena, const char *format, ...)
    __attribute__((format(printf, 2, 3))) MUST_CHECK;

/*
 * Register *release* to be called with *object* at arena_reset().  The object
 * registered last is released first.  If there is no memory to register it,
 * *object* is released at once: STATUS_INTERNAL.
 */
enum status arena_defer(
    struct arena *arena, void (*release)(void *), void *object) MUST_CHECK;

/* Release all registered objects and free all allocations. */
void arena_reset(struct arena *arena);

/* Reset and free *arena*, which may be NULL. */
void arena_free(struct arena *arena);

#endif
