#include "db/db.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <mysql.h>

#include "base/log.h"
#include "base/timestamp.h"
#include "db/db_error.h"

/*
 * A step sends something and waits for the whole answer, for at most a second.
 * A request begins no step after 0.9 s, so the database takes less than two
 * seconds of it.  Two waits can be longer: connecting to a list of hosts is one
 * step with a second for each host, and the C library itself waits for the
 * address of a host, as long as RES_OPTIONS says.
 */
#define STEP_SECONDS 1
#define STEP_US INT64_C(1000000)
#define REQUEST_US INT64_C(900000)

/* After a failure to connect, the next attempt is this much later. */
#define PAUSE_US INT64_C(500000)

/*
 * What statements rely on, whatever the server's defaults, its init_connect and
 * the option file say.  Text is UTF-8, and a text that is too long is an error.
 * Each statement is a transaction of its own unless db_begin() began one, and
 * COMMIT does not begin another.  Unique keys are checked, no limit hides rows,
 * and titles sort by all of their characters.  Setting autocommit to 0 and then
 * to 1 commits a transaction that init_connect began.  max_statement_time is
 * shorter than a step: the server ends a slow statement, and the connection
 * survives.
 */
static const char session[] =
    "SET NAMES utf8mb4 COLLATE utf8mb4_nopad_bin, SESSION"
    " sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION',"
    " autocommit = 0, autocommit = 1, completion_type = 'NO_CHAIN',"
    " tx_read_only = 0, tx_isolation = 'REPEATABLE-READ', unique_checks = 1,"
    " sql_select_limit = 18446744073709551615, sql_safe_updates = 0,"
    " sql_big_selects = 1, max_sort_length = 1024,"
    " max_statement_time = 0.8";

/* A prepared statement; *stmt* is NULL where there is room for one. */
struct prepared {
	MYSQL_STMT *stmt;
	char *text; /* not terminated */
	size_t length;
	uint64_t last_run; /* the value of db->runs then */
};

/* Where Connector/C writes a column of a row. */
struct column {
	char bytes[DB_COLUMN_BYTES];
	long long number;
	MYSQL_TIME time;
	unsigned long length;
	my_bool is_null;
};

struct db {
	const char *defaults_file;
	MYSQL *mysql; /* NULL while there is no connection */
	bool ready;   /* the session settings are in force */
	/* Microseconds of the monotonic clock: */
	int64_t pause_until; /* no attempt to connect before this */
	int64_t deadline;    /* no step is begun after this */
	int64_t step_end;    /* the present step ends by then */
	bool in_transaction;
	unsigned error;	  /* the code of the last failure, or 0 */
	char reason[256]; /* the text of the last failure */

	struct prepared prepared[DB_PREPARED_MAX];
	uint64_t runs;

	/* The last statement while its rows are read; else NULL. */
	MYSQL_STMT *running;
	uint64_t affected;

	/* Its row; there is room for the widest statement so far. */
	struct sql_value *row;
	struct column *columns;
	enum sql_type *types;
	size_t column_count, column_room;
};

struct db *
db_new(const char *defaults_file)
{
	struct db *db;

	if ((db = calloc(1, sizeof(*db))) == NULL)
		return NULL;
	db->defaults_file = defaults_file;
	db->deadline = INT64_MAX;
	return db;
}

/* Close the statement in *place*, which is empty afterwards. */
static void
close_prepared(struct prepared *place)
{
	if (place->stmt != NULL)
		(void)mysql_stmt_close(place->stmt);
	free(place->text);
	*place = (struct prepared) { .stmt = NULL };
}

/* Close the connection and everything that was prepared on it. */
static void
disconnect(struct db *db)
{
	if (db->mysql == NULL)
		return;
	/* This detaches the statements from the connection, so that closing
	 * them neither sends nor waits. */
	mysql_close(db->mysql);
	db->mysql = NULL;
	for (size_t i = 0; i < DB_PREPARED_MAX; i++)
		close_prepared(&db->prepared[i]);
	db->running = NULL;
	db->ready = false;
	db->in_transaction = false;
}

void
db_free(struct db *db)
{
	if (db == NULL)
		return;
	disconnect(db);
	mysql_library_end();
	free(db->row);
	free(db->columns);
	free(db->types);
	free(db);
}

/* Log the failure of *step*.  Returns the status for the request. */
static enum status
fail(struct db *db, const char *step, unsigned code, const char *state,
    const char *message)
{
	unsigned traits = db_error_traits(code);
	enum log_level level = LOG_LEVEL_ERROR;

	message = db_error_message(code, message);
	if ((traits & DB_ERROR_RETRYABLE) != 0)
		level = LOG_LEVEL_INFO;
	log_event(level, "database",
	    LOG_FIELDS(log_text("step", step), log_number("errno", code),
		log_text("sqlstate", state), log_text("reason", message)));
	db->error = code;
	(void)snprintf(
	    db->reason, sizeof(db->reason), "error %u: %s", code, message);
	if ((traits & DB_ERROR_OURS) != 0)
		return STATUS_INTERNAL;
	if ((traits & (DB_ERROR_LOST | DB_ERROR_ELSEWHERE)) != 0)
		disconnect(db);
	if ((traits & DB_ERROR_LOST) != 0)
		db->pause_until = timestamp_monotonic() + PAUSE_US;
	return STATUS_UNAVAILABLE;
}

/* Log a fault of this program in *step*.  Returns STATUS_INTERNAL. */
static enum status
fail_here(const char *step, const char *reason)
{
	log_event(LOG_LEVEL_ERROR, "database",
	    LOG_FIELDS(log_text("step", step), log_text("reason", reason)));
	return STATUS_INTERNAL;
}

static enum status
fail_connection(struct db *db, const char *step)
{
	return fail(db, step, mysql_errno(db->mysql), mysql_sqlstate(db->mysql),
	    mysql_error(db->mysql));
}

static enum status
fail_statement(struct db *db, const char *step, MYSQL_STMT *stmt)
{
	return fail(db, step, mysql_stmt_errno(stmt), mysql_stmt_sqlstate(stmt),
	    mysql_stmt_error(stmt));
}

/*
 * The steps.  Connector/C limits the time of each single wait, so an answer
 * that comes in small pieces could take any time.  Its non-blocking functions
 * leave the waiting to the caller, which limits the time of the whole step.
 */
static void
begin_step(struct db *db)
{
	db->step_end = timestamp_monotonic() + STEP_US;
}

/* Wait for *events* as Connector/C asked.  Returns what to tell it. */
static int
wait_for(struct db *db, int events)
{
	struct pollfd fd = { .fd = (int)mysql_get_socket(db->mysql) };
	int64_t left;

	/* Connector/C waits to write when it connects to a next host. */
	if ((events & MYSQL_WAIT_WRITE) != 0) {
		fd.events |= POLLOUT;
		begin_step(db);
	}
	if ((events & MYSQL_WAIT_READ) != 0)
		fd.events |= POLLIN;
	left = db->step_end - timestamp_monotonic();
	if (left > 0 && poll(&fd, 1, (int)(left / 1000) + 1) != 0)
		return events & ~MYSQL_WAIT_TIMEOUT;
	/* Under TLS, Connector/C would go on trying while the peer is there. */
	(void)shutdown(fd.fd, SHUT_RDWR);
	return MYSQL_WAIT_TIMEOUT;
}

/* Each of these functions is one step, and returns false if it failed. */

static bool
connect_step(struct db *db)
{
	MYSQL *mysql;
	int events;

	begin_step(db);
	events = mysql_real_connect_start(&mysql, db->mysql, NULL, NULL, NULL,
	    NULL, 0, NULL, CLIENT_FOUND_ROWS);
	while (events != 0)
		events = mysql_real_connect_cont(
		    &mysql, db->mysql, wait_for(db, events));
	return mysql != NULL;
}

static bool
ping_step(struct db *db)
{
	int events, failed;

	begin_step(db);
	events = mysql_ping_start(&failed, db->mysql);
	while (events != 0)
		events = mysql_ping_cont(
		    &failed, db->mysql, wait_for(db, events));
	return failed == 0;
}

static bool
query_step(struct db *db, const char *sql)
{
	int events, failed;

	begin_step(db);
	events = mysql_real_query_start(&failed, db->mysql, sql, strlen(sql));
	while (events != 0)
		events = mysql_real_query_cont(
		    &failed, db->mysql, wait_for(db, events));
	return failed == 0;
}

static bool
prepare_step(struct db *db, MYSQL_STMT *stmt, struct slice text)
{
	int events, failed;

	begin_step(db);
	events = mysql_stmt_prepare_start(
	    &failed, stmt, text.data, text.length);
	while (events != 0)
		events = mysql_stmt_prepare_cont(
		    &failed, stmt, wait_for(db, events));
	return failed == 0;
}

static bool
execute_step(struct db *db, MYSQL_STMT *stmt)
{
	int events, failed;

	begin_step(db);
	events = mysql_stmt_execute_start(&failed, stmt);
	while (events != 0)
		events = mysql_stmt_execute_cont(
		    &failed, stmt, wait_for(db, events));
	return failed == 0;
}

/* Read the rest of the answer to execute_step(), within the same step. */
static bool
store_step(struct db *db, MYSQL_STMT *stmt)
{
	int events, failed;

	events = mysql_stmt_store_result_start(&failed, stmt);
	while (events != 0)
		events = mysql_stmt_store_result_cont(
		    &failed, stmt, wait_for(db, events));
	return failed == 0;
}

/*
 * True if the server has closed the idle connection.  The server sends nothing
 * unasked except when it closes, so a connection with nothing to read is open.
 * TLS sends records of its own; then a ping decides.
 */
static bool
is_stale(struct db *db)
{
	struct pollfd fd = {
		.fd = (int)mysql_get_socket(db->mysql),
		.events = POLLIN,
	};

	if (poll(&fd, 1, 0) == 0)
		return false;
	return !ping_step(db);
}

/*
 * STATUS_UNAVAILABLE if the request has no time left for *step*.  A transaction
 * is then undone.  A connection and statements made so far are kept for the
 * next request, which otherwise could run out of time in the same place.
 */
static enum status
check_time(struct db *db, const char *step)
{
	if (timestamp_monotonic() < db->deadline)
		return STATUS_OK;
	log_event(LOG_LEVEL_ERROR, "database",
	    LOG_FIELDS(log_text("step", step),
		log_text(
		    "reason", "the request had no time left for this step")));
	if (db->in_transaction)
		disconnect(db);
	return STATUS_UNAVAILABLE;
}

/* Log a failure to connect, and pause before the next attempt. */
static enum status
fail_connect(struct db *db)
{
	enum status status = fail_connection(db, "connect");

	disconnect(db);
	db->pause_until = timestamp_monotonic() + PAUSE_US;
	return status == STATUS_INTERNAL ? STATUS_UNAVAILABLE : status;
}

static enum status
connect_anew(struct db *db)
{
	static const unsigned seconds = STEP_SECONDS;
	/* The stack of the non-blocking functions.  The default, 60 KiB, has
	 * to hold TLS and the resolver too. */
	static const size_t stack = (size_t)256 * 1024;
	static const my_bool no = 0;
	MYSQL *mysql;

	if (timestamp_monotonic() < db->pause_until)
		return STATUS_UNAVAILABLE;
	if ((mysql = mysql_init(NULL)) == NULL)
		return fail_here("connect", "no memory");
	db->mysql = mysql;
	/* The time limits are for mysql_close(), which has no step. */
	if (mysql_options(mysql, MYSQL_OPT_NONBLOCK, &stack) != 0 ||
	    mysql_options(mysql, MYSQL_OPT_CONNECT_TIMEOUT, &seconds) != 0 ||
	    mysql_options(mysql, MYSQL_OPT_READ_TIMEOUT, &seconds) != 0 ||
	    mysql_options(mysql, MYSQL_OPT_WRITE_TIMEOUT, &seconds) != 0 ||
	    mysql_options(mysql, MYSQL_SET_CHARSET_NAME, "utf8mb4") != 0 ||
	    mysql_options(mysql, MYSQL_READ_DEFAULT_FILE, db->defaults_file) !=
		0 ||
	    mysql_options(mysql, MYSQL_READ_DEFAULT_GROUP, "todo") != 0 ||
	    !connect_step(db) ||
	    /* After the option file was read, which could set it: a silent
	     * reconnect would lose the beginning of a transaction. */
	    mysql_options(mysql, MYSQL_OPT_RECONNECT, &no) != 0)
		return fail_connect(db);
	return STATUS_OK;
}

/* Set what statements rely on in a new connection. */
static enum status
begin_session(struct db *db)
{
	if (!query_step(db, session))
		return fail_connect(db);
	db->ready = true;
	log_event(LOG_LEVEL_INFO, "database",
	    LOG_FIELDS(log_text("step", "connected"),
		log_text("server", mysql_get_server_info(db->mysql))));
	return STATUS_OK;
}

void
db_allow_time(struct db *db)
{
	db->deadline = timestamp_monotonic() + REQUEST_US;
}

enum status
db_connect(struct db *db)
{
	enum status status;

	db->error = 0;
	if (db->in_transaction)
		return STATUS_OK; /* a new connection has no transaction */
	if (db->mysql != NULL && is_stale(db))
		disconnect(db);
	if (db->mysql == NULL) {
		if ((status = check_time(db, "connect")) != STATUS_OK)
			return status;
		if ((status = connect_anew(db)) != STATUS_OK)
			return status;
	}
	if (db->ready)
		return STATUS_OK;
	/* If a silent host took all the time, the connection is there for the
	 * next request. */
	if ((status = check_time(db, "session")) != STATUS_OK)
		return status;
	return begin_session(db);
}

bool
db_is_connected(const struct db *db)
{
	return db->ready;
}

/* The prepared statement *text*, or NULL. */
static struct prepared *
find_prepared(struct db *db, struct slice text)
{
	for (size_t i = 0; i < DB_PREPARED_MAX; i++) {
		struct prepared *place = &db->prepared[i];

		if (place->stmt != NULL && place->length == text.length &&
		    memcmp(place->text, text.data, text.length) == 0)
			return place;
	}
	return NULL;
}

/* Empty the place that was used least recently. */
static struct prepared *
make_place(struct db *db)
{
	struct prepared *oldest = &db->prepared[0];

	/* An empty place has last_run 0. */
	for (size_t i = 1; i < DB_PREPARED_MAX; i++)
		if (db->prepared[i].last_run < oldest->last_run)
			oldest = &db->prepared[i];
	close_prepared(oldest);
	return oldest;
}

static enum status
prepare(struct db *db, struct slice text, MYSQL_STMT **stmt)
{
	struct prepared *place = find_prepared(db, text);
	enum status status;

	db->runs++;
	if (place != NULL) {
		place->last_run = db->runs;
		*stmt = place->stmt;
		return STATUS_OK;
	}
	if ((status = check_time(db, "prepare")) != STATUS_OK)
		return status;
	place = make_place(db);
	/* disconnect(), which prepare_step() may call, closes it too. */
	*place = (struct prepared) {
		.stmt = mysql_stmt_init(db->mysql),
		.text = malloc(text.length),
		.length = text.length,
		.last_run = db->runs,
	};
	if (place->stmt == NULL || place->text == NULL) {
		close_prepared(place);
		return fail_here("prepare", "no memory");
	}
	memcpy(place->text, text.data, text.length);
	*stmt = place->stmt;
	if (prepare_step(db, place->stmt, text))
		return STATUS_OK;
	status = fail_statement(db, "prepare", place->stmt);
	close_prepared(place);
	return status;
}

/* Log that a statement has *has* *things* where *given* were given. */
static enum status
fail_count(const char *step, unsigned long has, const char *things,
    size_t given, const char *values)
{
	char reason[96];

	(void)snprintf(reason, sizeof(reason),
	    "statement has %lu %s, %zu %s given", has, things, given, values);
	return fail_here(step, reason);
}

/* Bind *value*.  A time is converted into *time*, which must last. */
static void
bind_value(MYSQL_BIND *bind, MYSQL_TIME *time, const struct sql_value *value)
{
	/* MYSQL_BIND is for both directions, so its pointer is not const;
	 * Connector/C only reads from this one. */
	union {
		const void *given;
		void *taken;
	} bytes = { .given = value->bytes.data };

	switch (value->type) {
	case SQL_NULL:
		bind->buffer_type = MYSQL_TYPE_NULL;
		break;
	case SQL_TEXT:
	case SQL_BYTES:
		bind->buffer_type = value->type == SQL_TEXT ? MYSQL_TYPE_STRING
							    : MYSQL_TYPE_BLOB;
		bind->buffer = bytes.taken;
		bind->buffer_length = value->bytes.length;
		break;
	case SQL_INTEGER:
		bytes.given = &value->number;
		bind->buffer_type = MYSQL_TYPE_LONGLONG;
		bind->buffer = bytes.taken;
		break;
	case SQL_TIME: {
		struct timestamp_parts parts = timestamp_split(value->number);

		*time = (MYSQL_TIME) {
			.year = parts.year,
			.month = parts.month,
			.day = parts.day,
			.hour = parts.hour,
			.minute = parts.minute,
			.second = parts.second,
			.second_part = parts.microsecond,
			.time_type = MYSQL_TIMESTAMP_DATETIME,
		};
		bind->buffer_type = MYSQL_TYPE_DATETIME;
		bind->buffer = time;
		break;
	}
	}
}

/* Run *stmt* with the values of *sql*. */
static enum status
execute(struct db *db, const struct sql *sql, MYSQL_STMT *stmt)
{
	struct arena *arena = sql->text.arena;
	size_t count;
	const struct sql_value *values = sql_values(sql, &count);
	MYSQL_BIND *binds = arena_alloc(arena, count * sizeof(*binds));
	MYSQL_TIME *times = arena_alloc(arena, count * sizeof(*times));

	if (binds == NULL || times == NULL)
		return fail_here("bind values", "no memory");
	memset(binds, 0, count * sizeof(*binds));
	for (size_t i = 0; i < count; i++)
		bind_value(&binds[i], &times[i], &values[i]);
	if (mysql_stmt_bind_param(stmt, binds) || !execute_step(db, stmt))
		return fail_statement(db, "execute", stmt);
	db->affected = mysql_stmt_affected_rows(stmt);
	return STATUS_OK;
}

/* Make room for *count* columns.  Returns false without memory. */
static bool
make_room(struct db *db, size_t count)
{
	struct sql_value *row;
	struct column *columns;
	enum sql_type *types;

	if (count <= db->column_room)
		return true;
	if ((row = realloc(db->row, count * sizeof(*row))) != NULL)
		db->row = row;
	columns = realloc(db->columns, count * sizeof(*columns));
	if (columns != NULL)
		db->columns = columns;
	if ((types = realloc(db->types, count * sizeof(*types))) != NULL)
		db->types = types;
	if (row == NULL || columns == NULL || types == NULL)
		return false;
	db->column_room = count;
	return true;
}

/* Bind the columns of *stmt* to db->columns. */
static enum status
bind_columns(struct db *db, const struct sql *sql, MYSQL_STMT *stmt)
{
	size_t count;
	const enum sql_type *types = sql_types(sql, &count);
	MYSQL_BIND *binds = arena_alloc(
	    sql->text.arena, count * sizeof(*binds));

	if (binds == NULL || !make_room(db, count))
		return fail_here("bind columns", "no memory");
	memcpy(db->types, types, count * sizeof(*types));
	db->column_count = count;
	memset(binds, 0, count * sizeof(*binds));
	for (size_t i = 0; i < count; i++) {
		struct column *column = &db->columns[i];
		MYSQL_BIND *bind = &binds[i];

		bind->length = &column->length;
		bind->is_null = &column->is_null;
		switch (types[i]) {
		case SQL_INTEGER:
			bind->buffer_type = MYSQL_TYPE_LONGLONG;
			bind->buffer = &column->number;
			break;
		case SQL_TIME:
			bind->buffer_type = MYSQL_TYPE_DATETIME;
			bind->buffer = &column->time;
			bind->buffer_length = sizeof(column->time);
			break;
		default:
			bind->buffer_type = MYSQL_TYPE_STRING;
			bind->buffer = column->bytes;
			bind->buffer_length = sizeof(column->bytes);
			break;
		}
	}
	if (mysql_stmt_bind_result(stmt, binds))
		return fail_statement(db, "bind columns", stmt);
	return STATUS_OK;
}

/*
 * Read the whole answer to *stmt*: after the row of INSERT ... RETURNING, the
 * server can still report that the commit failed.
 */
static enum status
receive(struct db *db, const struct sql *sql, MYSQL_STMT *stmt)
{
	unsigned long columns = mysql_stmt_field_count(stmt);
	size_t types;
	enum status status;

	(void)sql_types(sql, &types);
	if (columns == 0 && types == 0)
		return STATUS_OK;
	if (columns > 0 && !store_step(db, stmt))
		return fail_statement(db, "result", stmt);
	db->running = stmt;
	status = columns == types
	    ? bind_columns(db, sql, stmt)
	    : fail_count("bind columns", columns, "columns", types, "types");
	if (status != STATUS_OK)
		db_done(db);
	return status;
}

/* Compare the counts of *stmt* with those of *sql*. */
static enum status
check_counts(const struct sql *sql, MYSQL_STMT *stmt)
{
	unsigned long parameters = mysql_stmt_param_count(stmt);
	unsigned long columns = mysql_stmt_field_count(stmt);
	size_t values, types;

	(void)sql_values(sql, &values);
	(void)sql_types(sql, &types);
	if (parameters != values)
		return fail_count(
		    "bind values", parameters, "parameters", values, "values");
	/* Before the first run of INSERT ... RETURNING, the server reports no
	 * columns. */
	if (columns != 0 && columns != types)
		return fail_count(
		    "bind columns", columns, "columns", types, "types");
	return STATUS_OK;
}

enum status
db_run(struct db *db, const struct sql *sql)
{
	MYSQL_STMT *stmt = NULL;
	enum status status;

	db_done(db);
	if (sql_failed(sql))
		return fail_here("statement", "no memory");
	if ((status = db_connect(db)) != STATUS_OK)
		return status;
	status = prepare(db, buffer_slice(&sql->text), &stmt);
	if (status != STATUS_OK)
		return status;
	if ((status = check_counts(sql, stmt)) != STATUS_OK)
		return status;
	if ((status = check_time(db, "execute")) != STATUS_OK)
		return status;
	if ((status = execute(db, sql, stmt)) != STATUS_OK)
		return status;
	return receive(db, sql, stmt);
}

/* Log which column is longer than DB_COLUMN_BYTES. */
static enum status
fail_truncated(const struct db *db)
{
	char reason[96];
	size_t i = 0;

	while (i < db->column_count - 1 &&
	    db->columns[i].length <= DB_COLUMN_BYTES)
		i++;
	(void)snprintf(reason, sizeof(reason),
	    "column %zu has %lu bytes, more than %d", i + 1,
	    db->columns[i].length, DB_COLUMN_BYTES);
	return fail_here("fetch", reason);
}

static struct sql_value
value_of(enum sql_type type, const struct column *column)
{
	const MYSQL_TIME *time = &column->time;

	if (column->is_null)
		type = SQL_NULL;
	switch (type) {
	case SQL_TEXT:
	case SQL_BYTES:
		return (struct sql_value) { type,
			{ column->bytes, column->length }, 0 };
	case SQL_INTEGER:
		return sql_integer(column->number);
	case SQL_TIME:
		return sql_time(timestamp_join(&(struct timestamp_parts) {
		    .year = time->year,
		    .month = time->month,
		    .day = time->day,
		    .hour = time->hour,
		    .minute = time->minute,
		    .second = time->second,
		    .microsecond = (unsigned)time->second_part,
		}));
	case SQL_NULL:
		break;
	}
	return (struct sql_value) { .type = SQL_NULL };
}

enum status
db_row(struct db *db, const struct sql_value **row)
{
	int outcome;

	if (db->running == NULL)
		return STATUS_NONE;
	outcome = mysql_stmt_fetch(db->running);
	if (outcome == MYSQL_NO_DATA) {
		db_done(db);
		return STATUS_NONE;
	}
	if (outcome != 0) {
		MYSQL_STMT *stmt = db->running;

		db_done(db);
		if (outcome == MYSQL_DATA_TRUNCATED)
			return fail_truncated(db);
		return fail_statement(db, "fetch", stmt);
	}
	for (size_t i = 0; i < db->column_count; i++)
		db->row[i] = value_of(db->types[i], &db->columns[i]);
	*row = db->row;
	return STATUS_OK;
}

void
db_done(struct db *db)
{
	if (db->running != NULL) {
		/* After the last row, mysql_stmt_free_result() frees no rows
		 * unless the position is moved back. */
		if (mysql_stmt_num_rows(db->running) > 0)
			mysql_stmt_data_seek(db->running, 0);
		(void)mysql_stmt_free_result(db->running);
	}
	db->running = NULL;
}

uint64_t
db_affected(const struct db *db)
{
	return db->affected;
}

bool
db_deadlocked(const struct db *db)
{
	return (db_error_traits(db->error) & DB_ERROR_RETRYABLE) != 0;
}

bool
db_refused(const struct db *db)
{
	return db->error != 0 &&
	    (db_error_traits(db->error) & DB_ERROR_PASSING) == 0;
}

const char *
db_reason(const struct db *db)
{
	return db->reason;
}

bool
db_lacks_schema(const struct db *db)
{
	return (db_error_traits(db->error) & DB_ERROR_SCHEMA) != 0;
}

/* Run *sql*, which gives no rows. */
static enum status
command(struct db *db, const char *sql)
{
	db_done(db);
	if (!query_step(db, sql))
		return fail_connection(db, sql);
	return STATUS_OK;
}

enum status
db_begin(struct db *db)
{
	enum status status;

	if ((status = db_connect(db)) != STATUS_OK)
		return status;
	if ((status = check_time(db, "begin")) != STATUS_OK)
		return status;
	if ((status = command(db, "START TRANSACTION")) == STATUS_OK)
		db->in_transaction = true;
	return status;
}

enum status
db_commit(struct db *db)
{
	enum status status;

	if ((status = check_time(db, "commit")) != STATUS_OK)
		return status;
	if ((status = command(db, "COMMIT")) != STATUS_OK)
		disconnect(db); /* the server then rolls back */
	db->in_transaction = false;
	return status;
}

void
db_rollback(struct db *db)
{
	unsigned error = db->error;

	/* Without time for ROLLBACK, closing the connection does the same. */
	if (db->mysql != NULL &&
	    (timestamp_monotonic() >= db->deadline ||
		command(db, "ROLLBACK") != STATUS_OK))
		disconnect(db);
	db->in_transaction = false;
	db->error = error; /* of the failure before the rollback */
}
