#ifndef SCARCE_H
#define SCARCE_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/*
 * An allocator that can be told to fail, for whatever the test program is
 * linked with, libraries included.  The sanitizers bring an allocator of their
 * own, and then there is nothing to tell.
 *
 * scarce_after: so many allocations still succeed, the next one fails; those
 * after it succeed again.  Negative: none fails.
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

/* End a child, who had little memory, without what is done at exit(). */
static inline _Noreturn void
scarce_exit(int code)
{
#ifdef TODO_COVERAGE
	__gcov_dump();
#endif
	_exit(code);
}

#if SCARCE
/* glibc's own, under the names that it keeps for this purpose. */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *old, size_t size);
/* In sight of the libraries, which -fvisibility=hidden would keep them from. */
#define SCARCE_SEEN __attribute__((visibility("default")))
SCARCE_SEEN void *malloc(size_t size);
SCARCE_SEEN void *calloc(size_t count, size_t size);
SCARCE_SEEN void *realloc(void *old, size_t size);

/* valgrind has an allocator of its own as well. */
static bool
scarce_possible(void)
{
	const char *preloaded = getenv("LD_PRELOAD");

	return preloaded == NULL || strstr(preloaded, "vgpreload") == NULL;
}

static bool
scarce_now(void)
{
	if (scarce_after < 0 || scarce_after-- > 0)
		return false;
	errno = ENOMEM;
	return true;
}

void *
malloc(size_t size)
{
	return scarce_now() ? NULL : __libc_malloc(size);
}

void *
calloc(size_t count, size_t size)
{
	return scarce_now() ? NULL : __libc_calloc(count, size);
}

void *
realloc(void *old, size_t size)
{
	return scarce_now() ? NULL : __libc_realloc(old, size);
}
#else
static bool
scarce_possible(void)
{
	return false;
}
#endif

#endif
