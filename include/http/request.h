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

/* The most segments that a path of ours has, and one more. */
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

/* A request as it came.  Header fields that did not come have data NULL. */
struct request {
	enum method method;
	struct slice target; /* raw: undecoded, not normalised */
	struct slice authorization;
	struct slice content_type;
	struct slice if_match;
	struct slice if_none_match;
	struct slice idempotency_key;
	struct slice id;   /* nginx's $request_id: visible ASCII */
	struct slice body; /* what was read of it */

	/*
	 * STATUS_OK if all of the body is here; STATUS_CONTENT_TOO_LARGE if it
	 * is too large and was not read; STATUS_BAD_REQUEST if it has another
	 * length than it was said to have, or that is no number;
	 * STATUS_INTERNAL if there is no memory.
	 */
	enum status body_status;
};

/* A target taken apart: "/a/b?c" has the segments a and b and the query c. */
struct target {
	struct slice segments[REQUEST_SEGMENTS_MAX]; /* raw */
	size_t segment_count; /* REQUEST_SEGMENTS_MAX if there were more */
	struct slice query;   /* raw, without "?"; data NULL if none */
};

/* The method named *name* (RFC 9110 section 9.1: case matters), and back. */
enum method request_method(struct slice name);
const char *request_method_name(enum method method);

/*
 * Take *target* apart (RFC 3986 section 3.3, RFC 9112 section 3.2.1).  Nothing
 * is decoded or normalised.  STATUS_BAD_REQUEST if it is too long, does not
 * begin with "/", or its path has an empty or a dot segment, a backslash, a
 * control byte, a "%" that begins no escape, or an encoded form of any of
 * these or of "/".
 */
enum status request_split(struct slice target, struct target *parts) MUST_CHECK;

/*
 * Decode each "%XX" of *text* once into *decoded*, in the arena.
 * STATUS_INVALID at a "%" that begins no escape; STATUS_INTERNAL if there is
 * no memory.
 */
enum status request_decode(
    struct arena *arena, struct slice text, struct slice *decoded) MUST_CHECK;

/*
 * Take the first parameter off *query*: raw *name* and *value*, the latter
 * with data NULL if there was no "=".  Returns false at the end.
 */
bool request_next_parameter(
    struct slice *query, struct slice *name, struct slice *value);

/* The media types of bodies, as Accept and Accept-Patch list them. */
#define REQUEST_TYPES "application/json"
#define REQUEST_PATCH_TYPES "application/merge-patch+json, " REQUEST_TYPES

/*
 * STATUS_OK if *content_type* is one that a request with *method* may have:
 * application/json or, of PATCH, application/merge-patch+json (RFC 7396), with
 * no charset or with UTF-8 (RFC 9110 section 8.3).  Else
 * STATUS_UNSUPPORTED_MEDIA_TYPE.
 */
enum status request_is_json(
    enum method method, struct slice content_type) MUST_CHECK;

/*
 * Take the next entity tag (RFC 9110 section 8.8.3), with its quotes but
 * without a W/ prefix, off *field*, a list of them.  Returns false when there
 * is no further tag: *field* is then empty, unless the list is malformed.
 */
bool request_next_tag(struct slice *field, struct slice *tag);

#endif
