#ifndef UTF8_H
#define UTF8_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

/*
 * Take the first code point off *text* into *point*.  Returns false, leaving
 * *text* alone, if it is empty or does not begin with a well-formed sequence:
 * no overlong forms, no surrogates, nothing past U+10FFFF (RFC 3629).
 */
bool utf8_next(struct slice *text, uint32_t *point);

/* Is *text* well-formed from beginning to end? */
bool utf8_valid(struct slice text);

/* The number of code points in *text*, which must be valid. */
size_t utf8_length(struct slice text);

/* Has *point* Unicode's property White_Space? */
bool utf8_white_space(uint32_t point);

/*
 * Can a reader see *point*?  Not if it has one of Unicode's properties
 * White_Space and Default_Ignorable_Code_Point, or is U+2800, the Braille
 * pattern without a dot.
 */
bool utf8_visible(uint32_t point);

#endif
