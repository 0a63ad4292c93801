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
 * The tasks in the database.  Each function asks for a tenant, which only
 * tenant_guard() makes.
 *
 * The slices of a task live in *arena*, except in task_store_list().  Each
 * function returns the statuses of db_run() and those that its comment names.
 */

/*
 * Give the first limit + 1 tasks of *query* to *each*, in order; the last one
 * only tells that there are more.  A task's slices live until *each* returns.
 */
enum status task_store_list(struct db *db, struct arena *arena,
    const struct tenant *tenant, const struct task_query *query,
    void (*each)(void *context, const struct task *task),
    void *context) MUST_CHECK;

/* Find the task *id*.  STATUS_NOT_FOUND if the tenant has no such task. */
enum status task_store_find(struct db *db, struct arena *arena,
    const struct tenant *tenant, const struct uuid *id,
    struct task *task) MUST_CHECK;

/*
 * Store a new *task*.  *key*, unless its data is NULL, is an idempotency key of
 * the tenant.  If a task was stored with the same key before, nothing is
 * stored, *task* becomes that task as it now is, and *replayed* becomes true;
 * STATUS_IDEMPOTENCY_KEY_REUSED if that task was sent with other content.
 */
enum status task_store_create(struct db *db, struct arena *arena,
    const struct tenant *tenant, struct slice key, struct task *task,
    bool *replayed) MUST_CHECK;

/*
 * Make *change* to the task *id*, if *conditions* hold for its revision.
 * *task* is the result, even if another change follows at once.  updated_at
 * becomes *now_us*, microseconds since 1970, or a microsecond more than its old
 * value, whichever is later.  A change that changes nothing leaves the revision
 * and updated_at alone.
 * STATUS_NOT_FOUND, STATUS_PRECONDITION_FAILED.
 */
enum status task_store_update(struct db *db, struct arena *arena,
    const struct tenant *tenant, const struct uuid *id,
    const struct task_conditions *conditions, const struct task_change *change,
    int64_t now_us, struct task *task) MUST_CHECK;

/*
 * Delete the task *id*, if *conditions* hold for its revision.
 * STATUS_NOT_FOUND, STATUS_PRECONDITION_FAILED.
 */
enum status task_store_delete(struct db *db, struct arena *arena,
    const struct tenant *tenant, const struct uuid *id,
    const struct task_conditions *conditions) MUST_CHECK;

#endif
