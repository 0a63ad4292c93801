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
 * Read the body of *request*, a JSON object, into *change*: its members title,
 * description and completed.  Other members are ignored.  Slices live in
 * *arena*.
 *
 * STATUS_BAD_REQUEST, STATUS_CONTENT_TOO_LARGE, STATUS_UNSUPPORTED_MEDIA_TYPE:
 * the body cannot be read.  STATUS_INVALID: a member is wrong; the errors of
 * *response* name it.  STATUS_INTERNAL: there is no memory.
 */
enum status task_json_read(struct arena *arena, const struct request *request,
    struct response *response, struct task_change *change) MUST_CHECK;

/*
 * Read the body of a request for "complete": {"completed": ...}, or nothing,
 * which toggles.  Parameters and statuses as task_json_read().
 */
enum status task_json_read_completion(struct arena *arena,
    const struct request *request, struct response *response,
    struct task_change *change) MUST_CHECK;

/* Append *task*, of the tenant *user_id*, as a JSON object. */
void task_json_write(
    struct buffer *out, struct slice user_id, const struct task *task);

#endif
