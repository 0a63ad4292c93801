#ifndef BUFFER_H
#define BUFFER_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "base/arena.h"
#include "base/slice.h"

/*
 * Bytes being written, in memory of an arena.  A write that finds no memory
 * marks the buffer as failed and the ones after it do nothing, so one look at
 * the end is enough.
 */
struct buffer {
	struct arena *arena;
	char *data;
	size_t length;
	size_t capacity;
	bool failed;
};

/* An empty buffer in *arena*. */
struct buffer buffer_in(struct arena *arena);

/* As buffer_room(), if there is not room enough yet. */
char *buffer_grow(struct buffer *buffer, size_t size);

/*
 * Make room for *size* more bytes and return where they go, or NULL if there
 * is no memory.  What was written there counts once buffer_advance() says so.
 */
static inline char *
buffer_room(struct buffer *buffer, size_t size)
{
	if (size > buffer->capacity - buffer->length)
		return buffer_grow(buffer, size);
	return buffer->data + buffer->length;
}

static inline void
buffer_advance(struct buffer *buffer, size_t size)
{
	buffer->length += size;
}

/* Append. */
static inline void
buffer_add(struct buffer *buffer, struct slice text)
{
	char *room;

	if (text.length == 0 ||
	    (room = buffer_room(buffer, text.length)) == NULL)
		return;
	memcpy(room, text.data, text.length);
	buffer->length += text.length;
}

static inline void
buffer_add_char(struct buffer *buffer, char byte)
{
	buffer_add(buffer, (struct slice) { &byte, 1 });
}

void buffer_add_text(struct buffer *buffer, const char *text);
void buffer_add_unsigned(struct buffer *buffer, unsigned long long number);

/* What was written so far; it is the buffer's. */
struct slice buffer_slice(const struct buffer *buffer);

#endif
