/*
 * Goal: an arena gives separate, aligned memory up to its cap; a reset runs the
 * cleanups, the last one first, and makes all memory available again.  A buffer
 * holds what was written to it, and reports a failed write.
 */

#include "base/arena.h"

#include <stdalign.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/buffer.h"
#include "tap.h"

static char order[8]; /* the names of the released objects */

static void
add_to_order(void *object)
{
	const char *name = object;

	strncat(order, name, sizeof(order) - strlen(order) - 1);
}

static void
test_memory(struct arena *arena)
{
	unsigned char *first = arena_alloc(arena, 10);
	unsigned char *second = arena_alloc(arena, 100000);

	ok(first != NULL && second != NULL,
	    "a small and a large allocation succeed");
	if (first == NULL || second == NULL)
		return;
	memset(first, 1, 10);
	memset(second, 2, 100000);
	ok(first[9] == 1 && second[0] == 2, "two allocations do not overlap");
	ok((uintptr_t)first % alignof(max_align_t) == 0 &&
		(uintptr_t)second % alignof(max_align_t) == 0,
	    "allocations are aligned for any object");
	ok(arena_alloc(arena, 1000000) == NULL,
	    "an allocation beyond the cap fails");
	ok(arena_alloc(arena, SIZE_MAX) == NULL,
	    "an allocation of SIZE_MAX bytes fails");
	ok(strcmp(arena_copy(arena, SLICE("abc")), "abc") == 0,
	    "arena_copy() copies a text");
	ok(strcmp(arena_copy(arena, (struct slice) { NULL, 0 }), "") == 0,
	    "a copy of an absent text is empty");
	ok(strcmp(arena_printf(arena, "%s-%d", "x", 7), "x-7") == 0,
	    "arena_printf() formats a text");
}

static void
test_cleanups(struct arena *arena)
{
	char a[] = "a", b[] = "b", c[] = "c";

	ok(arena_defer(arena, add_to_order, a) == STATUS_OK &&
		arena_defer(arena, add_to_order, b) == STATUS_OK,
	    "cleanups are registered");
	ok(strcmp(order, "") == 0, "a registered cleanup does not run at once");
	arena_reset(arena);
	ok(strcmp(order, "ba") == 0,
	    "a reset runs the cleanups, the last one first");
	arena_reset(arena);
	ok(strcmp(order, "ba") == 0, "the next reset does not run them again");

	while (arena_alloc(arena, 1000) != NULL)
		;
	while (arena_alloc(arena, 1) != NULL)
		;
	ok(arena_defer(arena, add_to_order, c) == STATUS_INTERNAL &&
		strcmp(order, "bac") == 0,
	    "a cleanup that cannot be registered runs at once");
	arena_reset(arena);
	ok(arena_alloc(arena, 100000) != NULL,
	    "a reset makes all memory available again");
}

static void
test_buffer(struct arena *arena)
{
	struct buffer buffer = buffer_in(arena);
	struct slice text;
	size_t sum = 0;

	arena_reset(arena);
	for (unsigned i = 0; i < 5000; i++) {
		buffer_add_unsigned(&buffer, i % 10);
		buffer_add_char(&buffer, ',');
	}
	text = buffer_slice(&buffer);
	for (size_t i = 0; i < text.length; i += 2)
		sum += (size_t)(text.data[i] - '0');
	ok(text.length == 10000 && sum == 22500 && !buffer.failed,
	    "a buffer that grows still holds what was written");

	buffer = buffer_in(arena);
	buffer_add_unsigned(&buffer, 0);
	buffer_add_unsigned(&buffer, UINT64_MAX);
	ok(slice_equal(buffer_slice(&buffer), SLICE("018446744073709551615")),
	    "the smallest and the largest number are written");

	while (!buffer.failed)
		buffer_add(&buffer, SLICE("0123456789012345678901234567890"));
	sum = buffer.length;
	buffer_add_char(&buffer, 'x');
	ok(buffer.length == sum && buffer_room(&buffer, 1) == NULL,
	    "a buffer that failed accepts nothing more");
}

int
main(void)
{
	struct arena *arena = arena_new(500000);

	if (!ok(arena != NULL, "arena_new() makes an arena"))
		return tap_done();
	test_memory(arena);
	arena_reset(arena);
	test_cleanups(arena);
	test_buffer(arena);
	arena_free(arena);
	arena_free(NULL);
	ok(true, "arena_free() accepts NULL");
	return tap_done();
}
