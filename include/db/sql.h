#ifndef SQL_H
#define SQL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buffer.h"
#include "base/slice.h"

/* The type of a value bound to a "?", or of a column of a row. */
enum sql_type { SQL_NULL, SQL_TEXT, SQL_BYTES, SQL_INTEGER, SQL_TIME };

struct sql_value {
	enum sql_type type;
	struct slice bytes; /* SQL_TEXT: UTF-8; SQL_BYTES; not terminated */
	int64_t number;	    /* SQL_INTEGER; SQL_TIME: microseconds, UTC */
};

struct sql_value sql_text(struct slice text); /* data NULL: SQL_NULL */
struct sql_value sql_bytes(const void *bytes, size_t length);
struct sql_value sql_integer(int64_t number);
struct sql_value sql_time(int64_t time);

/*
 * An SQL statement, written piece by piece in memory of an arena: each "?"
 * together with its value, and each column of the result together with its
 * type, so that text, values and types cannot disagree.  sql_failed() tells at
 * the end whether there was memory for all pieces.
 */
struct sql {
	struct buffer text;   /* not terminated */
	struct buffer values; /* of struct sql_value */
	struct buffer types;  /* of enum sql_type */
};

/* An empty statement in *arena*. */
struct sql sql_in(struct arena *arena);

/* Append *text*, without a "?". */
static inline void
sql_add(struct sql *sql, const char *text)
{
	buffer_add(&sql->text, slice_of(text));
}

/*
 * Append *text*, with one "?", and *value* for it.  The bytes of *value* stay
 * the caller's and must last until the statement has run.
 */
static inline void
sql_bind(struct sql *sql, const char *text, struct sql_value value)
{
	sql_add(sql, text);
	buffer_add(&sql->values,
	    (struct slice) { (const char *)&value, sizeof(value) });
}

/* Append *text*, which makes a column of the result, of *type*. */
static inline void
sql_column(struct sql *sql, const char *text, enum sql_type type)
{
	sql_add(sql, text);
	buffer_add(
	    &sql->types, (struct slice) { (const char *)&type, sizeof(type) });
}

/* True if there was not memory for all pieces of *sql*. */
bool sql_failed(const struct sql *sql);

/* The values and the types, in the order of the text. */
const struct sql_value *sql_values(const struct sql *sql, size_t *count);
const enum sql_type *sql_types(const struct sql *sql, size_t *count);

#endif
