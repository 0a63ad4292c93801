#include "buffer.h"

#include <stdint.h>
#include <string.h>

#define FIRST_CAPACITY ((size_t)1024)

struct buffer
buffer_in(struct pool *pool)
{
	return (struct buffer) { .pool = pool };
}

char *
buffer_room(struct buffer *buffer, size_t size)
{
	size_t capacity = buffer->capacity;
	char *data;

	if (buffer->failed)
		return NULL;
	if (size <= capacity - buffer->length)
		return buffer->data + buffer->length;

	if (capacity == 0)
		capacity = FIRST_CAPACITY;
	while (size > capacity - buffer->length) {
		if (capacity > SIZE_MAX / 2) {
			buffer->failed = true;
			return NULL;
		}
		capacity *= 2;
	}
	if ((data = pool_alloc(buffer->pool, capacity)) == NULL) {
		buffer->failed = true;
		return NULL;
	}
	if (buffer->length > 0)
		memcpy(data, buffer->data, buffer->length);
	buffer->data = data;
	buffer->capacity = capacity;
	return buffer->data + buffer->length;
}

void
buffer_advance(struct buffer *buffer, size_t size)
{
	buffer->length += size;
}

void
buffer_add(struct buffer *buffer, struct slice text)
{
	char *room;

	if (text.length == 0)
		return;
	if ((room = buffer_room(buffer, text.length)) == NULL)
		return;
	memcpy(room, text.data, text.length);
	buffer->length += text.length;
}

void
buffer_add_text(struct buffer *buffer, const char *text)
{
	buffer_add(buffer, slice_of(text));
}

void
buffer_add_char(struct buffer *buffer, char byte)
{
	char *room;

	if ((room = buffer_room(buffer, 1)) == NULL)
		return;
	*room = byte;
	buffer->length++;
}

void
buffer_add_unsigned(struct buffer *buffer, unsigned long long number)
{
	char digits[20];
	size_t first = sizeof(digits);

	do {
		digits[--first] = (char)('0' + number % 10);
		number /= 10;
	} while (number > 0);
	buffer_add(
	    buffer, (struct slice) { digits + first, sizeof(digits) - first });
}

struct slice
buffer_slice(const struct buffer *buffer)
{
	return (struct slice) { buffer->data, buffer->length };
}
