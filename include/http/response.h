#ifndef RESPONSE_H
#define RESPONSE_H

#include "base/arena.h"
#include "base/buffer.h"
#include "base/slice.h"
#include "base/status.h"

/* A member of the request that was refused, and the reason, for 422. */
struct response_error {
	const char *member; /* static */
	const char *detail; /* static */
};

#define RESPONSE_ERRORS_MAX 8

/*
 * An answer that is being made.  The handler fills in the body and the header
 * fields.  The status that the handler returns decides which of them are sent;
 * see response_write().
 */
struct response {
	struct buffer body; /* for a success: JSON */
	const char *detail; /* for a refusal; NULL: the detail of the status */
	struct slice etag;  /* with its quotes, or data NULL */
	struct slice link;  /* the value of Link, or data NULL */
	struct slice location;	  /* the value of Location, or data NULL */
	const char *allow;	  /* the value of Allow, or NULL */
	const char *accept;	  /* the value of Accept, or NULL */
	const char *accept_patch; /* the value of Accept-Patch, or NULL */
	bool replayed;		  /* Idempotency-Replayed: true */
	struct response_error errors[RESPONSE_ERRORS_MAX];
	size_t error_count;
};

/* Return an empty response whose body is in *arena*. */
struct response response_in(struct arena *arena);

/*
 * Add to the errors that *member* is refused because of *detail*, both static.
 * Errors after RESPONSE_ERRORS_MAX are dropped.  Returns STATUS_INVALID, which
 * the caller returns in turn.
 */
enum status response_invalid(
    struct response *response, const char *member, const char *detail);

/*
 * Append the whole answer to *out*: the CGI header (RFC 3875 section 6.3) and
 * the body.  A success has the body and the fields of *response*; a refusal has
 * a problem (RFC 9457) as its body, and of the fields only Allow, Accept and
 * Accept-Patch.
 *
 * If *head* is true, which means a HEAD request, the body is left out and
 * Content-Length is still its length.  *bearer* is true if the client sent a
 * Bearer token, for WWW-Authenticate (RFC 6750 section 3).
 *
 * If there is no memory for the body or the answer, *out* is marked as failed.
 */
void response_write(const struct response *response, enum status status,
    struct slice request_id, bool head, bool bearer, struct buffer *out);

#endif
