#include "base/base64url.h"

#include <stdint.h>

static const char alphabet[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/* The six bits that *character* encodes, or -1 if it is not base64url. */
static int
six_bits(char character)
{
	if (character >= 'A' && character <= 'Z')
		return character - 'A';
	if (character >= 'a' && character <= 'z')
		return character - 'a' + 26;
	if (character >= '0' && character <= '9')
		return character - '0' + 52;
	if (character == '-')
		return 62;
	if (character == '_')
		return 63;
	return -1;
}

enum status
base64url_decode(struct arena *arena, struct slice text, struct slice *bytes)
{
	uint32_t bits = 0; /* its low *count* bits are not written yet */
	unsigned count = 0;
	size_t length = 0;
	char *out;

	/* One character left over has six bits, which is no byte. */
	if (text.length % 4 == 1)
		return STATUS_INVALID;
	if ((out = arena_alloc(arena, text.length / 4 * 3 + 3)) == NULL)
		return STATUS_INTERNAL;

	for (size_t i = 0; i < text.length; i++) {
		int six = six_bits(text.data[i]);

		if (six < 0)
			return STATUS_INVALID;
		bits = bits << 6 | (uint32_t)six;
		count += 6;
		if (count >= 8) {
			count -= 8;
			out[length++] = (char)(bits >> count & 0xFF);
		}
	}
	if ((bits & ((1U << count) - 1)) != 0)
		return STATUS_INVALID;
	out[length] = '\0';
	*bytes = (struct slice) { out, length };
	return STATUS_OK;
}

enum status
base64url_encode(struct arena *arena, struct slice bytes, struct slice *text)
{
	uint32_t bits = 0;
	unsigned count = 0;
	size_t length = 0;
	char *out;

	if ((out = arena_alloc(arena, bytes.length / 3 * 4 + 4)) == NULL)
		return STATUS_INTERNAL;

	for (size_t i = 0; i < bytes.length; i++) {
		bits = bits << 8 | (unsigned char)bytes.data[i];
		for (count += 8; count >= 6; count -= 6)
			out[length++] = alphabet[bits >> (count - 6) & 0x3F];
	}
	if (count > 0)
		out[length++] = alphabet[bits << (6 - count) & 0x3F];
	out[length] = '\0';
	*text = (struct slice) { out, length };
	return STATUS_OK;
}
