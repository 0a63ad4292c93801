#ifndef DB_H
#define DB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "db/sql.h"

/*
 * One connection to MariaDB and its prepared statements.
 *
 * The connection is made when it is first needed and made anew when it was
 * lost: a lost one is noticed before a statement is sent on it, and never by
 * sending a statement twice, for then nobody knows whether the first one ran.
 * After it was lost, or could not be made, everything fails at once for half a
 * second.
 *
 * Every failure is logged here, but for those of that half second.
 * STATUS_UNAVAILABLE: the database is away, or says no for a reason that no
 * request can help.  STATUS_INTERNAL: the statement or its values are wrong,
 * which is a fault of this program.
 */
struct db;

/*
 * So many statements stay prepared on a connection.  One more takes the place
 * of the one that has not been run for longest.
 */
#define DB_PREPARED_MAX 64

/* The longest text or bytes that a column may hold. */
#define DB_COLUMN_BYTES 4096

/*
 * A connection by the group [todo] of the MariaDB option file *defaults_file*,
 * which must outlive it.  Returns NULL if there is no memory.
 */
struct db *db_new(const char *defaults_file);
void db_free(struct db *db);

/*
 * Is *defaults_file* a readable option file with a group [todo], or one that
 * includes others?  STATUS_INVALID if not, errno saying why, or 0.
 */
enum status db_check(const char *defaults_file) MUST_CHECK;

/*
 * A request begins: allow it 0.9 s from now.  After that no statement is sent
 * for it any more, STATUS_UNAVAILABLE, and what is not committed is undone; so
 * however slow the database is, all is over within 2 s.
 */
void db_allow_time(struct db *db);

/* Connect unless connected already. */
enum status db_connect(struct db *db) MUST_CHECK;

/*
 * Run *sql*, which is prepared unless a statement of the same text still is.
 * If it gives rows, the caller reads them with db_row() until that no longer
 * says STATUS_OK, or calls db_done().  *sql* need not last longer than this
 * call.
 */
enum status db_run(struct db *db, const struct sql *sql) MUST_CHECK;

/*
 * The next row of the statement run last: *row* has as many columns as that
 * statement, and is valid until db_row() or db_run() is called again.
 * STATUS_NONE after the last one.
 */
enum status db_row(struct db *db, const struct sql_value **row) MUST_CHECK;

/* Leave the rows that are not read yet. */
void db_done(struct db *db);

/* How many rows the statement run last changed or, for UPDATE, matched. */
uint64_t db_affected(const struct db *db);

/*
 * Was the last failure a deadlock?  The server has then undone the whole
 * transaction, and it may be tried again.
 */
bool db_deadlocked(const struct db *db);

/*
 * Was it what trying again does not mend: the server refuses this account or
 * this database, or it or the library what the option file says?  (A server
 * that is away, busy, full or read-only is another thing.)
 */
bool db_refused(const struct db *db);

/* The last failure, in words. */
const char *db_reason(const struct db *db);

/* Was it that a table or a column is not there? */
bool db_lacks_schema(const struct db *db);

/*
 * A transaction.  If the answer to db_commit() is not STATUS_OK, the outcome
 * is unknown.  db_rollback() drops the connection if it can do no better.
 */
enum status db_begin(struct db *db) MUST_CHECK;
enum status db_commit(struct db *db) MUST_CHECK;
void db_rollback(struct db *db);

#endif
