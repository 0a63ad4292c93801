/*
 * The load: requests over HTTPS with keep-alive, each with a token of its
 * own, and how long their answers took.
 *
 *	load [-c connections] [-t seconds] [-n requests] [-r rate] -s status
 *	    -a ca.pem host port <requests
 *
 * Standard input has one request a line, "METHOD TAB target TAB token TAB
 * body", the last two possibly empty; they are sent in turn, from the first
 * again after the last.
 *
 * Without -r the loop is closed: each connection sends its next request when
 * it has the answer to the one before, so a slow server is asked less often.
 *
 * With -r it is open: request k is due at start + k / rate whatever the server
 * does, goes out on the first connection that is free from then on, and its
 * latency counts from when it was due.  A request still unanswered at the end
 * counts with the time that it has waited until then: what a server cannot
 * keep up with shows, if anything, too well.
 *
 * It ends after -t seconds, or with -n when that many were answered, and
 * prints one JSON object.  A wrong status is counted and fails the run.
 */
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/ssl.h>

#define ANSWER_MAX 65536
#define SECOND INT64_C(1000000000)

/* One to be sent, as it goes over the wire. */
struct request {
	char *bytes;
	size_t length;
};

struct connection {
	int fd;
	SSL *ssl;
	enum { HANDSHAKE, IDLE, SENDING, READING } state;
	const struct request *request;
	size_t sent;
	int64_t due; /* when its request should have been sent */
	char answer[ANSWER_MAX];
	size_t length;
	int poll_for; /* what epoll was last told */
};

static struct {
	unsigned connections;
	double seconds;
	uint64_t requests; /* 0: no limit */
	uint64_t rate;	   /* a second; 0: closed loop */
	int status;
	const char *ca;
	const char *host;
	const char *port;
} options = { .connections = 32, .seconds = 5 };

static SSL_CTX *tls;
static struct addrinfo *address;
static int poller;
static struct connection *connections;

static struct request *requests;
static size_t request_count;
static size_t next_request;

static int64_t start;
static int64_t finish;
static uint64_t issued; /* requests that were due and have been taken up */
static uint64_t wrong;
static uint64_t bytes;

/* Latencies, in nanoseconds. */
static int64_t *latencies;
static size_t latency_count;
static size_t latency_room;

static void
die(const char *what)
{
	fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
	ERR_print_errors_fp(stderr);
	exit(1);
}

static int64_t
now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * SECOND + t.tv_nsec;
}

static void *
must(void *memory)
{
	if (memory == NULL)
		die("memory");
	return memory;
}

static void
read_requests(void)
{
	char *line = NULL;
	size_t room = 0;
	ssize_t length;

	while ((length = getline(&line, &room, stdin)) > 0) {
		char *at = line, *field[4];
		char header[96] = "";
		struct request *request;
		int n;

		if (line[length - 1] == '\n')
			line[length - 1] = '\0';
		for (size_t i = 0; i < 4; i++)
			field[i] = at == NULL ? "" : strsep(&at, "\t");
		if (field[3][0] != '\0')
			snprintf(header, sizeof(header),
			    "Content-Type: application/json\r\n"
			    "Content-Length: %zu\r\n",
			    strlen(field[3]));
		requests = must(realloc(
		    requests, (request_count + 1) * sizeof(*requests)));
		request = &requests[request_count++];
		n = asprintf(&request->bytes,
		    "%s %s HTTP/1.1\r\nHost: %s:%s\r\n%s%s%s%s\r\n%s",
		    field[0], field[1], options.host, options.port,
		    field[2][0] == '\0' ? "" : "Authorization: Bearer ",
		    field[2], field[2][0] == '\0' ? "" : "\r\n", header,
		    field[3]);
		if (n < 0)
			die("memory");
		request->length = (size_t)n;
	}
	free(line);
	if (request_count == 0) {
		fprintf(stderr, "load: no requests on standard input\n");
		exit(1);
	}
}

static void
record(int64_t latency)
{
	if (latency_count == latency_room) {
		latency_room = latency_room == 0 ? 65536 : latency_room * 2;
		latencies = must(
		    realloc(latencies, latency_room * sizeof(*latencies)));
	}
	latencies[latency_count++] = latency;
}

static int64_t
due(uint64_t k)
{
	return start + (int64_t)(k * (uint64_t)SECOND / options.rate);
}

static void
poll_for(struct connection *c, int events)
{
	struct epoll_event event = { .events = (uint32_t)events,
		.data.ptr = c };

	if (c->poll_for == events)
		return;
	if (epoll_ctl(poller, c->poll_for == 0 ? EPOLL_CTL_ADD : EPOLL_CTL_MOD,
		c->fd, &event) != 0)
		die("epoll_ctl");
	c->poll_for = events;
}

static void
connect_anew(struct connection *c)
{
	static const int yes = 1;

	if (c->ssl != NULL) {
		SSL_free(c->ssl);
		close(c->fd);
	}
	c->fd = socket(
	    address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (c->fd < 0)
		die("socket");
	setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
	if (connect(c->fd, address->ai_addr, address->ai_addrlen) != 0 &&
	    errno != EINPROGRESS)
		die("connect");
	c->ssl = must(SSL_new(tls));
	SSL_set_fd(c->ssl, c->fd);
	SSL_set_connect_state(c->ssl);
	c->state = HANDSHAKE;
	c->length = 0;
	c->poll_for = 0;
	poll_for(c, EPOLLOUT);
}

/* Give *c*, which is idle, its next request, if there is one to be sent. */
static bool
take_up(struct connection *c)
{
	int64_t t;

	if (options.requests != 0 && issued == options.requests)
		return false;
	t = now();
	if (t >= finish)
		return false;
	if (options.rate != 0) {
		if ((c->due = due(issued)) > t)
			return false;
	} else
		c->due = t;
	issued++;
	c->request = &requests[next_request];
	next_request = (next_request + 1) % request_count;
	c->sent = 0;
	c->state = SENDING;
	return true;
}

/* What the header line *name* of the answer says, or NULL. */
static const char *
header(const char *head, const char *end, const char *name)
{
	size_t length = strlen(name);
	const char *line = head;

	while ((line = strstr(line, "\r\n")) != NULL && line < end) {
		line += 2;
		if (strncasecmp(line, name, length) == 0 &&
		    line[length] == ':')
			return line + length + 1 +
			    strspn(line + length + 1, " ");
	}
	return NULL;
}

/* Is the answer complete?  Then it is judged and *c* is idle or anew. */
static bool
answered(struct connection *c)
{
	const char *end, *field;
	size_t whole;
	int status;

	c->answer[c->length] = '\0';
	if ((end = strstr(c->answer, "\r\n\r\n")) == NULL)
		return false;
	status = atoi(c->answer + strlen("HTTP/1.1 "));
	whole = (size_t)(end + 4 - c->answer);
	if ((field = header(c->answer, end, "Content-Length")) != NULL)
		whole += strtoul(field, NULL, 10);
	else if (status != 204 && status != 304) {
		fprintf(stderr, "load: an answer without a length\n%s\n",
		    c->answer);
		exit(1);
	}
	if (c->length < whole)
		return false;

	record(now() - c->due);
	bytes += c->length;
	if (status != options.status && wrong++ == 0)
		fprintf(stderr, "load: not %d but\n%s\n", options.status,
		    c->answer);
	field = header(c->answer, end, "Connection");
	if (field != NULL && strncasecmp(field, "close", 5) == 0) {
		connect_anew(c);
	} else {
		c->length = 0;
		c->state = IDLE;
	}
	return true;
}

/* What OpenSSL waits for after *outcome*. */
static int
wanted(struct connection *c, int outcome)
{
	switch (SSL_get_error(c->ssl, outcome)) {
	case SSL_ERROR_WANT_READ:
		return EPOLLIN;
	case SSL_ERROR_WANT_WRITE:
		return EPOLLOUT;
	default:
		die("the connection was lost");
		return 0;
	}
}

/* Go on with *c* as far as it goes without waiting. */
static void
advance(struct connection *c)
{
	int n;

	for (;;) {
		switch (c->state) {
		case HANDSHAKE:
			if ((n = SSL_do_handshake(c->ssl)) != 1) {
				poll_for(c, wanted(c, n));
				return;
			}
			c->state = IDLE;
			break;
		case IDLE:
			if (!take_up(c)) {
				poll_for(c, EPOLLIN);
				return;
			}
			break;
		case SENDING:
			n = SSL_write(c->ssl, c->request->bytes,
			    (int)c->request->length);
			if (n <= 0) {
				poll_for(c, wanted(c, n));
				return;
			}
			c->state = READING;
			break;
		case READING:
			if (c->length == ANSWER_MAX - 1) {
				fprintf(stderr, "load: too long an answer\n");
				exit(1);
			}
			n = SSL_read(c->ssl, c->answer + c->length,
			    (int)(ANSWER_MAX - 1 - c->length));
			if (n <= 0) {
				poll_for(c, wanted(c, n));
				return;
			}
			c->length += (size_t)n;
			(void)answered(c);
			break;
		}
	}
}

/* An idle connection has something to read: its end, most likely. */
static void
drop_idle(struct connection *c)
{
	char byte;

	if (SSL_read(c->ssl, &byte, 1) <= 0 &&
	    SSL_get_error(c->ssl, -1) == SSL_ERROR_WANT_READ)
		return; /* only TLS's own, such as a session ticket */
	ERR_clear_error();
	connect_anew(c);
}

static bool
done(void)
{
	if (options.requests != 0 && latency_count == options.requests)
		return true;
	return now() >= finish;
}

/* How long to wait: until the next request is due, or the end. */
static struct timespec
patience(void)
{
	int64_t t = now(), until = finish;

	if (options.rate != 0 && due(issued) > t && due(issued) < until)
		until = due(issued);
	if (until < t)
		until = t;
	return (struct timespec) { (until - t) / SECOND, (until - t) % SECOND };
}

static void
run(void)
{
	struct epoll_event events[64];

	while (!done()) {
		struct timespec wait = patience();
		int n = epoll_pwait2(poller, events, 64, &wait, NULL);

		if (n < 0 && errno != EINTR)
			die("epoll_pwait2");
		for (int i = 0; i < n; i++) {
			struct connection *c = events[i].data.ptr;

			if (c->state == IDLE)
				drop_idle(c);
			advance(c);
		}
		if (options.rate == 0)
			continue;
		for (unsigned i = 0; i < options.connections; i++)
			if (due(issued) > now())
				break;
			else if (connections[i].state == IDLE)
				advance(&connections[i]);
	}
}

/* All connections there before the clock starts. */
static void
warm_up(void)
{
	struct epoll_event events[64];
	unsigned there = 0;

	start = finish = now();
	for (unsigned i = 0; i < options.connections; i++)
		connect_anew(&connections[i]);
	while (there < options.connections) {
		int n = epoll_wait(poller, events, 64, 5000);

		if (n <= 0)
			die("no connection within 5 s");
		for (int i = 0; i < n; i++) {
			struct connection *c = events[i].data.ptr;

			if (c->state == HANDSHAKE) {
				advance(c);
				there += c->state == IDLE;
			} else
				drop_idle(c);
		}
	}
}

static int
compare(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

/* The latency, in milliseconds, that *share* of the requests did not exceed. */
static double
percentile(double share)
{
	size_t rank = (size_t)(share * (double)latency_count);

	if (latency_count == 0)
		return 0;
	if (rank >= latency_count)
		rank = latency_count - 1;
	return (double)latencies[rank] / 1e6;
}

static void
report(void)
{
	int64_t end = now();
	uint64_t answers = latency_count, unanswered = 0;
	double seconds = (double)(end - start) / 1e9;

	if (options.rate != 0) {
		for (unsigned i = 0; i < options.connections; i++)
			if (connections[i].state == SENDING ||
			    connections[i].state == READING) {
				record(end - connections[i].due);
				unanswered++;
			}
		for (; due(issued) < finish &&
		     (options.requests == 0 || issued < options.requests);
		     issued++) {
			record(end - due(issued));
			unanswered++;
		}
	}
	qsort(latencies, latency_count, sizeof(*latencies), compare);
	printf("{\"requests\":%llu,\"seconds\":%.3f,\"rate\":%.1f,"
	       "\"p50\":%.3f,\"p99\":%.3f,\"p999\":%.3f,\"max\":%.3f,"
	       "\"unanswered\":%llu,\"wrong\":%llu,\"bytes\":%llu}\n",
	    (unsigned long long)answers, seconds, (double)answers / seconds,
	    percentile(0.5), percentile(0.99), percentile(0.999),
	    percentile(1), (unsigned long long)unanswered,
	    (unsigned long long)wrong, (unsigned long long)bytes);
}

static void
usage(void)
{
	fprintf(stderr,
	    "usage: load [-c connections] [-t seconds] [-n requests]"
	    " [-r rate] -s status -a ca.pem host port <requests\n");
	exit(2);
}

static void
read_options(int argc, char **argv)
{
	int option;

	while ((option = getopt(argc, argv, "a:c:n:r:s:t:")) != -1)
		switch (option) {
		case 'a':
			options.ca = optarg;
			break;
		case 'c':
			options.connections = (unsigned)atoi(optarg);
			break;
		case 'n':
			options.requests = strtoull(optarg, NULL, 10);
			break;
		case 'r':
			options.rate = strtoull(optarg, NULL, 10);
			break;
		case 's':
			options.status = atoi(optarg);
			break;
		case 't':
			options.seconds = strtod(optarg, NULL);
			break;
		default:
			usage();
		}
	if (argc - optind != 2 || options.ca == NULL || options.status == 0)
		usage();
	options.host = argv[optind];
	options.port = argv[optind + 1];
}

int
main(int argc, char **argv)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM };

	read_options(argc, argv);
	read_requests();
	if (getaddrinfo(options.host, options.port, &hints, &address) != 0)
		die(options.host);
	tls = must(SSL_CTX_new(TLS_client_method()));
	if (SSL_CTX_load_verify_locations(tls, options.ca, NULL) != 1)
		die(options.ca);
	SSL_CTX_set_verify(tls, SSL_VERIFY_PEER, NULL);
	SSL_CTX_set_mode(tls, SSL_MODE_AUTO_RETRY);
	if ((poller = epoll_create1(EPOLL_CLOEXEC)) < 0)
		die("epoll_create1");
	connections =
	    must(calloc(options.connections, sizeof(*connections)));

	warm_up();
	start = now();
	finish = start + (int64_t)(options.seconds * (double)SECOND);
	for (unsigned i = 0; i < options.connections; i++)
		advance(&connections[i]);
	run();
	report();
	return wrong == 0 ? 0 : 1;
}
