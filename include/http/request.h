#ifndef REQUEST_H
#define REQUEST_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/slice.h"
#include "base/status.h"

/* The longest request target and the largest body, in bytes. */
#define REQUEST_TARGET_MAX 4096
#define REQUEST_BODY_MAX 16384

/* One more than the most segments that a path of a route has. */
#define REQUEST_SEGMENTS_MAX 6

enum method {
	METHOD_GET,
	METHOD_HEAD,
	METHOD_POST,
	METHOD_PUT,
	METHOD_PATCH,
	METHOD_DELETE,
	METHOD_OPTIONS,
	METHOD_OTHER,
	METHOD_COUNT
};

/* A request as it was sent.  The data of an absent header field is NULL. */
struct request {
	enum method method;
	struct slice target; /* raw: not decoded, not normalised */
	struct slice authorization;
	struct slice content_type;
	struct slice if_match;
	struct slice if_none_match;
	struct slice idempotency_key;
	struct slice id;   /* nginx's $request_id: visible ASCII */
	struct slice body; /* as much as was read */

	/*
	 * STATUS_OK if the whole body was read; STATUS_CONTENT_TOO_LARGE if the
	 * body is larger than REQUEST_BODY_MAX and was not read;
	 * STATUS_BAD_REQUEST if Content-Length is no number or not the length
	 * of the body; STATUS_INTERNAL if there is no memory.
	 */
	enum status body_status;
};

/* The parts of a target: "/a/b?c" has the segments a and b and the query c. */
struct target {
	struct slice segments[REQUEST_SEGMENTS_MAX]; /* raw */
	size_t segment_count; /* REQUEST_SEGMENTS_MAX if there were more */
	struct slice query;   /* raw, without "?"; data NULL if no "?" */
};

/*
 * Return the method that is named *name* (RFC 9110 section 9.1: names are
 * case-sensitive), and the name of *method*.
 */
enum method request_method(struct slice name);
const char *request_method_name(enum method method);

/*
 * Split *target* into its parts (RFC 3986 section 3.3, RFC 9112 section 3.2.1).
 * Nothing is decoded or normalised.  STATUS_BAD_REQUEST if the target is longer
 * than REQUEST_TARGET_MAX, does not begin with "/" or has a "#", or if its path
 * has an empty segment, a dot segment, a backslash, a control byte, a "%" that
 * begins no escape, or the escape of any of these or of "/".
 */
enum status request_split(struct slice target, struct target *parts) MUST_CHECK;

/*
 * Decode each "%XX" of *text* once.  *decoded* is in *arena*.  STATUS_INVALID
 * at a "%" that begins no escape; STATUS_INTERNAL if there is no memory.
 */
enum status request_decode(
    struct arena *arena, struct slice text, struct slice *decoded) MUST_CHECK;

/*
 * Remove the first parameter from *query*.  *name* and *value* are raw; the
 * data of *value* is NULL if the parameter has no "=".  Empty parameters are
 * skipped.  Returns false at the end.
 */
bool request_next_parameter(
    struct slice *query, struct slice *name, struct slice *value);

#endif
