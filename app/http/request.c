#include "http/request.h"

#include <string.h>

#include "base/text.h"

/* The detail of STATUS_CONTENT_TOO_LARGE names this limit. */
_Static_assert(REQUEST_BODY_MAX == 16384, "base/status.c has another limit");

static const char *const method_names[METHOD_COUNT] = {
	[METHOD_GET] = "GET",
	[METHOD_HEAD] = "HEAD",
	[METHOD_POST] = "POST",
	[METHOD_PUT] = "PUT",
	[METHOD_PATCH] = "PATCH",
	[METHOD_DELETE] = "DELETE",
	[METHOD_OPTIONS] = "OPTIONS",
	[METHOD_OTHER] = "other",
};

enum method
request_method(struct slice name)
{
	for (enum method m = METHOD_GET; m < METHOD_OTHER; m++)
		if (slice_equal(name, slice_of(method_names[m])))
			return m;
	return METHOD_OTHER;
}

const char *
request_method_name(enum method method)
{
	return method_names[method];
}

/*
 * Remove the next byte from *text*, which is not empty, and return it; an
 * escape "%XX" counts as one byte, decoded.  Returns -1 at a "%" that begins no
 * escape.
 */
static int
take_byte(struct slice *text)
{
	int byte = (unsigned char)text->data[0];
	size_t length = 1;

	if (byte == '%') {
		int high, low;

		if (text->length < 3)
			return -1;
		high = text_hex_value(text->data[1]);
		low = text_hex_value(text->data[2]);
		if (high < 0 || low < 0)
			return -1;
		byte = high << 4 | low;
		length = 3;
	}
	(void)slice_take(text, length);
	return byte;
}

/*
 * True if *segment* cannot make its path another path, however often it is
 * decoded or normalised.
 */
static bool
is_sound_segment(struct slice segment)
{
	bool only_dots = true;
	size_t count = 0;

	while (segment.length > 0) {
		int byte = take_byte(&segment);

		/* -1 is less than ' ' too. */
		if (byte < ' ' || byte == 0x7f || byte == '/' || byte == '\\')
			return false;
		only_dots = only_dots && byte == '.';
		count++;
	}
	return count > 0 && !(only_dots && count <= 2);
}

enum status
request_split(struct slice target, struct target *parts)
{
	struct slice path;
	bool last = false;

	*parts = (struct target) { .segment_count = 0 };
	if (target.length == 0 || target.length > REQUEST_TARGET_MAX ||
	    target.data[0] != '/' ||
	    memchr(target.data, '#', target.length) != NULL)
		return STATUS_BAD_REQUEST;
	if (slice_take_until(&target, '?', &path))
		parts->query = target;
	else
		path = target;

	(void)slice_take(&path, 1);
	while (!last) {
		struct slice segment;

		if (!slice_take_until(&path, '/', &segment)) {
			segment = path;
			last = true;
		}
		if (!is_sound_segment(segment))
			return STATUS_BAD_REQUEST;
		if (parts->segment_count < REQUEST_SEGMENTS_MAX)
			parts->segments[parts->segment_count++] = segment;
	}
	return STATUS_OK;
}

enum status
request_decode(struct arena *arena, struct slice text, struct slice *decoded)
{
	size_t length = 0;
	char *bytes;

	if ((bytes = arena_alloc(arena, text.length + 1)) == NULL)
		return STATUS_INTERNAL;
	while (text.length > 0) {
		int byte = take_byte(&text);

		if (byte < 0)
			return STATUS_INVALID;
		bytes[length++] = (char)byte;
	}
	*decoded = (struct slice) { bytes, length };
	return STATUS_OK;
}

bool
request_next_parameter(
    struct slice *query, struct slice *name, struct slice *value)
{
	struct slice parameter;

	do {
		if (query->length == 0)
			return false;
		if (!slice_take_until(query, '&', &parameter))
			parameter = slice_take(query, query->length);
	} while (parameter.length == 0);

	*value = parameter;
	if (!slice_take_until(value, '=', name)) {
		*name = parameter;
		*value = (struct slice) { NULL, 0 };
	}
	return true;
}
