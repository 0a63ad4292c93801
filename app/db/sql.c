#include "db/sql.h"

struct sql_value
sql_text(struct slice text)
{
	return (struct sql_value) { text.data == NULL ? SQL_NULL : SQL_TEXT,
		text, 0 };
}

struct sql_value
sql_bytes(const void *bytes, size_t length)
{
	return (struct sql_value) { SQL_BYTES, { bytes, length }, 0 };
}

struct sql_value
sql_integer(int64_t number)
{
	return (struct sql_value) { SQL_INTEGER, { NULL, 0 }, number };
}

struct sql_value
sql_time(int64_t time)
{
	return (struct sql_value) { SQL_TIME, { NULL, 0 }, time };
}

struct sql
sql_in(struct arena *arena)
{
	return (struct sql) { buffer_in(arena), buffer_in(arena),
		buffer_in(arena) };
}

bool
sql_failed(const struct sql *sql)
{
	return sql->text.failed || sql->values.failed || sql->types.failed;
}

/* The memory of a buffer is arena_alloc()'s, and so aligned for any object. */

const struct sql_value *
sql_values(const struct sql *sql, size_t *count)
{
	*count = sql->values.length / sizeof(struct sql_value);
	return (const void *)sql->values.data;
}

const enum sql_type *
sql_types(const struct sql *sql, size_t *count)
{
	*count = sql->types.length / sizeof(enum sql_type);
	return (const void *)sql->types.data;
}
