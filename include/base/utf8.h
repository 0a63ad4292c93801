#ifndef UTF8_H
#define UTF8_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

/*
 * Remove the first code point from *text* and put it into *point*.  Returns
 * false, changing nothing, if *text* is empty or does not begin with a
 * well-formed sequence.  Overlong forms, surrogates and code points above
 * U+10FFFF are not well-formed (RFC 3629).
 */
bool utf8_next(struct slice *text, uint32_t *point);

/* True if all of *text* is well-formed UTF-8. */
bool utf8_valid(struct slice text);

/* Return the number of code points in *text*, which must be valid. */
size_t utf8_length(struct slice text);

/* True if *point* has the Unicode property White_Space. */
bool utf8_white_space(uint32_t point);

/*
 * True if a reader can see *point*.  Invisible are the code points with the
 * Unicode property White_Space or Default_Ignorable_Code_Point, and U+2800, the
 * Braille pattern without dots.
 */
bool utf8_visible(uint32_t point);

#endif
