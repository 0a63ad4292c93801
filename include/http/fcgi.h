#ifndef FCGI_H
#define FCGI_H

#include <signal.h>
#include <stdbool.h>

#include "base/arena.h"
#include "base/slice.h"
#include "base/status.h"
#include "http/request.h"

/*
 * FastCGI, by libfcgi: one connection and one request at a time, on the
 * listening socket that whoever started us left as descriptor 0.
 */
struct fcgi;

/*
 * STATUS_INVALID if descriptor 0 is no listening socket; STATUS_INTERNAL if
 * there is no memory or no descriptor.  Either way *fcgi* is left alone.  On
 * STATUS_OK the caller owns *fcgi*; fcgi_free(), for which NULL will do, ends
 * it.
 */
enum status fcgi_new(struct fcgi **fcgi) MUST_CHECK;
void fcgi_free(struct fcgi *fcgi);

/*
 * Wait for a connection, with the signal mask *mask* meanwhile.  False if a
 * signal came first.  Of several processes that wait, the kernel wakes one for
 * each connection (now and then another, too).  Twice a second true without a
 * connection, to find one whose process was killed before it took it.
 */
bool fcgi_wait(const struct fcgi *fcgi, const sigset_t *mask);

/*
 * Take the next request, if there is one.  Its body is in *arena*, all else in
 * *fcgi*, where it is valid until fcgi_finish().  Does not wait for a
 * connection: STATUS_NONE if none is there, or what came is no request.
 */
enum status fcgi_accept(
    struct fcgi *fcgi, struct arena *arena, struct request *request) MUST_CHECK;

/*
 * Send *answer*, header and body as CGI has them, and end the request.  An
 * answer that nobody takes any more is dropped.
 */
void fcgi_finish(struct fcgi *fcgi, struct slice answer);

#endif
