#include "base/utf8.h"

#include "base/array.h"

/*
 * The sequences of RFC 3629 section 4, by their first byte.  The second byte
 * alone decides whether a sequence is overlong, a surrogate or above U+10FFFF,
 * so only its range depends on the first byte.  All later bytes are 80 to BF.
 */
struct form {
	unsigned char first_low, first_high;
	unsigned char second_low, second_high;
	unsigned char length;
};

static const struct form forms[] = {
	{ 0xC2, 0xDF, 0x80, 0xBF, 2 },
	{ 0xE0, 0xE0, 0xA0, 0xBF, 3 },
	{ 0xE1, 0xEC, 0x80, 0xBF, 3 },
	{ 0xED, 0xED, 0x80, 0x9F, 3 },
	{ 0xEE, 0xEF, 0x80, 0xBF, 3 },
	{ 0xF0, 0xF0, 0x90, 0xBF, 4 },
	{ 0xF1, 0xF3, 0x80, 0xBF, 4 },
	{ 0xF4, 0xF4, 0x80, 0x8F, 4 },
};

static const struct form *
find_form(unsigned char first)
{
	for (size_t i = 0; i < ARRAY_COUNT(forms); i++) {
		if (first >= forms[i].first_low && first <= forms[i].first_high)
			return &forms[i];
	}
	return NULL;
}

bool
utf8_next(struct slice *text, uint32_t *point)
{
	const struct form *form;
	unsigned char byte;
	uint32_t value;

	if (text->length == 0)
		return false;
	byte = (unsigned char)text->data[0];
	if (byte < 0x80) {
		*point = byte;
		(void)slice_take(text, 1);
		return true;
	}
	if ((form = find_form(byte)) == NULL || text->length < form->length)
		return false;

	/* The first byte holds 7 - length bits of the code point, each other
	 * byte 6. */
	value = byte & (0x7FU >> form->length);
	for (size_t i = 1; i < form->length; i++) {
		byte = (unsigned char)text->data[i];
		if (byte < (i == 1 ? form->second_low : 0x80) ||
		    byte > (i == 1 ? form->second_high : 0xBF))
			return false;
		value = value << 6 | (byte & 0x3F);
	}
	*point = value;
	(void)slice_take(text, form->length);
	return true;
}

bool
utf8_valid(struct slice text)
{
	uint32_t point;

	while (utf8_next(&text, &point))
		;
	return text.length == 0;
}

size_t
utf8_length(struct slice text)
{
	size_t length = 0;

	for (size_t i = 0; i < text.length; i++)
		length += ((unsigned char)text.data[i] & 0xC0) != 0x80;
	return length;
}

bool
utf8_white_space(uint32_t point)
{
	/* PropList.txt of the Unicode Character Database; stable since 6.3. */
	return (point >= 0x09 && point <= 0x0D) || point == 0x20 ||
	    point == 0x85 || point == 0xA0 || point == 0x1680 ||
	    (point >= 0x2000 && point <= 0x200A) || point == 0x2028 ||
	    point == 0x2029 || point == 0x202F || point == 0x205F ||
	    point == 0x3000;
}

/*
 * Default_Ignorable_Code_Point: DerivedCoreProperties.txt of the Unicode
 * Character Database, version 14.0.0.
 */
static const struct {
	uint32_t first, last;
} ignorable[] = {
	{ 0xAD, 0xAD },
	{ 0x34F, 0x34F },
	{ 0x61C, 0x61C },
	{ 0x115F, 0x1160 },
	{ 0x17B4, 0x17B5 },
	{ 0x180B, 0x180F },
	{ 0x200B, 0x200F },
	{ 0x202A, 0x202E },
	{ 0x2060, 0x206F },
	{ 0x3164, 0x3164 },
	{ 0xFE00, 0xFE0F },
	{ 0xFEFF, 0xFEFF },
	{ 0xFFA0, 0xFFA0 },
	{ 0xFFF0, 0xFFF8 },
	{ 0x1BCA0, 0x1BCA3 },
	{ 0x1D173, 0x1D17A },
	{ 0xE0000, 0xE0FFF },
};

bool
utf8_visible(uint32_t point)
{
	for (size_t i = 0; i < ARRAY_COUNT(ignorable); i++)
		if (point >= ignorable[i].first && point <= ignorable[i].last)
			return false;
	return point != 0x2800 && !utf8_white_space(point);
}
