#ifndef TASK_JSON_H
#define TASK_JSON_H

#include "base/buffer.h"
#include "base/slice.h"
#include "base/status.h"
#include "http/exchange.h"
#include "task/task.h"

/*
 * Read the body of the exchange's request as the members of a task that a
 * client may send: title, description, completed.  What is not sent is marked
 * so; members unknown to us are ignored.  Slices live in the exchange's arena.
 *
 * STATUS_BAD_REQUEST, STATUS_CONTENT_TOO_LARGE, STATUS_UNSUPPORTED_MEDIA_TYPE:
 * the body is not JSON we can read.  STATUS_INVALID: it is, but a value is
 * not; the response's errors name the member.
 */
enum status task_json_read(
    struct exchange *x, struct task_change *change) MUST_CHECK;

/*
 * Read a body that only says whether the task is completed: nothing toggles
 * it, {"completed": ...} sets it.  Answers as task_json_read() does.
 */
enum status task_json_read_completion(
    struct exchange *x, struct task_change *change) MUST_CHECK;

/* Write *task* of the tenant *user_id* as the contract shows it. */
void task_json_write(
    struct buffer *out, struct slice user_id, const struct task *task);

#endif
