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
 * The program connects when a connection is first needed, and again after it
 * was lost.  A lost connection is noticed before a statement is sent.  A
 * statement is never sent twice: nobody would know whether the first one ran.
 * For half a second after a connection was lost or refused, all calls fail at
 * once.
 *
 * Each failure is logged here, except those of that half second.
 * STATUS_UNAVAILABLE: the database is away or refuses to work.
 * STATUS_INTERNAL: the statement or its values are wrong, or there is no
 * memory.
 */
struct db;

/*
 * The number of statements that stay prepared on a connection.  One more
 * replaces the statement that was run least recently.
 */
#define DB_PREPARED_MAX 64

/* The longest value of a column, in bytes. */
#define DB_COLUMN_BYTES 4096

/*
 * Return a connection, not yet connected, that is described by the group
 * [todo] of the MariaDB option file *defaults_file*.  That text must outlive
 * the connection.  NULL if there is no memory.  The caller owns the connection;
 * db_free(), which takes NULL too, ends it.
 */
struct db *db_new(const char *defaults_file);
void db_free(struct db *db);

/*
 * Allow a request that begins now 0.9 s.  After that no step is begun for the
 * request: STATUS_UNAVAILABLE, and an open transaction is undone.  A step takes
 * a second at most, so the request ends within 2 s, however slow the database.
 */
void db_allow_time(struct db *db);

/* Connect, unless there is a connection. */
enum status db_connect(struct db *db) MUST_CHECK;

/* Is there a connection that statements can use, as far as is known? */
bool db_is_connected(const struct db *db);

/*
 * Run *sql*, and prepare it first unless a statement with the same text is
 * prepared.  If it gives rows, the caller calls db_row() until the status is
 * not STATUS_OK, or else db_done().  *sql* need not outlive this call.
 */
enum status db_run(struct db *db, const struct sql *sql) MUST_CHECK;

/*
 * Read the next row of the last statement.  *row* has the statement's columns
 * and is valid until the next db_row() or db_run().  STATUS_NONE after the last
 * row.
 */
enum status db_row(struct db *db, const struct sql_value **row) MUST_CHECK;

/* Drop the rows that were not read. */
void db_done(struct db *db);

/* The number of rows that the last statement changed or, UPDATE, matched. */
uint64_t db_affected(const struct db *db);

/*
 * True if the last failure was a deadlock.  The server has then undone the
 * whole transaction, and the caller may try it again.
 */
bool db_deadlocked(const struct db *db);

/*
 * True if the last failure was a refusal, which trying again does not mend: of
 * the account, of the database, or of what the option file sets.  A server that
 * is away, busy, full or read-only refuses nothing.
 */
bool db_refused(const struct db *db);

/* The text of the last failure. */
const char *db_reason(const struct db *db);

/* True if the last failure was a missing table or column. */
bool db_lacks_schema(const struct db *db);

/*
 * A transaction.  Unless db_commit() returns STATUS_OK, the outcome is unknown.
 * If ROLLBACK fails, db_rollback() closes the connection, which has the same
 * effect.
 */
enum status db_begin(struct db *db) MUST_CHECK;
enum status db_commit(struct db *db) MUST_CHECK;
void db_rollback(struct db *db);

#endif
