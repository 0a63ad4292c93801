#include "http/fcgi_record.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <sys/uio.h>

#include <fastcgi.h>

/* The most that one write sends: more than a socket buffer holds. */
#define RECORDS_PER_WRITE 32
#define BYTES_PER_WRITE ((size_t)RECORDS_PER_WRITE * FCGI_MAX_LENGTH)

static FCGI_Header
make_header(unsigned request_id, unsigned char type, size_t length)
{
	return (FCGI_Header) {
		.version = FCGI_VERSION_1,
		.type = type,
		.requestIdB1 = (unsigned char)(request_id >> 8),
		.requestIdB0 = (unsigned char)request_id,
		.contentLengthB1 = (unsigned char)(length >> 8),
		.contentLengthB0 = (unsigned char)length,
	};
}

/*
 * Write *text*, at most BYTES_PER_WRITE bytes, and after the *last* text the
 * end of the request.  Returns false if not everything was written.
 */
static bool
write_records(int fd, unsigned request_id, struct slice text, bool last)
{
	FCGI_Header headers[RECORDS_PER_WRITE + 1];
	FCGI_EndRequestRecord end = {
		.header = make_header(
		    request_id, FCGI_END_REQUEST, sizeof(FCGI_EndRequestBody)),
		.body.protocolStatus = FCGI_REQUEST_COMPLETE,
	};
	struct iovec parts[2 * RECORDS_PER_WRITE + 2];
	size_t records = 0, total = 0;
	int count = 0;
	/* struct iovec has no const; writev() only reads. */
	union {
		const char *given;
		char *written;
	} bytes;

	while (text.length > 0 || last) {
		size_t length = text.length < FCGI_MAX_LENGTH ? text.length
							      : FCGI_MAX_LENGTH;
		FCGI_Header *header = &headers[records++];

		*header = make_header(request_id, FCGI_STDOUT, length);
		parts[count++] = (struct iovec) { header, sizeof(*header) };
		total += sizeof(*header) + length;
		if (length == 0) /* an empty record ends the stream */
			break;
		bytes.given = slice_take(&text, length).data;
		parts[count++] = (struct iovec) { bytes.written, length };
	}
	if (last) {
		parts[count++] = (struct iovec) { &end, sizeof(end) };
		total += sizeof(end);
	}
	return writev(fd, parts, count) == (ssize_t)total;
}

/*
 * libfcgi would write 8 KiB at a time.  If this worker were killed between two
 * writes, the web server would already have passed on the first.  The kernel
 * takes all of one write or nothing, if the socket buffer has room for all.
 */
void
fcgi_record_send(int fd, unsigned request_id, struct slice answer)
{
	while (answer.length > BYTES_PER_WRITE) {
		struct slice text = slice_take(&answer, BYTES_PER_WRITE);

		if (!write_records(fd, request_id, text, false))
			return;
	}
	(void)write_records(fd, request_id, answer, true);
}
