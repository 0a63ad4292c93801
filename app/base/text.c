#include "base/text.h"

#include "base/utf8.h"

/* U+FFFD REPLACEMENT CHARACTER */
#define REPLACEMENT 0xFFFD

bool
text_read_decimal(struct slice text, uint64_t *number)
{
	uint64_t value = 0;

	if (text.length == 0)
		return false;
	for (size_t i = 0; i < text.length; i++) {
		unsigned digit = (unsigned)(text.data[i] - '0');

		if (digit > 9)
			return false;
		value = value > (UINT64_MAX - digit) / 10 ? UINT64_MAX
							  : value * 10 + digit;
	}
	*number = value;
	return true;
}

bool
text_read_number(
    struct slice text, uint64_t min, uint64_t max, uint64_t *number)
{
	uint64_t value;

	if (!text_read_decimal(text, &value) || value < min || value > max ||
	    (text.length > 1 && text.data[0] == '0'))
		return false;
	*number = value;
	return true;
}

/* White space or a control character in Unicode or in JavaScript. */
static bool
is_blank(uint32_t point)
{
	return point < 0x20 || (point >= 0x7F && point <= 0x9F) ||
	    point == 0xFEFF || utf8_white_space(point);
}

const char *
text_problem(struct slice text)
{
	bool blank_end = false;

	for (struct slice rest = text; rest.length > 0;) {
		bool first = rest.length == text.length;
		uint32_t point;

		if (!utf8_next(&rest, &point) || point == REPLACEMENT)
			return "is not valid UTF-8, or has U+FFFD in it";
		if ((first || rest.length == 0) && is_blank(point))
			blank_end = true;
	}
	if (blank_end)
		return "has white space or a control character at its "
		       "beginning or end";
	return NULL;
}
