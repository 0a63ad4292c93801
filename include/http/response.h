#ifndef RESPONSE_H
#define RESPONSE_H

#include "base/arena.h"
#include "base/buffer.h"
#include "base/slice.h"
#include "base/status.h"

/* A member of the request that was refused, and why, for 422. */
struct response_error {
	const char *member; /* static */
	const char *detail; /* static */
};

#define RESPONSE_ERRORS_MAX 8

/*
 * An answer in the making.  The handler fills the body and what fields there
 * are; the status it returns decides what becomes of them.
 */
struct response {
	struct buffer body; /* of a success: JSON */
	const char *detail; /* of a refusal; NULL: that of the status */
	struct slice etag;  /* with its quotes, or data NULL */
	struct slice link;  /* the value of Link, or data NULL */
	struct slice location;
	const char *allow;	  /* the value of Allow, or NULL */
	const char *accept;	  /* that of Accept, or NULL */
	const char *accept_patch; /* that of Accept-Patch, or NULL */
	bool replayed;		  /* Idempotency-Replayed: true */
	struct response_error errors[RESPONSE_ERRORS_MAX];
	size_t error_count;
};

/* An empty response whose body is in *arena*. */
struct response response_in(struct arena *arena);

/*
 * Note that *member* is refused because of *detail*, both static.  Returns
 * STATUS_INVALID, for the caller to return in turn.
 */
enum status response_invalid(
    struct response *response, const char *member, const char *detail);

/*
 * Write the whole answer, the CGI header (RFC 3875 section 6.3) and the body,
 * into *out*: of a success the response's body and fields, of a refusal a
 * problem (RFC 9457).  The body is left out for a HEAD request, but
 * Content-Length tells its length.  *bearer* says that the client sent a
 * Bearer token, for WWW-Authenticate (RFC 6750 section 3).
 */
void response_write(const struct response *response, enum status status,
    struct slice request_id, bool head, bool bearer, struct buffer *out);

#endif
