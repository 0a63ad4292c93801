#include "base/buffer.h"

#include <stdint.h>

#include "base/text.h"

#define FIRST_CAPACITY ((size_t)1024)

struct buffer
buffer_in(struct arena *arena)
{
	return (struct buffer) { .arena = arena };
}

char *
buffer_grow(struct buffer *buffer, size_t size)
{
	size_t capacity = buffer->capacity;
	char *data;

	if (buffer->failed)
		return NULL;
	if (capacity == 0)
		capacity = FIRST_CAPACITY;
	while (size > capacity - buffer->length) {
		if (capacity > SIZE_MAX / 2)
			goto fail;
		capacity *= 2;
	}
	if ((data = arena_alloc(buffer->arena, capacity)) == NULL)
		goto fail;
	if (buffer->length > 0)
		memcpy(data, buffer->data, buffer->length);
	buffer->data = data;
	buffer->capacity = capacity;
	return buffer->data + buffer->length;

fail:
	buffer->failed = true;
	buffer->capacity = buffer->length; /* so that later writes fail too */
	return NULL;
}

void
buffer_add_text(struct buffer *buffer, const char *text)
{
	buffer_add(buffer, slice_of(text));
}

void
buffer_add_unsigned(struct buffer *buffer, unsigned long long number)
{
	char digits[TEXT_DECIMAL_SIZE];

	buffer_add(buffer, text_write_decimal(number, digits));
}

struct slice
buffer_slice(const struct buffer *buffer)
{
	return (struct slice) { buffer->data, buffer->length };
}
