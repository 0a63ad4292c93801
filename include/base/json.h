#ifndef JSON_H
#define JSON_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buffer.h"
#include "base/slice.h"
#include "base/status.h"

/*
 * JSON as RFC 8259 has it, read strictly and written fast.
 *
 * Reading is json-c's work, behind a check of our own of all that json-c lets
 * pass: the text is a single value in valid UTF-8 (RFC 3629) with no byte
 * order mark, nested at most JSON_DEPTH_MAX deep; no U+0000 and no lone
 * surrogate, written as themselves or as escapes; no two members of an object
 * with the same name.
 */
#define JSON_DEPTH_MAX 32

enum json_kind {
	JSON_NULL,
	JSON_BOOLEAN,
	JSON_INTEGER, /* without fraction and exponent */
	JSON_NUMBER,  /* with either */
	JSON_STRING,
	JSON_ARRAY,
	JSON_OBJECT
};

struct json_object; /* json-c's, which has an enum json_type of its own; only
		     * json.c looks inside */

/* A value; it lives as long as the arena it was read into. */
struct json {
	enum json_kind type;
	struct json_object *node;
};

/*
 * Read *text* into *value*.  STATUS_INVALID if it is not as said above;
 * STATUS_INTERNAL if there is no memory.
 */
enum status json_read(
    struct arena *arena, struct slice text, struct json *value) MUST_CHECK;

/* Find the member *name* of *object*.  False if it has none. */
bool json_member(struct json object, const char *name, struct json *member);

/*
 * The value of a string (UTF-8, holds no NUL, terminated beyond its length),
 * boolean or integer.  An integer outside int64_t is the nearest one inside.
 *
 * Not json_string() and json_integer(): jansson, which libjwt brings along,
 * exports functions of these names, and the linker would hand libjwt ours.
 */
struct slice json_as_string(struct json string);
bool json_as_boolean(struct json boolean);
int64_t json_as_integer(struct json integer);

/* The number of items of *array*, and item *i* of them. */
size_t json_items(struct json array);
struct json json_item(struct json array, size_t i);

/*
 * Write *text*, which must be valid UTF-8, as a JSON string with its quotes.
 * What need not be escaped is not.
 */
void json_write_string(struct buffer *out, struct slice text);

#endif
