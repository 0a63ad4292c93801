#ifndef ARENA_H
#define ARENA_H

#include <stddef.h>

#include "base/slice.h"
#include "base/status.h"

/*
 * An arena that lives as long as a request: what is taken from it is never
 * given back singly, all of it goes at arena_reset().  Foreign objects (a
 * json-c tree, a libjwt token) are handed to it with arena_defer() the moment
 * they exist, so that they go with the request too.
 *
 * Under AddressSanitizer each allocation is a malloc() of its own, so that an
 * overrun is seen.
 */
struct arena;

/*
 * Make an arena that will hold at most *cap* bytes at a time.  Returns NULL if
 * there is no memory.  The caller owns it; arena_free() ends it.
 */
struct arena *arena_new(size_t cap);

/*
 * Return *size* bytes, aligned for any object, not cleared; NULL if that would
 * pass the cap or there is no memory.  Valid until arena_reset().
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
 * Have *release*(*object*) called at arena_reset(), last registered first.  If
 * it cannot be registered it is called at once: STATUS_INTERNAL.
 */
enum status arena_defer(
    struct arena *arena, void (*release)(void *), void *object) MUST_CHECK;

/* Run the cleanups and take everything back. */
void arena_reset(struct arena *arena);

/* Reset and end *arena*, which may be NULL. */
void arena_free(struct arena *arena);

#endif
