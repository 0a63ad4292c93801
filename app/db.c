#include "db.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <errmsg.h>
#include <mysql.h>
#include <mysqld_error.h>

#include "log.h"
#include "timestamp.h"

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
 * What a statement relies on, whatever the option file says: text is UTF-8 and
 * nothing of it is cut to fit, each statement is its own transaction unless
 * db_begin() said otherwise, and the server gives up before we do, be it for a
 * lock or for want of speed, so that it and not we end what takes too long, and
 * the connection is kept.
 */
static const char session[] =
    "SET NAMES utf8mb4, SESSION"
    " sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION',"
    " autocommit = 1, max_statement_time = 0.8";

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

	MYSQL_STMT *prepared[DB_STATEMENTS_MAX]; /* by index, or NULL */
	bool bound[DB_STATEMENTS_MAX];		 /* its columns are */

	/* The statement run last, while it has rows; else NULL. */
	MYSQL_STMT *running;
	const struct db_statement *statement;
	uint64_t affected;

	/* Where its columns arrive. */
	char column_bytes[DB_COLUMNS_MAX][DB_COLUMN_BYTES];
	long long column_numbers[DB_COLUMNS_MAX];
	MYSQL_TIME column_times[DB_COLUMNS_MAX];
	unsigned long column_lengths[DB_COLUMNS_MAX];
	my_bool column_nulls[DB_COLUMNS_MAX];
};

struct db_value
db_text(struct slice text)
{
	return (
	    struct db_value) { text.data == NULL ? DB_NULL : DB_TEXT, text, 0 };
}

struct db_value
db_bytes(const void *bytes, size_t length)
{
	return (struct db_value) { DB_BYTES, { bytes, length }, 0 };
}

struct db_value
db_integer(int64_t number)
{
	return (struct db_value) { DB_INTEGER, { NULL, 0 }, number };
}

struct db_value
db_time(int64_t time)
{
	return (struct db_value) { DB_TIME, { NULL, 0 }, time };
}

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
	for (size_t i = 0; i < DB_STATEMENTS_MAX; i++) {
		if (db->prepared[i] != NULL)
			(void)mysql_stmt_close(db->prepared[i]);
		db->prepared[i] = NULL;
		db->bound[i] = false;
	}
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
prepare_step(struct db *db, MYSQL_STMT *stmt, const char *sql)
{
	int events, failed;

	begin_step(db);
	events = mysql_stmt_prepare_start(&failed, stmt, sql, strlen(sql));
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

/*
 * Have the columns of *statement*, prepared as *stmt* and run, arrive in *db*.
 * Before INSERT ... RETURNING is run, nobody knows that it has any.
 */
static enum status
bind_columns(
    struct db *db, const struct db_statement *statement, MYSQL_STMT *stmt)
{
	MYSQL_BIND binds[DB_COLUMNS_MAX];

	if (db->bound[statement->index])
		return STATUS_OK;
	if (mysql_stmt_field_count(stmt) != statement->column_count)
		return fail_here("bind columns", "it has others");
	memset(binds, 0, sizeof(binds));
	for (size_t i = 0; i < statement->column_count; i++) {
		MYSQL_BIND *bind = &binds[i];

		bind->length = &db->column_lengths[i];
		bind->is_null = &db->column_nulls[i];
		switch (statement->columns[i]) {
		case DB_INTEGER:
			bind->buffer_type = MYSQL_TYPE_LONGLONG;
			bind->buffer = &db->column_numbers[i];
			break;
		case DB_TIME:
			bind->buffer_type = MYSQL_TYPE_DATETIME;
			bind->buffer = &db->column_times[i];
			bind->buffer_length = sizeof(db->column_times[i]);
			break;
		default:
			bind->buffer_type = MYSQL_TYPE_STRING;
			bind->buffer = db->column_bytes[i];
			bind->buffer_length = DB_COLUMN_BYTES;
			break;
		}
	}
	if (statement->column_count > 0 && mysql_stmt_bind_result(stmt, binds))
		return fail_statement(db, "bind columns", stmt);
	db->bound[statement->index] = true;
	return STATUS_OK;
}

static enum status
prepare(struct db *db, const struct db_statement *statement, MYSQL_STMT **stmt)
{
	enum status status;

	if ((*stmt = db->prepared[statement->index]) != NULL)
		return STATUS_OK;
	if ((status = check_time(db, "prepare")) != STATUS_OK)
		return status;
	if ((*stmt = mysql_stmt_init(db->mysql)) == NULL)
		return fail_here("prepare", "no memory");
	/* In its place at once, so that disconnect() finds it. */
	db->prepared[statement->index] = *stmt;
	if (prepare_step(db, *stmt, statement->sql))
		return STATUS_OK;
	status = fail_statement(db, "prepare", *stmt);
	if (db->prepared[statement->index] != NULL) {
		(void)mysql_stmt_close(*stmt);
		db->prepared[statement->index] = NULL;
	}
	return status;
}

/* Bind *value*; *time* is where a time is kept until it is sent. */
static void
bind_value(MYSQL_BIND *bind, MYSQL_TIME *time, const struct db_value *value)
{
	/* MYSQL_BIND is for both directions, so its pointers are not const;
	 * the library only reads from this one. */
	union {
		const void *given;
		void *taken;
	} bytes = { .given = value->bytes.data };

	switch (value->type) {
	case DB_NULL:
		bind->buffer_type = MYSQL_TYPE_NULL;
		break;
	case DB_TEXT:
	case DB_BYTES:
		bind->buffer_type = value->type == DB_TEXT ? MYSQL_TYPE_STRING
							   : MYSQL_TYPE_BLOB;
		bind->buffer = bytes.taken;
		bind->buffer_length = value->bytes.length;
		break;
	case DB_INTEGER:
		bytes.given = &value->number;
		bind->buffer_type = MYSQL_TYPE_LONGLONG;
		bind->buffer = bytes.taken;
		break;
	case DB_TIME: {
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

enum status
db_run(struct db *db, const struct db_statement *statement,
    const struct db_value *values, size_t count)
{
	MYSQL_BIND binds[DB_VALUES_MAX];
	MYSQL_TIME times[DB_VALUES_MAX];
	MYSQL_STMT *stmt;
	enum status status;

	db_done(db);
	if ((status = db_connect(db)) != STATUS_OK)
		return status;
	if ((status = prepare(db, statement, &stmt)) != STATUS_OK)
		return status;
	if (count != mysql_stmt_param_count(stmt))
		return fail_here("bind values", "it has more or fewer");

	if ((status = check_time(db, "execute")) != STATUS_OK)
		return status;

	memset(binds, 0, sizeof(binds[0]) * count);
	for (size_t i = 0; i < count; i++)
		bind_value(&binds[i], &times[i], &values[i]);
	if (mysql_stmt_bind_param(stmt, binds) || !execute_step(db, stmt))
		return fail_statement(db, "execute", stmt);
	db->affected = mysql_stmt_affected_rows(stmt);
	if (statement->column_count == 0)
		return STATUS_OK;
	/* All of the answer is read before any of it counts: behind the row of
	 * INSERT ... RETURNING the server may still say that the commit
	 * failed. */
	if (!store_step(db, stmt))
		return fail_statement(db, "result", stmt);
	db->running = stmt;
	db->statement = statement;
	if ((status = bind_columns(db, statement, stmt)) != STATUS_OK)
		db_done(db);
	return status;
}

enum status
db_row(struct db *db, struct db_value *columns)
{
	int outcome;

	if (db->running == NULL)
		return STATUS_NOT_FOUND;
	outcome = mysql_stmt_fetch(db->running);
	if (outcome == MYSQL_NO_DATA) {
		db_done(db);
		return STATUS_NOT_FOUND;
	}
	if (outcome != 0) {
		MYSQL_STMT *stmt = db->running;

		db_done(db);
		if (outcome == MYSQL_DATA_TRUNCATED)
			return fail_here("fetch", "a column is too long");
		return fail_statement(db, "fetch", stmt);
	}
	for (size_t i = 0; i < db->statement->column_count; i++) {
		const MYSQL_TIME *time = &db->column_times[i];

		columns[i].type = db->column_nulls[i]
		    ? DB_NULL
		    : db->statement->columns[i];
		switch (columns[i].type) {
		case DB_NULL:
			columns[i].bytes = (struct slice) { NULL, 0 };
			break;
		case DB_TEXT:
		case DB_BYTES:
			columns[i].bytes = (struct slice) { db->column_bytes[i],
				db->column_lengths[i] };
			break;
		case DB_INTEGER:
			columns[i].number = db->column_numbers[i];
			break;
		case DB_TIME:
			columns[i].number = timestamp_join(
			    &(struct timestamp_parts) {
				.year = time->year,
				.month = time->month,
				.day = time->day,
				.hour = time->hour,
				.minute = time->minute,
				.second = time->second,
				.microsecond = (unsigned)time->second_part,
			    });
			break;
		}
	}
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
	case ER_DBACCESS_DENIED_ERROR:
	case ER_ACCESS_DENIED_ERROR:
	case ER_NO_DB_ERROR:
	case ER_BAD_DB_ERROR:
	case ER_UNKNOWN_TABLE: /* in information_schema, instead of 1146 */
	case ER_HOST_NOT_PRIVILEGED:
	case ER_TABLEACCESS_DENIED_ERROR:
	case ER_COLUMNACCESS_DENIED_ERROR:
	case ER_SPECIFIC_ACCESS_DENIED_ERROR:
	case ER_PLUGIN_IS_NOT_LOADED:
	case ER_ACCESS_DENIED_NO_PASSWORD_ERROR:
	case ER_MUST_CHANGE_PASSWORD:
	case ER_MUST_CHANGE_PASSWORD_LOGIN:
	case ER_ACCOUNT_HAS_BEEN_LOCKED:
	case CR_AUTH_PLUGIN_CANNOT_LOAD:
		return true;
	default:
		return false;
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
