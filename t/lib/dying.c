/*
 * To be preloaded: has a worker die (-9) once it has written something of an
 * answer, whenever the file DYING_FILE is there, which it takes away.
 */
#include <dlfcn.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

/* Only the end that was accepted has the name of the socket listened on. */
static int
is_answer(int fd)
{
	struct sockaddr_un name = { .sun_path = "" };
	socklen_t length = sizeof(name);

	return getsockname(fd, (struct sockaddr *)&name, &length) == 0 &&
	    name.sun_family == AF_UNIX && name.sun_path[0] != '\0';
}

static ssize_t
written(int fd, ssize_t count)
{
	const char *path = getenv("DYING_FILE");

	if (count > 0 && path != NULL && is_answer(fd) && unlink(path) == 0)
		(void)raise(SIGKILL);
	return count;
}

#define REAL(name) \
	__typeof__(&name) real = (__typeof__(&name))dlsym(RTLD_NEXT, #name)

ssize_t
write(int fd, const void *bytes, size_t size)
{
	REAL(write);

	return written(fd, real(fd, bytes, size));
}

ssize_t
writev(int fd, const struct iovec *parts, int count)
{
	REAL(writev);

	return written(fd, real(fd, parts, count));
}

ssize_t
send(int fd, const void *bytes, size_t size, int flags)
{
	REAL(send);

	return written(fd, real(fd, bytes, size, flags));
}

ssize_t
sendmsg(int fd, const struct msghdr *message, int flags)
{
	REAL(sendmsg);

	return written(fd, real(fd, message, flags));
}
