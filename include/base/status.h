#ifndef STATUS_H
#define STATUS_H

/*
 * A function that can fail returns an enum status, which the caller must check,
 * and gives its result through its last parameter.  The status that a handler
 * returns decides the answer to the client, by the table in status.c.
 */

#define MUST_CHECK __attribute__((warn_unused_result))

enum status {
	/* Successes. */
	STATUS_OK = 0,
	STATUS_CREATED,
	STATUS_NO_CONTENT,
	STATUS_NOT_MODIFIED,

	/* Refusals: the client has to change something. */
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

	/* Failures of this program or of the database. */
	STATUS_INTERNAL,
	STATUS_UNAVAILABLE,

	/* Never answered to a client: the thing asked for does not exist. */
	STATUS_NONE,

	STATUS_COUNT
};

/* The answer to a client for a status (RFC 9110 section 15, RFC 9457). */
struct status_answer {
	unsigned http;	    /* the HTTP status code, 100 to 599 */
	const char *title;  /* the phrase of RFC 9110 for it */
	const char *code;   /* for programs; NULL for a success */
	const char *detail; /* for people; a handler can give another */
};

/* Return the answer for *status*: never NULL, and static. */
const struct status_answer *status_answer(enum status status);

#endif
