#ifndef BUFFER_H
#define BUFFER_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "base/arena.h"
#include "base/slice.h"

/*
 * Bytes being written, in memory of an arena.  If there is no memory, *failed*
 * is set and later writes do nothing, so the caller checks *failed* once, at
 * the end.
 */
struct buffer {
	struct arena *arena;
	char *data;
	size_t length;
	size_t capacity;
	bool failed;
};

/* Return an empty buffer in *arena*. */
struct buffer buffer_in(struct arena *arena);

/* The slow path of buffer_room(): allocate a larger buffer. */
char *buffer_grow(struct buffer *buffer, size_t size);

/*
 * Make room for *size* more bytes and return where they go, or NULL if there
 * is no memory.  After writing there, call buffer_advance() with the number of
 * bytes written.
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

/* Append *text*. */
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

/* Append the terminated *text*. */
void buffer_add_text(struct buffer *buffer, const char *text);

/* Append *number* in decimal digits. */
void buffer_add_unsigned(struct buffer *buffer, unsigned long long number);

/* Return what was written so far.  The bytes belong to the buffer. */
struct slice buffer_slice(const struct buffer *buffer);

#endif
