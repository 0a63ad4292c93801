#include "http/request.h"

#include <string.h>

#include "base/text.h"

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
 * Take the next byte off *text*, decoding an escape.  Returns -1 at a "%" that
 * begins none.
 */
static int
next_byte(struct slice *text)
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

/* Is *segment* one that nobody could take for another path? */
static bool
segment_is_sound(struct slice segment)
{
	bool only_dots = true;
	size_t count = 0;

	while (segment.length > 0) {
		int byte = next_byte(&segment);

		if (byte < ' ' || byte == 0x7f || byte == '/' || byte == '\\')
			return false; /* -1 among them */
		only_dots = only_dots && byte == '.';
		count++;
	}
	return count > 0 && !(only_dots && count <= 2);
}

enum status
request_split(struct slice target, struct target *parts)
{
	const char *query;
	const char *at, *end;

	*parts = (struct target) { .segment_count = 0 };
	if (target.length == 0 || target.length > REQUEST_TARGET_MAX ||
	    target.data[0] != '/' ||
	    memchr(target.data, '#', target.length) != NULL)
		return STATUS_BAD_REQUEST;

	end = target.data + target.length;
	if ((query = memchr(target.data, '?', target.length)) != NULL) {
		parts->query.data = query + 1;
		parts->query.length = (size_t)(end - query) - 1;
		end = query;
	}

	for (at = target.data; at < end;) {
		const char *first = ++at; /* behind the "/" */
		struct slice segment;

		if ((at = memchr(first, '/', (size_t)(end - first))) == NULL)
			at = end;
		segment = (struct slice) { first, (size_t)(at - first) };
		if (!segment_is_sound(segment))
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
		int byte = next_byte(&text);

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
	const char *end, *equals;
	size_t length;

	do {
		if (query->length == 0)
			return false;
		end = memchr(query->data, '&', query->length);
		length = end == NULL ? query->length
				     : (size_t)(end - query->data);
		*name = (struct slice) { query->data, length };
		if (end != NULL)
			length++;
		query->data += length;
		query->length -= length;
	} while (name->length == 0);

	*value = (struct slice) { NULL, 0 };
	equals = memchr(name->data, '=', name->length);
	if (equals != NULL) {
		value->data = equals + 1;
		value->length = name->length -
		    (size_t)(value->data - name->data);
		name->length = (size_t)(equals - name->data);
	}
	return true;
}

/* Take *c* off the front of *text*, if it is there. */
static bool
take_char(struct slice *text, char c)
{
	if (text->length == 0 || text->data[0] != c)
		return false;
	(void)slice_take(text, 1);
	return true;
}

/* Take a token (RFC 9110 section 5.6.2), maybe an empty one. */
static struct slice
take_token(struct slice *text)
{
	size_t length = 0;

	while (length < text->length && slice_is_tchar(text->data[length]))
		length++;
	return slice_take(text, length);
}

/*
 * Take the rest of a quoted-string (section 5.6.4), whose first quote is gone.
 * *value* is what stands between the quotes, with its backslashes.
 */
static bool
take_quoted(struct slice *text, struct slice *value)
{
	size_t length = 0;

	while (length < text->length && text->data[length] != '"')
		length += text->data[length] == '\\' ? 2 : 1;
	if (length >= text->length)
		return false;
	*value = slice_take(text, length);
	return take_char(text, '"');
}

/*
 * Take a parameter (section 5.6.6) and the ";" after it, if there is one.
 * *name* is empty if there is none between two of these.  Returns false if
 * that is not what stands there.
 */
static bool
take_parameter(struct slice *text, struct slice *name, struct slice *value)
{
	*text = slice_trim(*text);
	*name = take_token(text);
	*value = (struct slice) { NULL, 0 };
	if (name->length > 0) {
		if (!take_char(text, '='))
			return false;
		if (take_char(text, '"')) {
			if (!take_quoted(text, value))
				return false;
		} else if ((*value = take_token(text)).length == 0) {
			return false;
		}
	}
	*text = slice_trim(*text);
	return text->length == 0 || take_char(text, ';');
}

/* Is *value*, maybe with the backslashes of a quoted-string, UTF-8's name? */
static bool
is_utf8(struct slice value)
{
	char name[sizeof("utf-8") - 1];
	bool escaped = false;
	size_t length = 0;

	for (size_t i = 0; i < value.length; i++) {
		escaped = value.data[i] == '\\' && !escaped;
		if (escaped)
			continue; /* what it escapes counts */
		if (length == sizeof(name))
			return false;
		name[length++] = value.data[i];
	}
	value = (struct slice) { name, length };
	return slice_equal_nocase(value, SLICE("utf-8")) ||
	    slice_equal_nocase(value, SLICE("utf8"));
}

/* Take a media type without its parameters, "a/b"; maybe an empty one. */
static struct slice
take_media_type(struct slice *text)
{
	size_t length = 0;

	while (length < text->length &&
	    (text->data[length] == '/' || slice_is_tchar(text->data[length])))
		length++;
	return slice_take(text, length);
}

enum status
request_is_json(enum method method, struct slice content_type)
{
	struct slice type, name, value;

	content_type = slice_trim(content_type);
	if (content_type.length == 0)
		return STATUS_UNSUPPORTED_MEDIA_TYPE;
	type = take_media_type(&content_type);
	if (!slice_equal_nocase(type, SLICE("application/json")) &&
	    !(method == METHOD_PATCH &&
		slice_equal_nocase(
		    type, SLICE("application/merge-patch+json"))))
		return STATUS_UNSUPPORTED_MEDIA_TYPE;
	content_type = slice_trim(content_type);
	if (content_type.length > 0 && !take_char(&content_type, ';'))
		return STATUS_UNSUPPORTED_MEDIA_TYPE;

	while (content_type.length > 0)
		if (!take_parameter(&content_type, &name, &value) ||
		    (slice_equal_nocase(name, SLICE("charset")) &&
			!is_utf8(value)))
			return STATUS_UNSUPPORTED_MEDIA_TYPE;
	return STATUS_OK;
}

/*
 * Take an entity tag, with its quotes but without "W/", off *field* (RFC 9110
 * section 8.8.3).  Returns false if *field* does not begin with one.
 */
static bool
take_tag(struct slice *field, struct slice *tag)
{
	const char *end = field->data + field->length;
	const char *at = field->data;

	if (end - at >= 2 && at[0] == 'W' && at[1] == '/')
		at += 2;
	if (at == end || *at != '"')
		return false;
	tag->data = at++;
	while (at < end && *at != '"') {
		if ((unsigned char)*at <= ' ' || *at == 0x7f)
			return false;
		at++;
	}
	if (at++ == end)
		return false;
	tag->length = (size_t)(at - tag->data);
	*field = (struct slice) { at, (size_t)(end - at) };
	return true;
}

bool
request_next_tag(struct slice *field, struct slice *tag)
{
	/* Empty elements of a list are ignored (RFC 9110 section 5.6.1). */
	while (field->length > 0 &&
	    (field->data[0] == ',' || slice_is_blank(field->data[0])))
		(void)slice_take(field, 1);
	if (field->length == 0 || !take_tag(field, tag))
		return false;
	*field = slice_trim(*field);
	return field->length == 0 || field->data[0] == ',';
}
