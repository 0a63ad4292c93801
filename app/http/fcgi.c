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
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include <fastcgi.h>
#include <fcgiapp.h>

#include "base/log.h"
#include "base/text.h"

#define LISTENER 0

/*
 * Seconds that the web server has to send a request, which it has whole before
 * it comes to us, and to take an answer.
 */
#define PEER_SECONDS 2

/*
 * Milliseconds after which a worker looks for a connection that nobody told it
 * of: the kernel tells one worker of each, and if that worker is killed before
 * it takes the connection, the kernel tells no other.
 */
#define LOOK_AGAIN 500

/* The longest id of a request, in bytes; nginx's have 32. */
#define REQUEST_ID_MAX 128

/* What goes out with one write: more than a socket holds. */
#define RECORDS_AT_ONCE 32
#define BYTES_AT_ONCE ((size_t)RECORDS_AT_ONCE * FCGI_MAX_LENGTH)

struct fcgi {
	FCGX_Request request;
	int poller;    /* tells of connections */
	bool local;    /* they come over a Unix socket */
	bool read_all; /* the request, to its end */
};

static void
wake(int number)
{
	(void)number;
}

/*
 * libfcgi waits without limit.  From now on, and until this is called with 0,
 * what it waits for breaks off after *seconds*: it takes a read or write cut
 * short by a signal for a broken connection.
 */
static void
set_deadline(time_t seconds)
{
	/* Once may be too early: between two calls. */
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

/* Is *fd* a Unix socket? */
static bool
is_local(int fd)
{
	int domain = 0;
	socklen_t length = sizeof(domain);

	if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &length) != 0)
		return false;
	return domain == AF_UNIX;
}

/*
 * Make a descriptor that tells of connections.  All workers wait at the one
 * listening socket, and by poll() each connection would wake all of them, to
 * find that all but one came too late.  Returns -1 if that is not possible.
 */
static int
watch_listener(void)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLEXCLUSIVE };
	int poller = epoll_create1(EPOLL_CLOEXEC);

	if (poller >= 0 &&
	    epoll_ctl(poller, EPOLL_CTL_ADD, LISTENER, &event) != 0) {
		(void)close(poller);
		return -1;
	}
	return poller;
}

enum status
fcgi_new(struct fcgi **fcgi)
{
	struct fcgi *made;
	int flags;

	if (!is_listening(LISTENER))
		return STATUS_INVALID;
	/* Now and then a connection wakes two workers; the one who comes too
	 * late must not wait in accept(), where no signal finds it. */
	if ((flags = fcntl(LISTENER, F_GETFL)) < 0 ||
	    fcntl(LISTENER, F_SETFL, flags | O_NONBLOCK) < 0)
		return STATUS_INVALID;

	if ((made = calloc(1, sizeof(*made))) == NULL)
		return STATUS_INTERNAL;
	made->local = is_local(LISTENER);
	if ((made->poller = watch_listener()) < 0)
		goto no_poller;
	if (FCGX_Init() != 0 ||
	    FCGX_InitRequest(&made->request, LISTENER, 0) != 0)
		goto no_request;
	/*
	 * libfcgi has just put handlers of its own in place of what was the
	 * default or ignored.  One for USR1, after which it takes no request
	 * any more, one for PIPE, and both cut off a read half way, which it
	 * then takes for the end of the body.  Ignored signals do not.
	 */
	(void)signal(SIGUSR1, SIG_IGN);
	(void)signal(SIGPIPE, SIG_IGN);
	/* Without SA_RESTART, which signal() would set. */
	(void)sigaction(
	    SIGALRM, &(struct sigaction) { .sa_handler = wake }, NULL);
	*fcgi = made;
	return STATUS_OK;

no_request:
	(void)close(made->poller);
no_poller:
	free(made);
	return STATUS_INTERNAL;
}

void
fcgi_free(struct fcgi *fcgi)
{
	if (fcgi == NULL)
		return;
	FCGX_Free(&fcgi->request, 1);
	(void)close(fcgi->poller);
	free(fcgi);
}

bool
fcgi_wait(const struct fcgi *fcgi, const sigset_t *mask)
{
	struct epoll_event event;

	/* Nothing within that time is worth a look, too. */
	if (epoll_pwait(fcgi->poller, &event, 1, LOOK_AGAIN, mask) >= 0)
		return true;
	set_deadline(0); /* if it was that of the last answer */
	return false;
}

/* The parameter *name*; an empty one counts as not sent. */
static struct slice
parameter(const FCGX_Request *fcgx, const char *name)
{
	const char *value = FCGX_GetParam(name, fcgx->envp);

	if (value != NULL && *value == '\0')
		value = NULL;
	return slice_of(value);
}

/*
 * The id of the request.  It goes into a header field, so one with another
 * byte than visible ASCII, which could make a line of its own, is none; nor is
 * one that nobody would read out.
 */
static struct slice
request_id(const FCGX_Request *fcgx)
{
	struct slice id = parameter(fcgx, "REQUEST_ID");

	for (size_t i = 0; i < id.length; i++)
		if (id.data[i] < '!' || id.data[i] > '~')
			return (struct slice) { NULL, 0 };
	return id.length <= REQUEST_ID_MAX ? id : (struct slice) { NULL, 0 };
}

/* Read the body, all of it, and to its end: no byte fewer and none more. */
static enum status
read_body(FCGX_Request *fcgx, struct arena *arena, struct slice *body)
{
	struct slice content_length = parameter(fcgx, "CONTENT_LENGTH");
	uint64_t length = 0;
	char *bytes;

	/* Decimal digits (RFC 9110 section 8.6), or nothing. */
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
 * Take a connection and the head of the request on it.  Returns 0, or the
 * error, negative, as libfcgi does.
 */
static int
accept_request(struct fcgi *fcgi)
{
	FCGX_Request *fcgx = &fcgi->request;
	int outcome;

	/* To libfcgi it is one that it has kept, and goes on with.  What it
	 * accepts itself it waits at once more, before it reads; but over TCP
	 * it looks whom they are from. */
	if (fcgi->local) {
		fcgx->ipcFd = accept4(LISTENER, NULL, NULL, SOCK_CLOEXEC);
		if (fcgx->ipcFd < 0)
			return -errno;
		fcgx->keepConnection = 1;
	}
	set_deadline(PEER_SECONDS);
	if ((outcome = FCGX_Accept_r(fcgx)) != 0)
		set_deadline(0);
	return outcome;
}

enum status
fcgi_accept(struct fcgi *fcgi, struct arena *arena, struct request *request)
{
	FCGX_Request *fcgx = &fcgi->request;
	int outcome;

	fcgi->read_all = false;
	outcome = accept_request(fcgi);
	if (outcome == -EAGAIN || outcome == -EINTR || outcome == -ECONNABORTED)
		return STATUS_NONE;
	if (outcome != 0) {
		/* No descriptor or no memory, for which the connection goes
		 * on waiting: let somebody else have the processor. */
		log_event(LOG_LEVEL_ERROR, "accept",
		    LOG_FIELDS(log_text("reason", strerror(-outcome))));
		(void)nanosleep(
		    &(struct timespec) { .tv_nsec = 100000000 }, NULL);
		return STATUS_NONE;
	}

	*request = (struct request) {
		.method = request_method(parameter(fcgx, "REQUEST_METHOD")),
		.target = parameter(fcgx, "REQUEST_URI"),
		.authorization = parameter(fcgx, "HTTP_AUTHORIZATION"),
		.content_type = parameter(fcgx, "CONTENT_TYPE"),
		.if_match = parameter(fcgx, "HTTP_IF_MATCH"),
		.if_none_match = parameter(fcgx, "HTTP_IF_NONE_MATCH"),
		.idempotency_key = parameter(fcgx, "HTTP_IDEMPOTENCY_KEY"),
		.id = request_id(fcgx),
	};
	request->body_status = read_body(fcgx, arena, &request->body);
	fcgi->read_all = request->body_status == STATUS_OK;
	set_deadline(0);
	return STATUS_OK;
}

/*
 * Wait for the web server to have read the answer and to close *fd*, for what
 * it still sends and nobody reads could take the answer back.
 */
static void
drain(int fd)
{
	struct pollfd peer = { .fd = fd, .events = POLLIN };
	char rest[4096];

	(void)shutdown(fd, SHUT_WR);
	while (poll(&peer, 1, PEER_SECONDS * 1000) > 0 &&
	    read(fd, rest, sizeof(rest)) > 0)
		;
}

static FCGI_Header
record_header(const struct fcgi *fcgi, unsigned char type, size_t length)
{
	unsigned id = (unsigned)fcgi->request.requestId;

	return (FCGI_Header) {
		.version = FCGI_VERSION_1,
		.type = type,
		.requestIdB1 = (unsigned char)(id >> 8),
		.requestIdB0 = (unsigned char)id,
		.contentLengthB1 = (unsigned char)(length >> 8),
		.contentLengthB0 = (unsigned char)length,
	};
}

/*
 * Write *text*, at most BYTES_AT_ONCE, and if it is the *last* the end of the
 * request.  Returns false if not all of it was taken in time.
 */
static bool
write_records(const struct fcgi *fcgi, struct slice text, bool last)
{
	FCGI_Header headers[RECORDS_AT_ONCE + 1];
	FCGI_EndRequestRecord end = {
		.header = record_header(
		    fcgi, FCGI_END_REQUEST, sizeof(FCGI_EndRequestBody)),
		.body.protocolStatus = FCGI_REQUEST_COMPLETE,
	};
	struct iovec parts[2 * RECORDS_AT_ONCE + 2];
	size_t records = 0, total = 0;
	int count = 0;
	union {
		const char *given;
		char *taken;
	} bytes = { .given = text.data }; /* writev() only reads it */

	while (text.length > 0 || last) {
		size_t length = text.length < FCGI_MAX_LENGTH ? text.length
							      : FCGI_MAX_LENGTH;
		FCGI_Header *header = &headers[records++];

		*header = record_header(fcgi, FCGI_STDOUT, length);
		parts[count++] = (struct iovec) { header, sizeof(*header) };
		total += sizeof(*header) + length;
		if (length == 0) /* which ends the stream */
			break;
		parts[count++] = (struct iovec) { bytes.taken, length };
		bytes.taken += length;
		text.length -= length;
	}
	if (last) {
		parts[count++] = (struct iovec) { &end, sizeof(end) };
		total += sizeof(end);
	}
	return writev(fcgi->request.ipcFd, parts, count) == (ssize_t)total;
}

/*
 * Send the answer.  libfcgi would write 8 KiB at a time, and if this worker is
 * killed between two of them, the web server has already passed on the first.
 * Of one write the kernel has all or nothing, if the socket holds that much.
 */
static void
send_answer(const struct fcgi *fcgi, struct slice answer)
{
	while (answer.length > BYTES_AT_ONCE) {
		struct slice first = { answer.data, BYTES_AT_ONCE };

		if (!write_records(fcgi, first, false))
			return;
		answer.data += BYTES_AT_ONCE;
		answer.length -= BYTES_AT_ONCE;
	}
	(void)write_records(fcgi, answer, true);
}

void
fcgi_finish(struct fcgi *fcgi, struct slice answer)
{
	FCGX_Request *fcgx = &fcgi->request;

	set_deadline(PEER_SECONDS);
	send_answer(fcgi, answer);
	/*
	 * Closing is done here, for libfcgi waits for the web server to close
	 * first, as long as it sends anything.  A connection is not kept
	 * either, even if the web server asked for it: this worker would then
	 * wait for that one alone.
	 */
	fcgx->keepConnection = 1;
	FCGX_Free(fcgx, 0);
	if (!fcgi->read_all)
		drain(fcgx->ipcFd);
	(void)close(fcgx->ipcFd);
	fcgx->ipcFd = -1;
	/* The deadline stays: the next request has one of its own, and where
	 * none comes it ends a wait for it, once. */
}
