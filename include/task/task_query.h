#ifndef TASK_QUERY_H
#define TASK_QUERY_H

#include "base/arena.h"
#include "base/slice.h"
#include "base/status.h"
#include "http/response.h"
#include "task/task.h"

/*
 * Read the parameters of *raw*, the query of a URL, into *query*, with memory
 * of *arena*.  *cursor* is the value of "after", data NULL if there is none;
 * task_cursor_open() opens it.
 *
 * STATUS_INVALID, with the response's errors naming the parameters, if one of
 * ours is there twice or is wrong; other parameters are ignored.
 * STATUS_INTERNAL if there is no memory.
 */
enum status task_query_read(struct arena *arena, struct slice raw,
    struct response *response, struct task_query *query,
    struct slice *cursor) MUST_CHECK;

/*
 * Give in *link* the value of Link (RFC 8288) for the page that *cursor*
 * begins, of the list of *user_id* that *raw* asked for.  Parameters that mean
 * nothing to us are repeated, unless the target would become longer than
 * REQUEST_TARGET_MAX.  STATUS_INTERNAL if there is no memory.
 */
enum status task_query_link(struct arena *arena, struct slice user_id,
    struct slice raw, struct slice cursor, struct slice *link) MUST_CHECK;

/* Refuse the value of "after".  Returns STATUS_INVALID. */
enum status task_query_refuse_cursor(struct response *response);

#endif
