#include "base/status.h"

#include <stddef.h>

/*
 * The titles are the phrases of RFC 9110 section 15.  The codes and details are
 * part of the contract with clients (openapi.yaml).
 */
static const struct status_answer answers[STATUS_COUNT] = {
	[STATUS_OK] = { 200, "OK", NULL, NULL },
	[STATUS_CREATED] = { 201, "Created", NULL, NULL },
	[STATUS_NO_CONTENT] = { 204, "No Content", NULL, NULL },
	[STATUS_NOT_MODIFIED] = { 304, "Not Modified", NULL, NULL },

	[STATUS_BAD_REQUEST] = { 400, "Bad Request", "bad_request",
	    "The request is malformed" },
	[STATUS_TOKEN_MISSING] = { 401, "Unauthorized", "token_missing",
	    "Not authenticated: missing authentication token" },
	[STATUS_TOKEN_INVALID] = { 401, "Unauthorized", "token_invalid",
	    "Invalid token" },
	[STATUS_TOKEN_EXPIRED] = { 401, "Unauthorized", "token_expired",
	    "Token has expired" },
	[STATUS_TOKEN_ISSUER] = { 401, "Unauthorized", "token_issuer",
	    "Invalid token issuer" },
	[STATUS_TOKEN_AUDIENCE] = { 401, "Unauthorized", "token_audience",
	    "Invalid token audience" },
	[STATUS_FORBIDDEN] = { 403, "Forbidden", "forbidden",
	    "Access forbidden: not authorized, user_id in URL does not match "
	    "token" },
	[STATUS_NOT_FOUND] = { 404, "Not Found", "not_found",
	    "There is nothing here" },
	[STATUS_METHOD_NOT_ALLOWED] = { 405, "Method Not Allowed",
	    "method_not_allowed",
	    "This resource does not have that method; see Allow" },
	[STATUS_PRECONDITION_FAILED] = { 412, "Precondition Failed",
	    "precondition_failed",
	    "The task's ETag is not what If-Match or If-None-Match asks for" },
	[STATUS_CONTENT_TOO_LARGE] = { 413, "Content Too Large",
	    "content_too_large", "The body is larger than 16384 bytes" },
	[STATUS_UNSUPPORTED_MEDIA_TYPE] = { 415, "Unsupported Media Type",
	    "unsupported_media_type",
	    "The body must be JSON in UTF-8, of a media type that Accept or "
	    "Accept-Patch names" },
	[STATUS_INVALID] = { 422, "Unprocessable Content", "invalid",
	    "The request is well-formed but its content is not valid" },
	[STATUS_IDEMPOTENCY_KEY_REUSED] = { 422, "Unprocessable Content",
	    "idempotency_key_reused",
	    "This Idempotency-Key was first sent with another task" },

	[STATUS_INTERNAL] = { 500, "Internal Server Error", "internal",
	    "The request could not be answered" },
	[STATUS_UNAVAILABLE] = { 503, "Service Unavailable", "unavailable",
	    "The database is not available; try again" },

	/* A handler that returns STATUS_NONE has a bug. */
	[STATUS_NONE] = { 500, "Internal Server Error", "internal",
	    "The request could not be answered" },
};

const struct status_answer *
status_answer(enum status status)
{
	return &answers[status];
}
