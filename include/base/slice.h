#ifndef SLICE_H
#define SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

/*
 * Bytes that somebody else owns: a pointer and a length, not terminated.  data
 * is NULL where there is no value at all, which differs from an empty one.
 */
struct slice {
	const char *data;
	size_t length;
};

/* The slice of a string literal. */
#define SLICE(literal) \
	((struct slice) { .data = (literal), .length = sizeof(literal) - 1 })

/* The slice of the terminated *text*, which may be NULL. */
static inline struct slice
slice_of(const char *text)
{
	return (struct slice) { text, text == NULL ? 0 : strlen(text) };
}

/* Take the first *length* bytes off *text*, which has as many. */
static inline struct slice
slice_take(struct slice *text, size_t length)
{
	struct slice taken = { text->data, length };

	text->data += length;
	text->length -= length;
	return taken;
}

/*
 * Take what is before the first *mark*, and the mark itself, off *text*.
 * Returns false, leaving *text* alone, if there is no mark in it.
 */
static inline bool
slice_take_until(struct slice *text, char mark, struct slice *taken)
{
	const char *end = text->length == 0
	    ? NULL
	    : memchr(text->data, mark, text->length);

	if (end == NULL)
		return false;
	*taken = slice_take(text, (size_t)(end - text->data));
	(void)slice_take(text, 1);
	return true;
}

/* Are *a* and *b* the same bytes?  Stops at the first that differs. */
static inline bool
slice_equal(struct slice a, struct slice b)
{
	return a.length == b.length &&
	    (a.length == 0 || memcmp(a.data, b.data, a.length) == 0);
}

/* Are *a* and *b* equal but for the case of ASCII letters? */
static inline bool
slice_equal_nocase(struct slice a, struct slice b)
{
	if (a.length != b.length)
		return false;
	for (size_t i = 0; i < a.length; i++) {
		unsigned char x = (unsigned char)a.data[i];
		unsigned char y = (unsigned char)b.data[i];

		if (x >= 'A' && x <= 'Z')
			x |= 0x20;
		if (y >= 'A' && y <= 'Z')
			y |= 0x20;
		if (x != y)
			return false;
	}
	return true;
}

/* May *c* stand in a token, such as a name (tchar of RFC 9110 5.6.2)? */
static inline bool
slice_is_tchar(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') ||
	    (c >= 'a' && c <= 'z') ||
	    (c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

/* Is *c* white space that may stand around field values (RFC 9110 5.6.3)? */
static inline bool
slice_is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* *text* without such white space at its ends. */
static inline struct slice
slice_trim(struct slice text)
{
	while (text.length > 0 && slice_is_blank(text.data[0])) {
		text.data++;
		text.length--;
	}
	while (text.length > 0 && slice_is_blank(text.data[text.length - 1]))
		text.length--;
	return text;
}

#endif
