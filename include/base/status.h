#ifndef STATUS_H
#define STATUS_H

/*
 * The one error idiom: a fallible function returns an enum status, which the
 * caller must look at, and gives its result through its last parameter.  What a
 * handler returns is the answer to the client; the table in status.c says how.
 */

#define MUST_CHECK __attribute__((warn_unused_result))

enum status {
	/* Successes. */
	STATUS_OK = 0,
	STATUS_CREATED,
	STATUS_NO_CONTENT,
	STATUS_NOT_MODIFIED,

	/* Refusals; the codes are those of the wire contract. */
	STATUS_BAD_REQUEST,
	STATUS_TOKEN_MISSING,
	STATUS_TOKEN_INVALID,
	STATUS_TOKEN_EXPIRED,
	STATUS_TOKEN_ISSUER,
	STATUS_TOKEN_AUDIENCE,
	STATUS_FORBIDDEN,
	STATUS_NOT_FOUND,
	STATUS_METHOD_NOT_ALLOWED,
	STATUS_PRECONDITION_FAILED,
	STATUS_CONTENT_TOO_LARGE,
	STATUS_UNSUPPORTED_MEDIA_TYPE,
	STATUS_INVALID,
	STATUS_IDEMPOTENCY_KEY_REUSED,

	/* Failures of this program, or of the database. */
	STATUS_INTERNAL,
	STATUS_UNAVAILABLE,

	/* For callers alone: what was looked for is not there. */
	STATUS_NONE,

	STATUS_COUNT
};

/* How a status is told to a client (RFC 9110 section 15, RFC 9457). */
struct status_answer {
	unsigned http;	    /* the status code, 100 to 599 */
	const char *title;  /* RFC 9110's phrase for it */
	const char *code;   /* for programs; NULL for a success */
	const char *detail; /* for people, unless the handler knows better */
};

/* Return how *status* is answered.  Never NULL; the answer is static. */
const struct status_answer *status_answer(enum status status);

#endif
