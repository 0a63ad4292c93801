#ifndef TEXT_H
#define TEXT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

/* The number that the macro *limit* is defined as, as a string literal. */
#define TEXT_OF(limit) TEXT_OF_EXPANDED(limit)
#define TEXT_OF_EXPANDED(limit) #limit

/* Return the lower-case hexadecimal digit of the low four bits of *value*. */
static inline char
text_hex_digit(unsigned value)
{
	return "0123456789abcdef"[value & 15];
}

/*
 * Return the value of the hexadecimal digit *c*, in either case; -1 if *c* is
 * no hexadecimal digit.
 */
static inline int
text_hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

/* Room for the decimal digits of a uint64_t. */
#define TEXT_DECIMAL_SIZE 20

/* Write *number* in decimal digits, which are then at the end of *digits*. */
static inline struct slice
text_write_decimal(uint64_t number, char digits[TEXT_DECIMAL_SIZE])
{
	size_t first = TEXT_DECIMAL_SIZE;

	do {
		digits[--first] = (char)('0' + number % 10);
		number /= 10;
	} while (number > 0);
	return (struct slice) { digits + first, TEXT_DECIMAL_SIZE - first };
}

/*
 * Read *text*, one or more decimal digits and nothing else, into *number*.  A
 * number above UINT64_MAX is read as UINT64_MAX.  Returns false, leaving
 * *number* unchanged, if *text* has another form.
 */
bool text_read_decimal(struct slice text, uint64_t *number);

/*
 * Read *text*, a number from *min* to *max* in decimal digits without leading
 * zeros, into *number*.  Returns false, leaving *number* alone, if *text* has
 * another form or the number is out of range.
 */
bool text_read_number(
    struct slice text, uint64_t min, uint64_t max, uint64_t *number);

/*
 * Find what is wrong with *text* as the value of a setting: invalid UTF-8,
 * U+FFFD, which the issuer cannot tell from invalid UTF-8, or white space or a
 * control character at either end.  Returns a static text such as "has ...",
 * or NULL if nothing is wrong.
 */
const char *text_problem(struct slice text);

#endif
