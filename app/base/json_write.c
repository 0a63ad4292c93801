#include "base/json_write.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/text.h"

static void
write_escape(struct buffer *out, unsigned char byte)
{
	static const char names[] = {
		['"'] = '"',
		['\\'] = '\\',
		['\b'] = 'b',
		['\f'] = 'f',
		['\n'] = 'n',
		['\r'] = 'r',
		['\t'] = 't',
	};

	buffer_add_char(out, '\\');
	if (names[byte] != '\0') {
		buffer_add_char(out, names[byte]);
		return;
	}
	buffer_add_text(out, "u00");
	buffer_add_char(out, text_hex_digit(byte >> 4));
	buffer_add_char(out, text_hex_digit(byte));
}

/* A word of eight bytes that all are *byte*. */
#define EIGHT(byte) (UINT64_C(0x0101010101010101) * (byte))

/*
 * True if one of the eight bytes of *word* is less than *limit*, which is at
 * most 128.  The subtraction sets the highest bit of such a byte, which was not
 * set before.
 */
static bool
has_byte_below(uint64_t word, unsigned limit)
{
	return ((word - EIGHT(limit)) & ~word & EIGHT(0x80)) != 0;
}

/* Return how many bytes at the beginning of *text* need no escape. */
static size_t
count_plain(struct slice text)
{
	size_t length = 0;

	/* Few bytes need an escape, so look at eight bytes at a time first. */
	for (uint64_t word; text.length - length >= sizeof(word);
	     length += sizeof(word)) {
		memcpy(&word, text.data + length, sizeof(word));
		if (has_byte_below(word, 0x20) ||
		    has_byte_below(word ^ EIGHT('"'), 1) ||
		    has_byte_below(word ^ EIGHT('\\'), 1))
			break;
	}
	while (length < text.length) {
		unsigned char byte = (unsigned char)text.data[length];

		if (byte < 0x20 || byte == '"' || byte == '\\')
			break;
		length++;
	}
	return length;
}

void
json_write_string(struct buffer *out, struct slice text)
{
	buffer_add_char(out, '"');
	while (text.length > 0) {
		buffer_add(out, slice_take(&text, count_plain(text)));
		if (text.length > 0)
			write_escape(
			    out, (unsigned char)slice_take(&text, 1).data[0]);
	}
	buffer_add_char(out, '"');
}
