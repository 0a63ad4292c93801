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
 * listening socket that is descriptor 0 when the program starts.
 */
struct fcgi;

/*
 * STATUS_OK: the caller owns *fcgi* and frees it with fcgi_free(), which
 * accepts NULL.  STATUS_INVALID if descriptor 0 is no listening socket;
 * STATUS_INTERNAL if there is no memory or no descriptor.  On failure *fcgi* is
 * unchanged.
 */
enum status fcgi_new(struct fcgi **fcgi) MUST_CHECK;
void fcgi_free(struct fcgi *fcgi);

/*
 * Wait for a connection, with the signal mask *mask* during the wait.  Returns
 * false if a signal arrived first.
 *
 * Can return true although no connection is waiting: the kernel now and then
 * wakes more than one process for a connection; and each call returns after
 * half a second, to look for connections whose process was killed before it
 * accepted them.
 */
bool fcgi_wait(const struct fcgi *fcgi, const sigset_t *mask);

/*
 * Accept a connection and read its request.  The body is in *arena*; all else
 * belongs to *fcgi* and is valid until fcgi_finish().  Does not wait for a
 * connection: STATUS_NONE if no connection is waiting, or what was sent is not
 * a request.
 */
enum status fcgi_accept(
    struct fcgi *fcgi, struct arena *arena, struct request *request) MUST_CHECK;

/*
 * Send *answer*, a CGI header and body (RFC 3875 section 6), and close the
 * connection.  If the web server does not take the answer in time, the rest is
 * dropped.
 */
void fcgi_finish(struct fcgi *fcgi, struct slice answer);

#endif
