/*
 * Goal: where there is no descriptor or no memory for it, fcgi_new() says so
 * and leaves nothing behind that its caller would free again.
 */

#include "http/fcgi.h"

#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "scarce.h"
#include "tap.h"

/* Put a listening socket, bound to no path, in place of descriptor 0. */
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

/* How many descriptors there are. */
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
	    "no listening socket, nothing to listen with");
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
	    "without a descriptor for epoll it fails");
	(void)setrlimit(RLIMIT_NOFILE, &usual);
	ok(fcgi == NULL, "and leaves its caller no object that it has freed");
	fcgi_free(fcgi);
	ok(count_descriptors() == before, "nor a descriptor");
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
	    "with each of its %ld allocations failed it leaves nothing",
	    failed);
	ok(count_descriptors() == before + 1, "nor a descriptor");
	if (status == STATUS_OK)
		fcgi_free(fcgi);
	ok(count_descriptors() == before, "freed, it has given all back");
}

int
main(void)
{
	test_no_listener();
	if (!ok(listen_at_0(), "a listening socket"))
		return tap_done();
	test_no_descriptor();
	test_no_memory();
	return tap_done();
}
