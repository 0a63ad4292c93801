#include "http/media_type.h"

#include <stdbool.h>
#include <stddef.h>

/* Skip *c*.  Returns false if *text* does not begin with *c*. */
static bool
skip_char(struct slice *text, char c)
{
	if (text->length == 0 || text->data[0] != c)
		return false;
	(void)slice_take(text, 1);
	return true;
}

/* Remove a token (RFC 9110 section 5.6.2) and return it; it may be empty. */
static struct slice
take_token(struct slice *text)
{
	size_t length = 0;

	while (length < text->length && slice_is_tchar(text->data[length]))
		length++;
	return slice_take(text, length);
}

/*
 * Remove the rest of a quoted-string (section 5.6.4), after its first quote.
 * *value* is the text between the quotes, with its backslashes.
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
	return skip_char(text, '"');
}

/*
 * Remove a parameter (section 5.6.6) and the ";" after it, if there is one.
 * *name* is empty if the parameter is empty, as between two ";".  Returns false
 * if the parameter is malformed.
 */
static bool
take_parameter(struct slice *text, struct slice *name, struct slice *value)
{
	*text = slice_trim(*text);
	*name = take_token(text);
	*value = (struct slice) { NULL, 0 };
	if (name->length > 0) {
		if (!skip_char(text, '='))
			return false;
		if (skip_char(text, '"')) {
			if (!take_quoted(text, value))
				return false;
		} else if ((*value = take_token(text)).length == 0) {
			return false;
		}
	}
	*text = slice_trim(*text);
	return text->length == 0 || skip_char(text, ';');
}

/* True if *value*, which may have backslashes, is the charset UTF-8. */
static bool
is_utf8(struct slice value)
{
	char name[sizeof("utf-8") - 1];
	bool escaped = false;
	size_t length = 0;

	for (size_t i = 0; i < value.length; i++) {
		/* A backslash stands for the character after it. */
		escaped = value.data[i] == '\\' && !escaped;
		if (escaped)
			continue;
		if (length == sizeof(name))
			return false;
		name[length++] = value.data[i];
	}
	value = (struct slice) { name, length };
	return slice_equal_nocase(value, SLICE("utf-8")) ||
	    slice_equal_nocase(value, SLICE("utf8"));
}

/*
 * Remove a media type without its parameters, such as "a/b", and return it; it
 * may be empty.
 */
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
media_type_check(enum method method, struct slice content_type)
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
	if (content_type.length > 0 && !skip_char(&content_type, ';'))
		return STATUS_UNSUPPORTED_MEDIA_TYPE;

	while (content_type.length > 0)
		if (!take_parameter(&content_type, &name, &value) ||
		    (slice_equal_nocase(name, SLICE("charset")) &&
			!is_utf8(value)))
			return STATUS_UNSUPPORTED_MEDIA_TYPE;
	return STATUS_OK;
}
