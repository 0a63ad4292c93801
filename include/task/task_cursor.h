#ifndef TASK_CURSOR_H
#define TASK_CURSOR_H

#include "auth/secrets.h"
#include "auth/tenant.h"
#include "base/arena.h"
#include "base/slice.h"
#include "base/status.h"
#include "task/task.h"

/*
 * A cursor says where the next page of a list begins: "after" in its URL.  It
 * is sealed, so that it tells nobody a title, and opens only for the tenant,
 * the filter, the sort and the order that it was made for.
 */

/*
 * Make the *cursor* of the place behind *last*, a task of the list *query*.
 * STATUS_INTERNAL if there is no memory.
 */
enum status task_cursor_seal(struct arena *arena, const struct secrets *secrets,
    const struct tenant *tenant, const struct task_query *query,
    const struct task *last, struct slice *cursor) MUST_CHECK;

/*
 * Set the place that *query* begins after to that of *cursor*, with the title
 * in *arena*.  STATUS_INVALID if *cursor* was not made for such a list;
 * STATUS_INTERNAL if there is no memory.
 */
enum status task_cursor_open(struct arena *arena, const struct secrets *secrets,
    const struct tenant *tenant, struct slice cursor,
    struct task_query *query) MUST_CHECK;

#endif
