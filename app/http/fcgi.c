#include "http/fcgi.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include <fcgiapp.h>

#include "base/log.h"
#include "base/text.h"
#include "http/fcgi_record.h"

/* The descriptor of the listening socket. */
#define LISTENER_FD 0

/*
 * How long the web server may take to send a request, and then to take the
 * answer.  The web server has the whole request before it connects.
 */
#define PEER_TIMEOUT_SECONDS 2

/*
 * How long a worker waits before it tries to accept a connection anyway.  The
 * kernel wakes one worker for each connection.  If this worker is killed before
 * it accepts the connection, the kernel wakes no other.
 */
#define WAIT_MAX_MS 500

/* The longest request id, in bytes.  The ids of nginx have 32. */
#define REQUEST_ID_MAX 128

/* The pause after accept() has failed without memory or descriptors. */
#define ACCEPT_PAUSE_MS 100

struct fcgi {
	FCGX_Request request;
	int epoll_fd; /* readable when a connection is waiting */
	bool is_unix; /* the listening socket is a Unix socket */
	bool is_read; /* the request was read to its end */
};

/* A handler that does nothing, so that SIGALRM interrupts system calls. */
static void
handle_alarm(int signal_number)
{
	(void)signal_number;
}

/*
 * Limit how long libfcgi waits for the peer, which it does without limit.  From
 * now on SIGALRM comes every *seconds*; libfcgi takes a read or write that a
 * signal interrupts for a broken connection.  0 ends the limit.
 */
static void
set_peer_timeout(time_t seconds)
{
	/* Repeated, because a signal between two system calls has no effect. */
	struct itimerval timer = { { seconds, 0 }, { seconds, 0 } };

	(void)setitimer(ITIMER_REAL, &timer, NULL);
}

static bool
is_listening(int fd)
{
	int listening = 0;
	socklen_t length = sizeof(listening);

	if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &length) != 0)
		return false;
	return listening != 0;
}

static bool
is_unix_socket(int fd)
{
	int domain = 0;
	socklen_t length = sizeof(domain);

	if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &length) != 0)
		return false;
	return domain == AF_UNIX;
}

/*
 * Return an epoll descriptor that is readable when a connection is waiting; -1
 * if there is no memory or no descriptor.  All workers wait at the same
 * listening socket.  With poll(), each connection would wake all of them,
 * though only one can accept it.
 */
static int
watch_listener(void)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLEXCLUSIVE };
	int epoll_fd = epoll_create1(EPOLL_CLOEXEC);

	if (epoll_fd >= 0 &&
	    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, LISTENER_FD, &event) != 0) {
		(void)close(epoll_fd);
		return -1;
	}
	return epoll_fd;
}

enum status
fcgi_new(struct fcgi **fcgi)
{
	struct fcgi *made;
	int flags;

	if (!is_listening(LISTENER_FD))
		return STATUS_INVALID;
	/* Now and then a connection wakes two workers.  The one that is too
	 * late must not block in accept(), where stop signals are blocked. */
	if ((flags = fcntl(LISTENER_FD, F_GETFL)) < 0 ||
	    fcntl(LISTENER_FD, F_SETFL, flags | O_NONBLOCK) < 0)
		return STATUS_INVALID;

	if ((made = calloc(1, sizeof(*made))) == NULL)
		return STATUS_INTERNAL;
	made->is_unix = is_unix_socket(LISTENER_FD);
	if ((made->epoll_fd = watch_listener()) < 0)
		goto no_epoll;
	if (FCGX_Init() != 0 ||
	    FCGX_InitRequest(&made->request, LISTENER_FD, 0) != 0)
		goto no_request;
	/*
	 * FCGX_Init() has installed handlers for SIGUSR1 and SIGPIPE.  After
	 * SIGUSR1, libfcgi accepts no further request.  Both signals interrupt
	 * a read, which libfcgi takes for the end of the body; ignored signals
	 * do not.
	 */
	(void)signal(SIGUSR1, SIG_IGN);
	(void)signal(SIGPIPE, SIG_IGN);
	/* signal() would set SA_RESTART, and reads would go on. */
	(void)sigaction(
	    SIGALRM, &(struct sigaction) { .sa_handler = handle_alarm }, NULL);
	*fcgi = made;
	return STATUS_OK;

no_request:
	(void)close(made->epoll_fd);
no_epoll:
	free(made);
	return STATUS_INTERNAL;
}

void
fcgi_free(struct fcgi *fcgi)
{
	if (fcgi == NULL)
		return;
	FCGX_Free(&fcgi->request, 1);
	(void)close(fcgi->epoll_fd);
	free(fcgi);
}

bool
fcgi_wait(const struct fcgi *fcgi, const sigset_t *mask)
{
	struct epoll_event event;

	/* A timeout is reported as a connection; see WAIT_MAX_MS. */
	if (epoll_pwait(fcgi->epoll_fd, &event, 1, WAIT_MAX_MS, mask) >= 0)
		return true;
	/* The signal may have been the timeout of the last answer. */
	set_peer_timeout(0);
	return false;
}

/* Return the parameter *name*.  An empty value counts as absent. */
static struct slice
get_parameter(const FCGX_Request *fcgx, const char *name)
{
	const char *value = FCGX_GetParam(name, fcgx->envp);

	if (value != NULL && *value == '\0')
		value = NULL;
	return slice_of(value);
}

/*
 * Return the request id, which the answer repeats in a header field.  An id
 * that is too long, or has a byte that is not visible ASCII, counts as absent:
 * it could add a line to the header.
 */
static struct slice
get_request_id(const FCGX_Request *fcgx)
{
	struct slice id = get_parameter(fcgx, "REQUEST_ID");

	for (size_t i = 0; i < id.length; i++)
		if (id.data[i] < '!' || id.data[i] > '~')
			return (struct slice) { NULL, 0 };
	return id.length <= REQUEST_ID_MAX ? id : (struct slice) { NULL, 0 };
}

/* Read the body.  It must be exactly as long as Content-Length says. */
static enum status
read_body(FCGX_Request *fcgx, struct arena *arena, struct slice *body)
{
	struct slice content_length = get_parameter(fcgx, "CONTENT_LENGTH");
	uint64_t length = 0;
	char *bytes;

	/* Decimal digits (RFC 9110 section 8.6).  Absent means no body. */
	if (content_length.length > 0 &&
	    !text_read_decimal(content_length, &length))
		return STATUS_BAD_REQUEST;
	if (length > REQUEST_BODY_MAX)
		return STATUS_CONTENT_TOO_LARGE;
	if ((bytes = arena_alloc(arena, length + 1)) == NULL)
		return STATUS_INTERNAL;

	*body = (struct slice) { bytes, 0 };
	while (body->length < length) {
		int count = FCGX_GetStr(bytes + body->length,
		    (int)(length - body->length), fcgx->in);

		if (count <= 0)
			return STATUS_BAD_REQUEST;
		body->length += (size_t)count;
	}
	if (FCGX_GetChar(fcgx->in) != EOF || FCGX_GetError(fcgx->in) != 0)
		return STATUS_BAD_REQUEST;
	return STATUS_OK;
}

/*
 * Accept a connection and read the parameters of its request.  Returns 0, or
 * the negative errno of libfcgi.
 */
static int
accept_request(struct fcgi *fcgi)
{
	FCGX_Request *fcgx = &fcgi->request;
	int error;

	/*
	 * libfcgi treats a connection that is accepted here as one that was
	 * kept, and reads from it at once.  If libfcgi accepted, it would first
	 * wait for input, by one more system call.  Over TCP libfcgi has to
	 * accept, because it then checks the address of the peer.
	 */
	if (fcgi->is_unix) {
		fcgx->ipcFd = accept4(LISTENER_FD, NULL, NULL, SOCK_CLOEXEC);
		if (fcgx->ipcFd < 0)
			return -errno;
		fcgx->keepConnection = 1;
	}
	set_peer_timeout(PEER_TIMEOUT_SECONDS);
	if ((error = FCGX_Accept_r(fcgx)) != 0)
		set_peer_timeout(0);
	return error;
}

enum status
fcgi_accept(struct fcgi *fcgi, struct arena *arena, struct request *request)
{
	static const struct timespec accept_pause = {
		.tv_nsec = ACCEPT_PAUSE_MS * 1000000L,
	};
	FCGX_Request *fcgx = &fcgi->request;
	int error;

	fcgi->is_read = false;
	error = accept_request(fcgi);
	if (error == -EAGAIN || error == -EINTR || error == -ECONNABORTED)
		return STATUS_NONE;
	if (error != 0) {
		/* Without a descriptor or memory, the connection stays in the
		 * queue, and the next try would fail at once too. */
		log_event(LOG_LEVEL_ERROR, "accept",
		    LOG_FIELDS(log_text("reason", strerror(-error))));
		(void)nanosleep(&accept_pause, NULL);
		return STATUS_NONE;
	}

	*request = (struct request) {
		.method = request_method(get_parameter(fcgx, "REQUEST_METHOD")),
		.target = get_parameter(fcgx, "REQUEST_URI"),
		.authorization = get_parameter(fcgx, "HTTP_AUTHORIZATION"),
		.content_type = get_parameter(fcgx, "CONTENT_TYPE"),
		.if_match = get_parameter(fcgx, "HTTP_IF_MATCH"),
		.if_none_match = get_parameter(fcgx, "HTTP_IF_NONE_MATCH"),
		.idempotency_key = get_parameter(fcgx, "HTTP_IDEMPOTENCY_KEY"),
		.id = get_request_id(fcgx),
	};
	request->body_status = read_body(fcgx, arena, &request->body);
	fcgi->is_read = request->body_status == STATUS_OK;
	set_peer_timeout(0);
	return STATUS_OK;
}

/*
 * Read and drop what the web server still sends, until it closes *fd*.  If *fd*
 * were closed with unread input, the web server could lose the answer.
 */
static void
drain(int fd)
{
	struct pollfd peer = { .fd = fd, .events = POLLIN };
	char dropped[4096];

	(void)shutdown(fd, SHUT_WR);
	while (poll(&peer, 1, PEER_TIMEOUT_SECONDS * 1000) > 0 &&
	    read(fd, dropped, sizeof(dropped)) > 0)
		;
}

void
fcgi_finish(struct fcgi *fcgi, struct slice answer)
{
	FCGX_Request *fcgx = &fcgi->request;

	set_peer_timeout(PEER_TIMEOUT_SECONDS);
	fcgi_record_send(fcgx->ipcFd, (unsigned)fcgx->requestId, answer);
	/*
	 * The connection is closed here: libfcgi would wait for the web server
	 * to close first, for as long as the web server sends anything.  It is
	 * closed even if the web server asked to keep it, because this worker
	 * would then serve that connection alone.
	 */
	fcgx->keepConnection = 1;
	FCGX_Free(fcgx, 0);
	if (!fcgi->is_read)
		drain(fcgx->ipcFd);
	(void)close(fcgx->ipcFd);
	fcgx->ipcFd = -1;
	/* The timeout stays set, which saves a system call: the next request
	 * sets its own, and otherwise it interrupts fcgi_wait() once. */
}
