#ifndef TASK_JSON_H
#define TASK_JSON_H

#include "base/arena.h"
#include "base/buffer.h"
#include "base/slice.h"
#include "base/status.h"
#include "http/request.h"
#include "http/response.h"
#include "task/task.h"

/*
 * Read the body of *request* as the members of a task that a client may send:
 * title, description, completed.  *change* marks those that were sent; members
 * unknown to us are ignored.  Slices live in *arena*.
 *
 * STATUS_BAD_REQUEST, STATUS_CONTENT_TOO_LARGE, STATUS_UNSUPPORTED_MEDIA_TYPE:
 * the body is not JSON that we can read.  STATUS_INVALID: a value is wrong;
 * the errors of *response* name the member.  STATUS_INTERNAL: no memory.
 */
enum status task_json_read(struct arena *arena, const struct request *request,
    struct response *response, struct task_change *change) MUST_CHECK;

/*
 * Read a body that says only whether the task is completed: no body toggles
 * it, {"completed": ...} sets it.  Statuses as task_json_read().
 */
enum status task_json_read_completion(struct arena *arena,
    const struct request *request, struct response *response,
    struct task_change *change) MUST_CHECK;

/* Write *task* of the tenant *user_id* as the contract shows it. */
void task_json_write(
    struct buffer *out, struct slice user_id, const struct task *task);

#endif
