/*
 * Not a test: prints each range of code points that are not visible, one a
 * line, for the test that compares them with Unicode's properties.
 */

#include <stdio.h>

#include "base/utf8.h"

int
main(void)
{
	uint32_t first = 0;

	/* *first* is where a range would begin that ends before *point*. */
	for (uint32_t point = 0; point <= 0x110000; point++)
		if (point == 0x110000 || utf8_visible(point)) {
			if (first < point)
				printf("%04X %04X\n", (unsigned)first,
				    (unsigned)point - 1);
			first = point + 1;
		}
	return 0;
}
