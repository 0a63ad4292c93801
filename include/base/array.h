#ifndef ARRAY_H
#define ARRAY_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

/* The number of elements of *array*, which is an array and not a pointer. */
#define ARRAY_COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Is *text* equal to one of the *count* texts in *list*? */
static inline bool
array_has_text(const char *const *list, size_t count, const char *text)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(list[i], text) == 0)
			return true;
	return false;
}

#endif
