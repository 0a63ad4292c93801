#ifndef SCARCE_H
#define SCARCE_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/*
 * An allocator that can be made to fail, for the test program and all libraries
 * that it is linked with.  The sanitizers and valgrind have allocators of their
 * own; with these no allocation can be made to fail.
 *
 * scarce_after allocations succeed, then one fails, and all later ones succeed.
 * If scarce_after is negative, no allocation fails.
 */
static long scarce_after = -1;

#ifdef __SANITIZE_ADDRESS__
#define SCARCE 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SCARCE 0
#endif
#endif
#ifndef SCARCE
#define SCARCE 1
#endif

#ifdef TODO_COVERAGE
void __gcov_dump(void);
#endif

/* End a child process without exit handlers, but save its coverage counts. */
static inline _Noreturn void
scarce_exit(int code)
{
#ifdef TODO_COVERAGE
	__gcov_dump();
#endif
	_exit(code);
}

#if SCARCE
/* The functions of glibc, under the names that it exports for replacements. */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *old, size_t size);
/* Visible to the libraries, in spite of -fvisibility=hidden. */
#define SCARCE_VISIBLE __attribute__((visibility("default")))
SCARCE_VISIBLE void *malloc(size_t size);
SCARCE_VISIBLE void *calloc(size_t count, size_t size);
SCARCE_VISIBLE void *realloc(void *old, size_t size);

/* True if allocations can be made to fail. */
static bool
scarce_possible(void)
{
	const char *preloaded = getenv("LD_PRELOAD");

	return preloaded == NULL || strstr(preloaded, "vgpreload") == NULL;
}

/* True if this allocation has to fail. */
static bool
scarce_fails(void)
{
	if (scarce_after < 0 || scarce_after-- > 0)
		return false;
	errno = ENOMEM;
	return true;
}

void *
malloc(size_t size)
{
	return scarce_fails() ? NULL : __libc_malloc(size);
}

void *
calloc(size_t count, size_t size)
{
	return scarce_fails() ? NULL : __libc_calloc(count, size);
}

void *
realloc(void *old, size_t size)
{
	return scarce_fails() ? NULL : __libc_realloc(old, size);
}
#else
static bool
scarce_possible(void)
{
	return false;
}
#endif

#endif
