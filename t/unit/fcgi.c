/*
 * Goal: without a descriptor or memory, fcgi_new() fails, and leaves neither an
 * open descriptor nor a pointer to freed memory behind.
 */

#include "http/fcgi.h"

#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "scarce.h"
#include "tap.h"

/* Make descriptor 0 a listening socket, with an automatic address. */
static bool
listen_at_0(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool good = fd >= 0 &&
	    bind(fd, (const struct sockaddr *)&address,
		sizeof(address.sun_family)) == 0 &&
	    listen(fd, 1) == 0 && dup2(fd, 0) == 0;

	if (fd > 0)
		(void)close(fd);
	return good;
}

/* Return the number of open descriptors. */
static int
count_descriptors(void)
{
	int count = 0;

	for (int fd = 0; fd < 256; fd++) {
		int copy = dup(fd);

		if (copy >= 0) {
			count++;
			(void)close(copy);
		}
	}
	return count;
}

static void
test_no_listener(void)
{
	struct fcgi *fcgi = NULL;

	(void)close(0);
	ok(fcgi_new(&fcgi) == STATUS_INVALID && fcgi == NULL,
	    "descriptor 0 is no listening socket: STATUS_INVALID");
	fcgi_free(fcgi);
}

static void
test_no_descriptor(void)
{
	struct rlimit usual, none;
	struct fcgi *fcgi = NULL;
	int before = count_descriptors();

	(void)getrlimit(RLIMIT_NOFILE, &usual);
	none = usual;
	none.rlim_cur = 3;
	(void)setrlimit(RLIMIT_NOFILE, &none);
	ok(fcgi_new(&fcgi) == STATUS_INTERNAL,
	    "without a descriptor for epoll fcgi_new() fails");
	(void)setrlimit(RLIMIT_NOFILE, &usual);
	ok(fcgi == NULL, "a failed fcgi_new() leaves the pointer unchanged");
	fcgi_free(fcgi);
	ok(count_descriptors() == before,
	    "a failed fcgi_new() leaves no descriptor open");
}

static void
test_no_memory(void)
{
	struct fcgi *fcgi = NULL;
	int before = count_descriptors();
	enum status status;
	long failed = 0;

	if (!scarce_possible())
		return;
	for (;;) {
		scarce_after = failed;
		status = fcgi_new(&fcgi);
		scarce_after = -1;
		if (status == STATUS_OK || fcgi != NULL || ++failed == 100)
			break;
		fcgi_free(fcgi);
	}
	ok(failed >= 2 && status == STATUS_OK && fcgi != NULL,
	    "if any of %ld allocations fails, the pointer is unchanged",
	    failed);
	ok(count_descriptors() == before + 1,
	    "failed allocations leave no descriptor open");
	if (status == STATUS_OK)
		fcgi_free(fcgi);
	ok(count_descriptors() == before, "fcgi_free() closes the descriptor");
}

int
main(void)
{
	test_no_listener();
	if (!ok(listen_at_0(), "descriptor 0 is a listening socket"))
		return tap_done();
	test_no_descriptor();
	test_no_memory();
	return tap_done();
}
