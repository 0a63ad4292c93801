#ifndef TAP_H
#define TAP_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>

/*
 * The Test Anything Protocol, as much of it as a test here needs: one fact per
 * ok(), tap_done() at the end of main().  A fact's name may hold no "#".
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

/* Print the plan; the exit status for main(). */
static inline int
tap_done(void)
{
	printf("1..%u\n", tap_count);
	return tap_failures == 0 ? 0 : 1;
}

/* How many elements an array has. */
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#endif
