#include "base/uuid.h"

#include <stdbool.h>
#include <sys/random.h>

#include "base/text.h"

/* True if the text has a hyphen before byte *i*. */
static bool
hyphen_before(unsigned i)
{
	return i == 4 || i == 6 || i == 8 || i == 10;
}

enum status
uuid_v7(int64_t now_us, struct uuid *uuid)
{
	uint64_t milliseconds = (uint64_t)now_us / 1000;
	unsigned fraction = (unsigned)(now_us % 1000) * 4096 / 1000;
	unsigned char *bytes = uuid->bytes;

	if (getrandom(bytes + 8, 8, 0) != 8)
		return STATUS_INTERNAL;
	for (unsigned i = 0; i < 6; i++)
		bytes[i] = (unsigned char)(milliseconds >> (40 - 8 * i));
	bytes[6] = (unsigned char)(0x70 | fraction >> 8);
	bytes[7] = (unsigned char)fraction;
	bytes[8] = (unsigned char)(0x80 | (bytes[8] & 0x3f));
	return STATUS_OK;
}

/* As text_hex_value(), but -1 for upper case too. */
static int
lower_hex_value(char c)
{
	return c >= 'A' && c <= 'F' ? -1 : text_hex_value(c);
}

enum status
uuid_read(struct slice text, struct uuid *uuid)
{
	const char *in = text.data;

	if (text.length != UUID_TEXT_LENGTH)
		return STATUS_INVALID;
	for (unsigned i = 0; i < sizeof(uuid->bytes); i++) {
		int high, low;

		if (hyphen_before(i) && *in++ != '-')
			return STATUS_INVALID;
		high = lower_hex_value(*in++);
		low = lower_hex_value(*in++);
		if (high < 0 || low < 0)
			return STATUS_INVALID;
		uuid->bytes[i] = (unsigned char)(high << 4 | low);
	}
	return STATUS_OK;
}

/* Write *count* bytes in digits and return the position after them. */
static char *
write_bytes(char *out, const unsigned char *bytes, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		*out++ = text_hex_digit(bytes[i] >> 4);
		*out++ = text_hex_digit(bytes[i]);
	}
	return out;
}

void
uuid_write(const struct uuid *uuid, char out[UUID_TEXT_LENGTH])
{
	const unsigned char *bytes = uuid->bytes;

	out = write_bytes(out, bytes, 4);
	*out++ = '-';
	out = write_bytes(out, bytes + 4, 2);
	*out++ = '-';
	out = write_bytes(out, bytes + 6, 2);
	*out++ = '-';
	out = write_bytes(out, bytes + 8, 2);
	*out++ = '-';
	(void)write_bytes(out, bytes + 10, 6);
}
