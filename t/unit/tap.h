#ifndef TAP_H
#define TAP_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>

#include "base/array.h"

/*
 * The part of the Test Anything Protocol that the unit tests need: ok() for
 * each fact, tap_done() at the end of main().  The name of a fact must not have
 * a
 * "#".
 */
static unsigned tap_count;
static unsigned tap_failures;

#define ok(fact, ...) tap_ok((fact), __FILE__, __LINE__, __VA_ARGS__)

__attribute__((format(printf, 4, 5))) static inline bool
tap_ok(bool fact, const char *file, int line, const char *format, ...)
{
	va_list arguments;

	tap_count++;
	printf("%s %u - ", fact ? "ok" : "not ok", tap_count);
	va_start(arguments, format);
	vprintf(format, arguments);
	va_end(arguments);
	printf("\n");
	if (!fact) {
		tap_failures++;
		printf("# at %s line %d\n", file, line);
	}
	return fact;
}

/* Print the plan and return the exit status for main(). */
static inline int
tap_done(void)
{
	printf("1..%u\n", tap_count);
	return tap_failures == 0 ? 0 : 1;
}

#endif
