#ifndef TASK_QUERY_H
#define TASK_QUERY_H

#include "base/arena.h"
#include "base/slice.h"
#include "base/status.h"
#include "http/response.h"
#include "task/task.h"

/*
 * Read *raw*, the query of a URL, into *query*, with memory of *arena*.
 * *cursor* becomes the value of "after", for task_cursor_open(), or has data
 * NULL.  Unknown parameters are ignored.
 *
 * STATUS_INVALID if a parameter is given twice or is wrong; the errors of
 * *response* name it.  STATUS_INTERNAL if there is no memory.
 */
enum status task_query_read(struct arena *arena, struct slice raw,
    struct response *response, struct task_query *query,
    struct slice *cursor) MUST_CHECK;

/*
 * Write *link*, the value of Link (RFC 8288) for the page that begins at
 * *cursor*, of the list of *user_id* that *raw* asked for.  Unknown parameters
 * are repeated, unless the target would become longer than REQUEST_TARGET_MAX.
 * STATUS_INTERNAL if there is no memory.
 */
enum status task_query_link(struct arena *arena, struct slice user_id,
    struct slice raw, struct slice cursor, struct slice *link) MUST_CHECK;

/* Refuse the value of "after" in *response*.  Returns STATUS_INVALID. */
enum status task_query_refuse_cursor(struct response *response);

#endif
