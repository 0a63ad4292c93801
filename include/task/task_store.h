#ifndef TASK_STORE_H
#define TASK_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"
#include "base/status.h"
#include "task/task.h"

struct arena;
struct db;
struct tenant;

/*
 * The SQL of tasks.  Every function asks for a tenant, which only
 * tenant_guard() makes, and every statement on tasks binds its user_id.
 *
 * Where it is not said otherwise the slices of a task live in *arena*.
 * Besides what is named, all return what db_run() does.
 */

/*
 * Give the first limit + 1 tasks that *query* wants to *each*, in order, the
 * last one being there only to tell that there are more.  A task's slices
 * live until *each* returns.
 */
enum status task_store_list(struct db *db, struct arena *arena,
    const struct tenant *tenant, const struct task_query *query,
    void (*each)(void *context, const struct task *task),
    void *context) MUST_CHECK;

/* Find the task *id*.  STATUS_NOT_FOUND if the tenant has none. */
enum status task_store_find(struct db *db, struct arena *arena,
    const struct tenant *tenant, const struct uuid *id,
    struct task *task) MUST_CHECK;

/*
 * Store a new *task*.  *key*, unless its data is NULL, is an idempotency key
 * of the tenant's: if it has been used, nothing is stored, *task* becomes the
 * one that it made, as it now is, and *replayed* true;
 * STATUS_IDEMPOTENCY_KEY_REUSED if that one was first sent with other content.
 */
enum status task_store_create(struct db *db, struct arena *arena,
    const struct tenant *tenant, struct slice key, struct task *task,
    bool *replayed) MUST_CHECK;

/*
 * Make *change* to the task *id* at the time *now*, if *conditions* hold of its
 * revision.  *task* is what this left, even if another change follows at once.
 * Each change moves updated_at, to *now* or a microsecond past its old value,
 * whichever is later.  A change that changes nothing leaves the revision and
 * updated_at alone.
 * STATUS_NOT_FOUND, STATUS_PRECONDITION_FAILED.
 */
enum status task_store_update(struct db *db, struct arena *arena,
    const struct tenant *tenant, const struct uuid *id,
    const struct task_conditions *conditions, const struct task_change *change,
    int64_t now, struct task *task) MUST_CHECK;

/*
 * Delete the task *id*, if *conditions* hold of its revision.
 * STATUS_NOT_FOUND, STATUS_PRECONDITION_FAILED.
 */
enum status task_store_delete(struct db *db, struct arena *arena,
    const struct tenant *tenant, const struct uuid *id,
    const struct task_conditions *conditions) MUST_CHECK;

/*
 * Give the name and the text of every statement to *each*, for the tests that
 * read the statements and their plans.
 */
enum status task_store_statements(struct arena *arena,
    void (*each)(const char *name, struct slice text)) MUST_CHECK;

#endif
