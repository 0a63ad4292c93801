/*
 * Goal: no bytes on the workers' socket lead to a 500, to an incomplete answer,
 * to a worker that hangs, or to one that dies, except as in __assert_fail()
 * below.
 *
 * Input: 'R' and bytes that are sent unchanged; or 'P', lines NAME=value, an
 * empty line and a body, which are sent as FastCGI records.  The value "@"
 * stands for a valid Authorization.
 */

#include <setjmp.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/buffer.h"
#include "fuzz.h"
#include "http/fcgi.h"

static struct sockaddr_un address = { .sun_family = AF_UNIX };

static struct fcgi *fcgi;      /* of the worker */
static sigjmp_buf worker_died; /* where a worker that died is replaced */

void __assert_fail(const char *assertion, const char *file, unsigned line,
    const char *function);

/*
 * A peer can send a parameter length of gigabytes.  If there is no memory for
 * it, libfcgi 2.4.2 ends the process by an assertion.  The program cannot
 * prevent that; the master starts another worker (t/long/fuzz.t), and so does
 * serve().
 */
void
__assert_fail(const char *assertion, const char *file, unsigned line,
    const char *function)
{
	if (strcmp(file, "fcgiapp.c") == 0 && strcmp(function, "Malloc") == 0)
		siglongjmp(worker_died, 1);
	fprintf(stderr, "%s:%u: %s: %s\n", file, line, function, assertion);
	abort();
}

/* Make descriptor 0 a listening socket, as a worker has it. */
static void
listen_on_stdin(void)
{
	int fd;

	if (address.sun_path[1] != '\0')
		return;
	(void)snprintf(address.sun_path + 1, sizeof(address.sun_path) - 1,
	    "todo-fuzz-%ld", (long)getpid());
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	never(bind(fd, (struct sockaddr *)&address, sizeof(address)) != 0);
	never(listen(fd, 8) != 0 || dup2(fd, STDIN_FILENO) < 0);
	(void)close(fd);
}

/* Accept the waiting connection and answer it, as a worker does. */
static void
serve(struct arena *arena)
{
	struct buffer out = buffer_in(arena);
	struct request request;

	if (sigsetjmp(worker_died, 0) != 0) {
		fcgi_free(fcgi);
		fcgi = NULL;
		return;
	}
	if (fcgi == NULL)
		never(fcgi_new(&fcgi) != STATUS_OK);
	if (fcgi_accept(fcgi, arena, &request) == STATUS_OK) {
		dispatch(&fuzz_settings, fuzz_tokens(), fuzz_db(), arena,
		    &request, &out);
		(void)fuzz_status(&out);
		fcgi_finish(fcgi, buffer_slice(&out));
	}
}

/* Append a FastCGI record for request 1. */
static void
add_record(
    struct buffer *out, unsigned char type, const void *data, size_t size)
{
	const char head[8] = { 1, (char)type, 0, 1, (char)(size >> 8),
		(char)size };

	buffer_add(out, (struct slice) { head, 8 });
	buffer_add(out, (struct slice) { data, size });
}

/* Append the length of a name or value, in four bytes. */
static void
add_length(struct buffer *out, size_t length)
{
	const char bytes[4] = { (char)(0x80 | length >> 24),
		(char)(length >> 16), (char)(length >> 8), (char)length };

	buffer_add(out, (struct slice) { bytes, 4 });
}

/* Write the lines and the body from *at* to *end* as FastCGI records. */
static void
write_request(
    struct buffer *out, struct arena *arena, const char *at, const char *end)
{
	static const char begin[8] = { 0, 1, 0, 0, 0, 0, 0, 0 };
	struct buffer parameters = buffer_in(arena);

	add_record(out, 1, begin, 8);
	while (at < end && *at != '\n') {
		const char *stop = memchr(at, '\n', (size_t)(end - at));
		struct slice line = { at,
			(size_t)((stop == NULL ? end : stop) - at) };
		const char *equals = memchr(at, '=', line.length);
		struct slice value = { NULL, 0 };

		if (equals != NULL) {
			value.data = equals + 1;
			value.length = line.length - (size_t)(equals + 1 - at);
			if (slice_equal(value, SLICE("@")))
				value = slice_of(fuzz_authorization());
			add_length(&parameters, (size_t)(equals - at));
			add_length(&parameters, value.length);
			buffer_add(&parameters,
			    (struct slice) { at, (size_t)(equals - at) });
			buffer_add(&parameters, value);
		}
		at = stop == NULL ? end : stop + 1;
	}
	for (size_t done = 0; done < parameters.length; done += 60000)
		add_record(out, 4, parameters.data + done,
		    parameters.length - done > 60000
			? 60000
			: parameters.length - done);
	add_record(out, 4, "", 0);
	if (at < end)
		at++;
	for (; end - at > 60000; at += 60000)
		add_record(out, 5, at, 60000);
	if (at < end)
		add_record(out, 5, at, (size_t)(end - at));
	add_record(out, 5, "", 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *arena = fuzz_arena();
	struct buffer stream = buffer_in(arena);
	int peer;

	if (size == 0 || size > 65536)
		return -1;
	if (data[0] == 'P')
		write_request(&stream, arena, (const char *)data + 1,
		    (const char *)data + size);
	else
		buffer_add(&stream,
		    (struct slice) { (const char *)data + 1, size - 1 });
	listen_on_stdin();
	peer = socket(AF_UNIX, SOCK_STREAM, 0);
	never(connect(peer, (struct sockaddr *)&address, sizeof(address)) != 0);
	never(send(peer, stream.data, stream.length,
		  MSG_NOSIGNAL | MSG_DONTWAIT) != (ssize_t)stream.length);
	(void)shutdown(peer, SHUT_WR);
	serve(arena);
	(void)close(peer);
	arena_reset(arena);
	return 0;
}
