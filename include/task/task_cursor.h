#ifndef TASK_CURSOR_H
#define TASK_CURSOR_H

#include "auth/secrets.h"
#include "auth/tenant.h"
#include "base/arena.h"
#include "base/slice.h"
#include "base/status.h"
#include "task/task.h"

/*
 * A cursor is the value of "after" in the URL of a page: the place where the
 * page begins.  A cursor is sealed, so that titles do not show in URLs and
 * logs, and opens only for the tenant, filter, sort and order of its list.
 */

/*
 * Make the *cursor* of the place behind *last*, a task of the list *query*.
 * STATUS_INTERNAL if there is no memory.
 */
enum status task_cursor_seal(struct arena *arena, const struct secrets *secrets,
    const struct tenant *tenant, const struct task_query *query,
    const struct task *last, struct slice *cursor) MUST_CHECK;

/*
 * Let *query* begin at the place of *cursor*; its title lives in *arena*.
 * STATUS_INVALID if *cursor* was not made for this list; STATUS_INTERNAL if
 * there is no memory.
 */
enum status task_cursor_open(struct arena *arena, const struct secrets *secrets,
    const struct tenant *tenant, struct slice cursor,
    struct task_query *query) MUST_CHECK;

#endif
