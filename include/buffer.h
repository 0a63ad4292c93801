#ifndef BUFFER_H
#define BUFFER_H

#include <stdbool.h>
#include <stddef.h>

#include "pool.h"
#include "slice.h"

/*
 * Bytes being written, in memory of a pool.  A write that finds no memory
 * marks the buffer as failed and the ones after it do nothing, so one look at
 * the end is enough.
 */
struct buffer {
	struct pool *pool;
	char *data;
	size_t length;
	size_t capacity;
	bool failed;
};

/* An empty buffer in *pool*. */
struct buffer buffer_in(struct pool *pool);

/*
 * Make room for *size* more bytes and return where they go, or NULL if there
 * is no memory.  What was written there counts once buffer_advance() says so.
 */
char *buffer_room(struct buffer *buffer, size_t size);
void buffer_advance(struct buffer *buffer, size_t size);

/* Append. */
void buffer_add(struct buffer *buffer, struct slice text);
void buffer_add_text(struct buffer *buffer, const char *text);
void buffer_add_char(struct buffer *buffer, char byte);
void buffer_add_unsigned(struct buffer *buffer, unsigned long long number);

/* What was written so far; it is the buffer's. */
struct slice buffer_slice(const struct buffer *buffer);

#endif
