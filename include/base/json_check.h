#ifndef JSON_CHECK_H
#define JSON_CHECK_H

#include <stddef.h>

#include "base/arena.h"
#include "base/slice.h"
#include "base/status.h"

/*
 * The strict check of a JSON text, made before json-c parses the text, because
 * json-c accepts much that RFC 8259 does not.
 */
#define JSON_DEPTH_MAX 32

/* How much a text holds.  json.c counts the same in the tree of json-c. */
struct json_census {
	size_t members; /* of all objects */
	size_t bytes;	/* of all strings and names, unescaped */
};

/* A text that has passed the check. */
struct json_checked {
	struct slice text; /* the same value, in a form that json-c can read */
	struct json_census census;
};

/*
 * Check *text*: one value as in RFC 8259, in valid UTF-8 (RFC 3629) without a
 * byte order mark, nested at most JSON_DEPTH_MAX deep.  No U+0000 and no lone
 * surrogate, neither as bytes nor as escapes.  Names that occur twice in an
 * object are not found here.
 *
 * *checked* refers to *text*, or to a copy of it in *arena*.  STATUS_INVALID if
 * *text* does not pass; STATUS_INTERNAL if there is no memory.
 */
enum status json_check(struct arena *arena, struct slice text,
    struct json_checked *checked) MUST_CHECK;

#endif
