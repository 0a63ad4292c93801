#ifndef JSON_H
#define JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/slice.h"
#include "base/status.h"

/* Reading JSON.  json-c parses, after the strict check of json_check.h. */

enum json_kind {
	JSON_NULL,
	JSON_BOOLEAN,
	JSON_INTEGER, /* a number without fraction and exponent */
	JSON_NUMBER,  /* any other number */
	JSON_STRING,
	JSON_ARRAY,
	JSON_OBJECT
};

struct json_object; /* of json-c; only json.c looks inside */

/* A value.  It lives as long as the arena that it was read into. */
struct json {
	enum json_kind type;
	struct json_object *node;
};

/*
 * Read *text* into *value*.  STATUS_INVALID if *text* does not pass
 * json_check(), or an object has two members with the same name;
 * STATUS_INTERNAL if there is no memory.
 */
enum status json_read(
    struct arena *arena, struct slice text, struct json *value) MUST_CHECK;

/* Find the member *name* of *object*.  Returns false if there is none. */
bool json_member(struct json object, const char *name, struct json *member);

/*
 * Return the value of a string, boolean or integer.  A string is UTF-8, holds
 * no NUL, and is terminated.  An integer outside int64_t is returned as the
 * nearest int64_t.
 *
 * The names are not json_string() and json_integer(), because jansson, which
 * libjwt uses, exports functions with these names, and the linker would make
 * libjwt call ours.
 */
struct slice json_as_string(struct json string);
bool json_as_boolean(struct json boolean);
int64_t json_as_integer(struct json integer);

/* Return the number of items of *array*, and item *i*, counted from 0. */
size_t json_items(struct json array);
struct json json_item(struct json array, size_t i);

#endif
