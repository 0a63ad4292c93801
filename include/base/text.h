#ifndef TEXT_H
#define TEXT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

/* The text of the number that the macro *limit* stands for. */
#define TEXT_OF(limit) TEXT_OF_EXPANDED(limit)
#define TEXT_OF_EXPANDED(limit) #limit

/* The lower-case hexadecimal digit of *value*, 0 to 15. */
static inline char
text_hex_digit(unsigned value)
{
	return "0123456789abcdef"[value & 15];
}

/* The value of the hexadecimal digit *c*, in either case; -1 if it is none. */
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
 * Read *text*, one or more decimal digits and nothing else, into *number*;
 * UINT64_MAX stands for any number from there on.  Returns false, leaving
 * *number* alone, if *text* has another form.
 */
bool text_read_decimal(struct slice text, uint64_t *number);

#endif
