/*
 * Goal: a statement runs right whether it is still prepared or had to give its
 * place to others, with as many values and columns as it has; and one that has
 * other numbers of them than were given is refused, and said so.
 *
 * Not for "make check": it needs a database, and the option file that names it
 * as its argument.  t/program/statements.t runs it.
 */

#include "db/db.h"

#include <stdlib.h>
#include <string.h>

#include "tap.h"

#define MANY 100

static struct db *db;
static struct arena *arena;

/* Run *sql*; its one row, or NULL. */
static const struct sql_value *
one_row(const struct sql *sql)
{
	const struct sql_value *row;

	if (db_run(db, sql) != STATUS_OK || db_row(db, &row) != STATUS_OK)
		return NULL;
	db_done(db);
	return row;
}

/* Have the server say *number*, by a statement of its own for each. */
static bool
says(int number)
{
	struct sql sql = sql_in(arena);
	char text[32];
	const struct sql_value *row;

	(void)snprintf(text, sizeof(text), "%d", number);
	sql_add(&sql, "SELECT ");
	sql_column(&sql, text, SQL_INTEGER);
	row = one_row(&sql);
	return row != NULL && row->type == SQL_INTEGER && row->number == number;
}

/* How often the server did on this connection what the counter *name* counts.
 */
static int64_t
counted(const char *name)
{
	struct sql sql = sql_in(arena);
	const struct sql_value *row;

	sql_add(&sql, "SELECT ");
	sql_column(&sql, "CAST(variable_value AS INTEGER)", SQL_INTEGER);
	sql_bind(&sql,
	    " FROM information_schema.session_status"
	    " WHERE variable_name = ?",
	    sql_text(slice_of(name)));
	row = one_row(&sql);
	return row == NULL ? -1 : row->number;
}

static void
test_prepared(void)
{
	const int places = DB_PREPARED_MAX;
	int64_t before = counted("COM_STMT_PREPARE");
	bool right = true;

	for (int round = 0; round < 3; round++)
		for (int i = 0; i < 10; i++)
			right = says(i) && right;
	ok(right, "ten statements, three times each");
	ok(counted("COM_STMT_PREPARE") == before + 10,
	    "each of them was prepared once");

	for (int round = 0; round < 2; round++)
		for (int i = 0; i < 2 * places; i++)
			right = says(i) && right;
	ok(right, "twice as many as there are places, and all of them right");
	before = counted("COM_STMT_PREPARE");
	ok(before - counted("COM_STMT_CLOSE") == places,
	    "the server holds as many as there are places");

	/* All but the counter are numbers.  Run the other way round, the one
	 * that was prepared last is the one that was not run for longest. */
	for (int i = 2 * places - 1; i > places; i--)
		right = says(i) && right;
	ok(right && counted("COM_STMT_PREPARE") == before,
	    "the youngest are still prepared");
	right = says(0);
	ok(right && counted("COM_STMT_PREPARE") == before + 1,
	    "an older one is prepared again");
	right = says(places + 1) && says(2 * places - 2);
	ok(right && counted("COM_STMT_PREPARE") == before + 1,
	    "for which none of those had to go that were run since");
	right = says(2 * places - 1);
	ok(right && counted("COM_STMT_PREPARE") == before + 2,
	    "but the one that was not run for longest");
}

static void
test_values(void)
{
	struct sql sql = sql_in(arena);
	const struct sql_value *row;

	sql_add(&sql, "SELECT ");
	sql_column(&sql, "0", SQL_INTEGER);
	for (int i = 1; i <= MANY; i++)
		sql_bind(&sql, " + CAST(? AS INTEGER)", sql_integer(i));
	row = one_row(&sql);
	ok(row != NULL && row->number == MANY * (MANY + 1) / 2, "%d values",
	    MANY);
}

static void
test_columns(void)
{
	static char longest[DB_COLUMN_BYTES];
	const struct slice text = { longest, sizeof(longest) };
	struct sql sql = sql_in(arena);
	const struct sql_value *row;
	const char *separator = "SELECT ";
	int right = 0;

	ok(says(1), "one column");
	memset(longest, 'x', sizeof(longest));
	for (int i = 0; i < MANY; i++) {
		sql_add(&sql, separator);
		sql_column(&sql, "", SQL_TEXT);
		sql_bind(&sql, "?", sql_text(text));
		separator = ", ";
	}
	if ((row = one_row(&sql)) != NULL)
		for (int i = 0; i < MANY; i++)
			right += slice_equal(row[i].bytes, text);
	ok(right == MANY, "%d columns, as long as can be, all whole", MANY);
	ok(says(1) && says(2), "and then one again");
	row = one_row(&sql);
	ok(row != NULL && slice_equal(row[MANY - 1].bytes, text),
	    "and %d again", MANY);

	sql = sql_in(arena);
	sql_add(&sql, "SELECT ");
	sql_column(&sql, "'short'", SQL_TEXT);
	sql_column(&sql, ", CONCAT(", SQL_TEXT);
	sql_bind(&sql, "?, 'y')", sql_text(text));
	if (ok(db_run(db, &sql) == STATUS_OK, "a longer one is run"))
		ok(db_row(db, &row) == STATUS_INTERNAL, "but not cut to fit");
	ok(says(3), "and the connection is well");
}

static void
test_types(void)
{
	/* 2026-11-23 10:30:00.123456 */
	const int64_t time = INT64_C(1795429800123456);
	const struct slice bytes = { "\0\xff'\\", 4 };
	struct sql sql = sql_in(arena);
	const struct sql_value *row;

	sql_add(&sql, "SELECT ");
	sql_column(&sql, "", SQL_INTEGER);
	sql_bind(&sql, "CAST(? AS INTEGER), ", sql_integer(INT64_MIN));
	sql_column(&sql, "", SQL_TIME);
	sql_bind(&sql, "CAST(? AS DATETIME(6)), ", sql_time(time));
	sql_column(&sql, "", SQL_BYTES);
	sql_bind(
	    &sql, "CAST(? AS BINARY), ", sql_bytes(bytes.data, bytes.length));
	sql_column(&sql, "", SQL_TEXT);
	sql_bind(&sql, "?, ", sql_text(SLICE("\xc3\xa4")));
	sql_column(&sql, "", SQL_TEXT);
	sql_bind(&sql, "?", sql_text((struct slice) { NULL, 0 }));
	if (!ok((row = one_row(&sql)) != NULL, "a value of each type"))
		return;
	ok(row[0].type == SQL_INTEGER && row[0].number == INT64_MIN,
	    "an integer there and back");
	ok(row[1].type == SQL_TIME && row[1].number == time, "a time");
	ok(row[2].type == SQL_BYTES && slice_equal(row[2].bytes, bytes),
	    "bytes");
	ok(row[3].type == SQL_TEXT &&
		slice_equal(row[3].bytes, SLICE("\xc3\xa4")),
	    "text");
	ok(row[4].type == SQL_NULL && row[4].bytes.data == NULL, "nothing");
}

/* *text* with so many values and types, which are not those that it has. */
static void
refuse(const char *text, int values, int types)
{
	struct sql sql = sql_in(arena);

	sql_add(&sql, text);
	for (int i = 0; i < values; i++)
		sql_bind(&sql, "", sql_integer(i));
	for (int i = 0; i < types; i++)
		sql_column(&sql, "", SQL_INTEGER);
	for (int round = 1; round <= 2; round++)
		ok(db_run(db, &sql) == STATUS_INTERNAL,
		    "%s: %d values and %d types are refused, time %d", text,
		    values, types, round);
	ok(says(4), "and the connection is well");
}

int
main(int argc, char **argv)
{
	if (argc != 2 ||
	    (arena = arena_new((size_t)16 * 1024 * 1024)) == NULL ||
	    (db = db_new(argv[1])) == NULL)
		return EXIT_FAILURE;
	test_prepared();
	test_values();
	test_columns();
	test_types();
	refuse("SELECT ?, ?, ?", 4, 3);
	refuse("SELECT ?, ?, ?", 2, 3);
	refuse("SELECT 1, 2", 0, 3);
	refuse("SELECT 1, 2", 0, 1);
	refuse("SELECT 1, 2", 0, 0);
	refuse("DO 1", 0, 1);
	db_free(db);
	arena_free(arena);
	return tap_done();
}
