/*
 * An allocator, to be preloaded, that fails when it is told to.  What it is
 * told, and what it saw, stands in the file that SCARCE_FILE names, a struct
 * control in native byte order, which it shares with whoever tests.
 */
#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct control {
	uint32_t armed;	      /* pid that shall fail, or 0 */
	uint32_t fail_at;     /* the number of the first allocation to fail */
	uint32_t fail_count;  /* how many fail from there on */
	uint32_t allocations; /* counted since it was armed */
	uint32_t failed;      /* how many of them failed */
	char object[64];      /* who asked for the first that failed */
	char symbol[64];      /* and where there, if that is known */
};

static struct control *control;
static _Thread_local int inside; /* what dladdr() and the like ask for */

extern void *__libc_malloc(size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);

static const char *
base(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash == NULL ? path : slash + 1;
}

/* Who asked?  The first on the stack who is not this or the C library. */
static void
remember_who(void)
{
	void *frames[32];
	int count = backtrace(frames, 32);
	Dl_info self, info;

	if (dladdr((void *)(uintptr_t)&remember_who, &self) == 0)
		return;
	for (int i = 1; i < count; i++) {
		if (dladdr(frames[i], &info) == 0 || info.dli_fname == NULL ||
		    strcmp(info.dli_fname, self.dli_fname) == 0 ||
		    strncmp(base(info.dli_fname), "libc.so", 7) == 0)
			continue;
		strncpy(control->object, base(info.dli_fname),
		    sizeof(control->object) - 1);
		if (info.dli_sname != NULL)
			strncpy(control->symbol, info.dli_sname,
			    sizeof(control->symbol) - 1);
		return;
	}
}

static int
shall_fail(void)
{
	uint32_t number;

	if (control == NULL || inside || control->armed == 0 ||
	    control->armed != (uint32_t)getpid())
		return 0;
	number = ++control->allocations;
	if (number < control->fail_at ||
	    number - control->fail_at >= control->fail_count)
		return 0;
	if (control->failed++ == 0) {
		inside = 1;
		remember_who();
		inside = 0;
	}
	errno = ENOMEM;
	return 1;
}

void *
malloc(size_t size)
{
	return shall_fail() ? NULL : __libc_malloc(size);
}

void *
calloc(size_t count, size_t size)
{
	return shall_fail() ? NULL : __libc_calloc(count, size);
}

void *
realloc(void *memory, size_t size)
{
	return shall_fail() ? NULL : __libc_realloc(memory, size);
}

__attribute__((constructor)) static void
begin(void)
{
	const char *path = getenv("SCARCE_FILE");
	void *frame;
	int fd;

	/* The first backtrace() loads what it needs. */
	(void)backtrace(&frame, 1);
	if (path == NULL || (fd = open(path, O_RDWR | O_CLOEXEC)) < 0)
		return;
	control = mmap(
	    NULL, sizeof(*control), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (control == MAP_FAILED)
		control = NULL;
	(void)close(fd);
}
