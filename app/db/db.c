#include "db/db.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <errmsg.h>
#include <mysql.h>
#include <mysqld_error.h>

#include "base/log.h"
#include "base/timestamp.h"

/*
 * A step, sending something and waiting for all of the answer, may take a
 * second.  A request begins none when it has used up its time, so it takes less
 * than two in all.  (But for a list of hosts that are all away: connecting to
 * them is one step to us, and may take a second each; and but for looking up a
 * name, for which the C library waits itself, as long as main.c has told it.)
 */
#define STEP_SECONDS 1
#define STEP_TIME INT64_C(1000000)   /* microseconds */
#define REQUEST_TIME INT64_C(900000) /* microseconds */

/* Microseconds between two tries to connect that fail. */
#define PAUSE INT64_C(500000)

/*
 * What statements rely on, whatever the server's defaults, its init_connect and
 * the option file say: text is UTF-8 and none of it is cut to fit; each
 * statement is a transaction of its own unless db_begin() began one, and COMMIT
 * begins no other; unique keys are checked; no limit hides rows; titles sort by
 * all of their characters.  Setting autocommit to 0 and then to 1 commits a
 * transaction that init_connect began.  The server gives up before this program
 * does, for a lock or for want of speed, so that the server ends what takes too
 * long, and the connection is kept.
 */
static const char session[] =
    "SET NAMES utf8mb4 COLLATE utf8mb4_nopad_bin, SESSION"
    " sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION',"
    " autocommit = 0, autocommit = 1, completion_type = 'NO_CHAIN',"
    " tx_read_only = 0, tx_isolation = 'REPEATABLE-READ', unique_checks = 1,"
    " sql_select_limit = 18446744073709551615, sql_safe_updates = 0,"
    " sql_big_selects = 1, max_sort_length = 1024,"
    " max_statement_time = 0.8";

/* A statement that is prepared, or an empty place for one: *stmt* is NULL. */
struct prepared {
	MYSQL_STMT *stmt;
	char *text; /* not terminated */
	size_t length;
	uint64_t last_run; /* db->runs at that time */
};

/* Where a column of a row arrives. */
struct arrival {
	char bytes[DB_COLUMN_BYTES];
	long long number;
	MYSQL_TIME time;
	unsigned long length;
	my_bool is_null;
};

struct db {
	const char *defaults_file;
	MYSQL *mysql;	     /* NULL while there is no connection */
	bool ready;	     /* the connection is as statements rely on */
	int64_t pause_until; /* microseconds of the monotonic clock */
	int64_t deadline;    /* likewise: no step is begun after it */
	int64_t step_end;    /* likewise: the step in hand is over by then */
	bool in_transaction;
	unsigned error;	  /* the code of the last failure, or 0 */
	char reason[256]; /* what the log has of the last failure */

	struct prepared prepared[DB_PREPARED_MAX];
	uint64_t runs;

	/* The statement run last, while it has rows; else NULL. */
	MYSQL_STMT *running;
	uint64_t affected;

	/* Its columns, and room for the widest statement so far. */
	struct sql_value *row;
	struct arrival *arrivals;
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

/* Empty *place*. */
static void
forget(struct prepared *place)
{
	if (place->stmt != NULL)
		(void)mysql_stmt_close(place->stmt);
	free(place->text);
	*place = (struct prepared) { .stmt = NULL };
}

/* Let the connection go, and with it all that was prepared on it. */
static void
disconnect(struct db *db)
{
	if (db->mysql == NULL)
		return;
	/* The statements lose their connection here, so that closing them
	 * sends nothing and waits for nobody. */
	mysql_close(db->mysql);
	db->mysql = NULL;
	for (size_t i = 0; i < DB_PREPARED_MAX; i++)
		forget(&db->prepared[i]);
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
	free(db->arrivals);
	free(db->types);
	free(db);
}

enum status
db_check(const char *defaults_file)
{
	enum status status = STATUS_INVALID;
	char line[256];
	FILE *file;

	if ((file = fopen(defaults_file, "re")) == NULL)
		return STATUS_INVALID;
	errno = 0;
	while (fgets(line, sizeof(line), file) != NULL) {
		const char *text = line + strspn(line, " \t");

		if (strncmp(text, "[todo]", 6) == 0 ||
		    strncmp(text, "!include", 8) == 0)
			status = STATUS_OK;
	}
	if (ferror(file))
		status = STATUS_INVALID;
	(void)fclose(file);
	return status;
}

/* Is *code* a fault of the statement or its values, and so of this program? */
static bool
is_our_fault(unsigned code)
{
	switch (code) {
	case ER_PARSE_ERROR:
	case ER_DUP_ENTRY:
	case ER_BAD_NULL_ERROR:
	case ER_DATA_TOO_LONG:
	case ER_TRUNCATED_WRONG_VALUE:
	case ER_TRUNCATED_WRONG_VALUE_FOR_FIELD:
	case ER_WARN_DATA_OUT_OF_RANGE:
	case CR_PARAMS_NOT_BOUND:
	case CR_INVALID_PARAMETER_NO:
	case CR_UNSUPPORTED_PARAM_TYPE:
		return true;
	default:
		return false;
	}
}

/* After *code*, is the connection of no more use? */
static bool
is_lost(unsigned code)
{
	switch (code) {
	case ER_UNKNOWN_STMT_HANDLER:
	case ER_SERVER_SHUTDOWN:
	case ER_CONNECTION_KILLED:
	/* There was no memory for that line of the option file, of which the
	 * library says nothing. */
	case ER_NO_DB_ERROR:
		return true;
	default:
		return code >= CR_MIN_ERROR && code <= CR_MAX_ERROR;
	}
}

/* Log the failure *code* of *step*, and say what it means for the request. */
static enum status
fail(struct db *db, const char *step, unsigned code, const char *state,
    const char *message)
{
	enum log_level level = LOG_LEVEL_ERROR;
	char number[16];

	(void)snprintf(number, sizeof(number), "%u", code);
	if (code == ER_DUP_ENTRY)
		message = "Duplicate entry"; /* the rest is a user's data */
	if (code == ER_LOCK_DEADLOCK)
		level = LOG_LEVEL_INFO; /* it is tried again */
	log_event(level, "database", "step", step, "errno", number, "sqlstate",
	    state, "reason", message, NULL);
	db->error = code;
	(void)snprintf(
	    db->reason, sizeof(db->reason), "error %u: %s", code, message);
	if (is_our_fault(code))
		return STATUS_INTERNAL;
	if (is_lost(code)) {
		disconnect(db);
		db->pause_until = timestamp_monotonic() + PAUSE;
	} else if (code == ER_OPTION_PREVENTS_STATEMENT) {
		/* Read-only: of several hosts another may not be. */
		disconnect(db);
	}
	return STATUS_UNAVAILABLE;
}

/* A fault of this program that the server knows nothing of. */
static enum status
fail_here(const char *step, const char *reason)
{
	log_event(
	    LOG_LEVEL_ERROR, "database", "step", step, "reason", reason, NULL);
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
 * The steps.  The library's own time limits are for each wait by itself, and an
 * answer that comes in drops has as many as it likes; so it is used in its
 * non-blocking form, in which it leaves the waiting to us.
 */
static void
begin_step(struct db *db)
{
	db->step_end = timestamp_monotonic() + STEP_TIME;
}

/* Wait for *events*, as the library asked; what has come of it, for it. */
static int
wait_for(struct db *db, int events)
{
	struct pollfd fd = { .fd = (int)mysql_get_socket(db->mysql) };
	int64_t left;

	/* It waits to write when it connects, to the next of its hosts. */
	if ((events & MYSQL_WAIT_WRITE) != 0) {
		fd.events |= POLLOUT;
		begin_step(db);
	}
	if ((events & MYSQL_WAIT_READ) != 0)
		fd.events |= POLLIN;
	left = db->step_end - timestamp_monotonic();
	if (left > 0 && poll(&fd, 1, (int)(left / 1000) + 1) != 0)
		return events & ~MYSQL_WAIT_TIMEOUT;
	/* Under TLS it would try again, for ever, but not without its peer. */
	(void)shutdown(fd.fd, SHUT_RDWR);
	return MYSQL_WAIT_TIMEOUT;
}

/* Each of these returns false if it failed, for whatever reason. */

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

/* The rest of the answer to execute_step(), within the same time. */
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
 * Has the server left the idle connection?  It sends nothing unasked but its
 * farewell, so nothing to read means that it is still there.  Over TLS there
 * may be records of the protocol's own: then only a ping can tell.
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
 * Is there time for another step?  If not, a transaction is undone; but what
 * has been connected and prepared so far is there for the next request, or one
 * that takes too long for that would never come to its end.
 */
static enum status
check_time(struct db *db, const char *step)
{
	if (timestamp_monotonic() < db->deadline)
		return STATUS_OK;
	log_event(LOG_LEVEL_ERROR, "database", "step", step, "reason",
	    "the steps before it took too long", NULL);
	if (db->in_transaction)
		disconnect(db);
	return STATUS_UNAVAILABLE;
}

/* Whatever was wrong, there is no connection, and none is tried at once. */
static enum status
fail_connect(struct db *db)
{
	enum status status = fail_connection(db, "connect");

	disconnect(db);
	db->pause_until = timestamp_monotonic() + PAUSE;
	return status == STATUS_INTERNAL ? STATUS_UNAVAILABLE : status;
}

static enum status
connect_anew(struct db *db)
{
	static const unsigned seconds = STEP_SECONDS;
	/* That of the library, while it waits: its own 60 KiB must do for
	 * TLS and the resolver too. */
	static const size_t stack = (size_t)256 * 1024;
	static const my_bool no = 0;
	MYSQL *mysql;

	if (timestamp_monotonic() < db->pause_until)
		return STATUS_UNAVAILABLE;
	if ((mysql = mysql_init(NULL)) == NULL)
		return fail_here("connect", "no memory");
	db->mysql = mysql;
	/* The limits are for what it does without asking us: to say goodbye. */
	if (mysql_options(mysql, MYSQL_OPT_NONBLOCK, &stack) != 0 ||
	    mysql_options(mysql, MYSQL_OPT_CONNECT_TIMEOUT, &seconds) != 0 ||
	    mysql_options(mysql, MYSQL_OPT_READ_TIMEOUT, &seconds) != 0 ||
	    mysql_options(mysql, MYSQL_OPT_WRITE_TIMEOUT, &seconds) != 0 ||
	    mysql_options(mysql, MYSQL_SET_CHARSET_NAME, "utf8mb4") != 0 ||
	    mysql_options(mysql, MYSQL_READ_DEFAULT_FILE, db->defaults_file) !=
		0 ||
	    mysql_options(mysql, MYSQL_READ_DEFAULT_GROUP, "todo") != 0 ||
	    !connect_step(db) ||
	    /* Only now, when the option file has had its say: the library
	     * would go on in the middle of a transaction without its begin. */
	    mysql_options(mysql, MYSQL_OPT_RECONNECT, &no) != 0)
		return fail_connect(db);
	return STATUS_OK;
}

/* Make the new connection what statements rely on. */
static enum status
begin_session(struct db *db)
{
	if (!query_step(db, session))
		return fail_connect(db);
	db->ready = true;
	log_event(LOG_LEVEL_INFO, "database", "step", "connected", "server",
	    mysql_get_server_info(db->mysql), NULL);
	return STATUS_OK;
}

void
db_allow_time(struct db *db)
{
	db->deadline = timestamp_monotonic() + REQUEST_TIME;
}

enum status
db_connect(struct db *db)
{
	enum status status;

	db->error = 0;
	if (db->in_transaction)
		return STATUS_OK; /* or it would not be one any more */
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
	/* With a silent host before the one that answers, the connection is
	 * the next request's. */
	if ((status = check_time(db, "session")) != STATUS_OK)
		return status;
	return begin_session(db);
}

/* The place of the statement *text*, or NULL. */
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

/* A place for one more statement: empty, even if another had to go. */
static struct prepared *
make_place(struct db *db)
{
	struct prepared *oldest = &db->prepared[0];

	/* That of an empty place is 0. */
	for (size_t i = 1; i < DB_PREPARED_MAX; i++)
		if (db->prepared[i].last_run < oldest->last_run)
			oldest = &db->prepared[i];
	forget(oldest);
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
	/* In its place at once, so that disconnect() finds it. */
	*place = (struct prepared) {
		.stmt = mysql_stmt_init(db->mysql),
		.text = malloc(text.length),
		.length = text.length,
		.last_run = db->runs,
	};
	if (place->stmt == NULL || place->text == NULL) {
		forget(place);
		return fail_here("prepare", "no memory");
	}
	memcpy(place->text, text.data, text.length);
	*stmt = place->stmt;
	if (prepare_step(db, place->stmt, text))
		return STATUS_OK;
	status = fail_statement(db, "prepare", place->stmt);
	forget(place);
	return status;
}

/* Fail: the statement has *has* *things*, and *given* *values* were given. */
static enum status
fail_count(const char *step, unsigned long has, const char *things,
    size_t given, const char *values)
{
	char reason[96];

	(void)snprintf(reason, sizeof(reason),
	    "statement has %lu %s, %zu %s given", has, things, given, values);
	return fail_here(step, reason);
}

/* Bind *value*; *time* is where a time is kept until it is sent. */
static void
bind_value(MYSQL_BIND *bind, MYSQL_TIME *time, const struct sql_value *value)
{
	/* MYSQL_BIND is for both directions, so its pointers are not const;
	 * the library only reads from this one. */
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

/* Send the values of *sql*, prepared as *stmt*, and run it. */
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

/* Make room for *count* columns.  Returns false if there is no memory. */
static bool
make_room(struct db *db, size_t count)
{
	struct sql_value *row;
	struct arrival *arrivals;
	enum sql_type *types;

	if (count <= db->column_room)
		return true;
	if ((row = realloc(db->row, count * sizeof(*row))) != NULL)
		db->row = row;
	arrivals = realloc(db->arrivals, count * sizeof(*arrivals));
	if (arrivals != NULL)
		db->arrivals = arrivals;
	if ((types = realloc(db->types, count * sizeof(*types))) != NULL)
		db->types = types;
	if (row == NULL || arrivals == NULL || types == NULL)
		return false;
	db->column_room = count;
	return true;
}

/* Have the columns of *sql*, which runs as *stmt*, arrive in *db*. */
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
		struct arrival *arrival = &db->arrivals[i];
		MYSQL_BIND *bind = &binds[i];

		bind->length = &arrival->length;
		bind->is_null = &arrival->is_null;
		switch (types[i]) {
		case SQL_INTEGER:
			bind->buffer_type = MYSQL_TYPE_LONGLONG;
			bind->buffer = &arrival->number;
			break;
		case SQL_TIME:
			bind->buffer_type = MYSQL_TYPE_DATETIME;
			bind->buffer = &arrival->time;
			bind->buffer_length = sizeof(arrival->time);
			break;
		default:
			bind->buffer_type = MYSQL_TYPE_STRING;
			bind->buffer = arrival->bytes;
			bind->buffer_length = sizeof(arrival->bytes);
			break;
		}
	}
	if (mysql_stmt_bind_result(stmt, binds))
		return fail_statement(db, "bind columns", stmt);
	return STATUS_OK;
}

enum status
db_run(struct db *db, const struct sql *sql)
{
	size_t value_count, column_count;
	unsigned long parameters, columns;
	MYSQL_STMT *stmt;
	enum status status;

	(void)sql_values(sql, &value_count);
	(void)sql_types(sql, &column_count);
	db_done(db);
	if (sql_failed(sql))
		return fail_here("statement", "no memory");
	if ((status = db_connect(db)) != STATUS_OK)
		return status;
	status = prepare(db, buffer_slice(&sql->text), &stmt);
	if (status != STATUS_OK)
		return status;
	if ((parameters = mysql_stmt_param_count(stmt)) != value_count)
		return fail_count("bind values", parameters, "parameters",
		    value_count, "values");
	/* Before INSERT ... RETURNING is run for the first time, the server
	 * does not say that it has columns. */
	columns = mysql_stmt_field_count(stmt);
	if (columns != 0 && columns != column_count)
		return fail_count(
		    "bind columns", columns, "columns", column_count, "types");
	if ((status = check_time(db, "execute")) != STATUS_OK)
		return status;
	if ((status = execute(db, sql, stmt)) != STATUS_OK)
		return status;
	if ((columns = mysql_stmt_field_count(stmt)) == 0 && column_count == 0)
		return STATUS_OK;
	/* All of the answer is read before any of it counts: behind the row of
	 * INSERT ... RETURNING the server may still say that the commit
	 * failed. */
	if (columns > 0 && !store_step(db, stmt))
		return fail_statement(db, "result", stmt);
	db->running = stmt;
	status = columns == column_count
	    ? bind_columns(db, sql, stmt)
	    : fail_count(
		  "bind columns", columns, "columns", column_count, "types");
	if (status != STATUS_OK)
		db_done(db);
	return status;
}

/* A column is longer than what it arrives in: say which. */
static enum status
fail_truncated(const struct db *db)
{
	char reason[96];
	size_t i = 0;

	while (i < db->column_count - 1 &&
	    db->arrivals[i].length <= DB_COLUMN_BYTES)
		i++;
	(void)snprintf(reason, sizeof(reason),
	    "column %zu has %lu bytes, more than %d", i + 1,
	    db->arrivals[i].length, DB_COLUMN_BYTES);
	return fail_here("fetch", reason);
}

static struct sql_value
value_of(enum sql_type type, const struct arrival *arrival)
{
	const MYSQL_TIME *time = &arrival->time;

	if (arrival->is_null)
		type = SQL_NULL;
	switch (type) {
	case SQL_TEXT:
	case SQL_BYTES:
		return (struct sql_value) { type,
			{ arrival->bytes, arrival->length }, 0 };
	case SQL_INTEGER:
		return sql_integer(arrival->number);
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
		db->row[i] = value_of(db->types[i], &db->arrivals[i]);
	*row = db->row;
	return STATUS_OK;
}

void
db_done(struct db *db)
{
	if (db->running != NULL) {
		/* Behind the last row the library forgets to free the rows: it
		 * would keep them until this statement is run again. */
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
	return db->error == ER_LOCK_DEADLOCK;
}

bool
db_refused(const struct db *db)
{
	switch (db->error) {
	/* No failure, or none that a server or the library told of. */
	case 0:
	/* The server is away, going away, or has no room. */
	case ER_CON_COUNT_ERROR:
	case ER_OUT_OF_RESOURCES:
	case ER_OUTOFMEMORY:
	case ER_SERVER_SHUTDOWN:
	case ER_NORMAL_SHUTDOWN:
	case ER_NEW_ABORTING_CONNECTION:
	case ER_CONNECTION_KILLED:
	case ER_TOO_MANY_USER_CONNECTIONS:
	case ER_USER_LIMIT_REACHED:
	case CR_UNKNOWN_ERROR:
	case CR_SOCKET_CREATE_ERROR:
	case CR_CONNECTION_ERROR:
	case CR_CONN_HOST_ERROR:
	case CR_IPSOCK_ERROR:
	case CR_UNKNOWN_HOST:
	case CR_SERVER_GONE_ERROR:
	case CR_OUT_OF_MEMORY:
	case CR_SERVER_HANDSHAKE_ERR:
	case CR_SERVER_LOST:
	case CR_SERVER_LOST_EXTENDED:
	case CR_MALFORMED_PACKET:
	/* A statement was in the way of another, took too long, or met a
	 * server that is read-only for now. */
	case ER_LOCK_WAIT_TIMEOUT:
	case ER_LOCK_DEADLOCK:
	case ER_QUERY_INTERRUPTED:
	case ER_STATEMENT_TIMEOUT:
	case ER_OPTION_PREVENTS_STATEMENT:
		return false;
	/* Whatever else is said, above all of what the option file has the
	 * library or the server do, will be said again. */
	default:
		return true;
	}
}

const char *
db_reason(const struct db *db)
{
	return db->reason;
}

bool
db_lacks_schema(const struct db *db)
{
	return db->error == ER_NO_SUCH_TABLE || db->error == ER_BAD_FIELD_ERROR;
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
		disconnect(db); /* which rolls back what is not committed */
	db->in_transaction = false;
	return status;
}

void
db_rollback(struct db *db)
{
	unsigned error = db->error;

	/* Where there is no time left to say it, the server sees it by that. */
	if (db->mysql != NULL &&
	    (timestamp_monotonic() >= db->deadline ||
		command(db, "ROLLBACK") != STATUS_OK))
		disconnect(db);
	db->in_transaction = false;
	db->error = error; /* what led to it is what counts */
}
