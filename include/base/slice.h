#ifndef SLICE_H
#define SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

/*
 * Bytes that the slice does not own: a pointer and a length, not terminated.
 * *data* is NULL if there is no value at all, which differs from an empty
 * value.
 */
struct slice {
	const char *data;
	size_t length;
};

/* The slice of a string literal, without its NUL. */
#define SLICE(literal) \
	((struct slice) { .data = (literal), .length = sizeof(literal) - 1 })

/* The slice of the terminated *text*, which may be NULL. */
static inline struct slice
slice_of(const char *text)
{
	return (struct slice) { text, text == NULL ? 0 : strlen(text) };
}

/*
 * Remove the first *length* bytes of *text* and return them.  *text* must have
 * at least *length* bytes.
 */
static inline struct slice
slice_take(struct slice *text, size_t length)
{
	struct slice taken = { text->data, length };

	text->data += length;
	text->length -= length;
	return taken;
}

/*
 * Remove all bytes up to the first *mark* from *text*, and put the bytes before
 * the mark into *taken*.  Returns false, changing nothing, if *text* has no
 * *mark*.
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

/*
 * True if *a* and *b* have the same bytes.  The time depends on where the first
 * difference is.
 */
static inline bool
slice_equal(struct slice a, struct slice b)
{
	return a.length == b.length &&
	    (a.length == 0 || memcmp(a.data, b.data, a.length) == 0);
}

/*
 * Take *prefix* off *text*.  Returns false, leaving *text* alone, if *text*
 * begins otherwise.
 */
static inline bool
slice_take_prefix(struct slice *text, struct slice prefix)
{
	struct slice rest = *text;

	if (rest.length < prefix.length ||
	    !slice_equal(slice_take(&rest, prefix.length), prefix))
		return false;
	*text = rest;
	return true;
}

/* True if *a* and *b* are equal, ignoring the case of ASCII letters. */
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

/* True if *c* is an ASCII letter or digit. */
static inline bool
slice_is_alphanumeric(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') ||
	    (c >= 'a' && c <= 'z');
}

/* True if *c* is a tchar (RFC 9110 section 5.6.2). */
static inline bool
slice_is_tchar(char c)
{
	return slice_is_alphanumeric(c) ||
	    (c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

/* True if *c* is white space within a line (RFC 9110 section 5.6.3). */
static inline bool
slice_is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* Return *text* without the white space at its ends. */
static inline struct slice
slice_trim(struct slice text)
{
	while (text.length > 0 && slice_is_blank(text.data[0]))
		(void)slice_take(&text, 1);
	while (text.length > 0 && slice_is_blank(text.data[text.length - 1]))
		text.length--;
	return text;
}

#endif
