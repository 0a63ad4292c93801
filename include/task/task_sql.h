#ifndef TASK_SQL_H
#define TASK_SQL_H

#include "auth/tenant.h"
#include "base/arena.h"
#include "base/crypto.h"
#include "base/slice.h"
#include "base/status.h"
#include "base/uuid.h"
#include "db/sql.h"
#include "task/task.h"

/*
 * The SQL of tasks: each statement with its values and the columns of its
 * result, for task_store.c to run.  Each statement is of one tenant, and names
 * user_id wherever it names the table.
 *
 * A statement is in *arena*.  Its values point into the other parameters, which
 * must last until it has run.
 */

/* Find the task *id*; task_sql_lock() also locks it until the transaction ends.
 */
struct sql task_sql_find(
    struct arena *arena, const struct tenant *tenant, const struct uuid *id);
struct sql task_sql_lock(
    struct arena *arena, const struct tenant *tenant, const struct uuid *id);

/*
 * Insert *task*.  *key*, unless its data is NULL, is an idempotency key, and
 * *digest* that of the task's content.  The statement then gives one row: the
 * new task, or the task that was inserted with the same key before, which stays
 * as it is.
 */
struct sql task_sql_insert(struct arena *arena, const struct tenant *tenant,
    const struct task *task, struct slice key,
    const unsigned char digest[CRYPTO_DIGEST_LENGTH]);

/* Write what can change of *task*. */
struct sql task_sql_update(
    struct arena *arena, const struct tenant *tenant, const struct task *task);

/* Delete the task *id*. */
struct sql task_sql_delete(
    struct arena *arena, const struct tenant *tenant, const struct uuid *id);

/* Find the first limit + 1 tasks of *query*, in order. */
struct sql task_sql_list(struct arena *arena, const struct tenant *tenant,
    const struct task_query *query);

/* The task of *row*, which one of these statements gave; its slices are the
 * row's. */
struct task task_sql_read_task(const struct sql_value *row);

/* The digest that the task of *row*, given by task_sql_insert(), came with. */
struct slice task_sql_read_digest(const struct sql_value *row);

/*
 * Give the name and the text of every statement to *each*, for the tests that
 * read the statements and their plans.  STATUS_INTERNAL if there is no memory.
 */
enum status task_sql_each(struct arena *arena, const struct tenant *tenant,
    void (*each)(const char *name, struct slice text)) MUST_CHECK;

#endif
