#include "task/task_store.h"

#include <string.h>

#include "auth/tenant.h"
#include "base/arena.h"
#include "base/buffer.h"
#include "base/crypto.h"
#include "db/db.h"
#include "task/task_sql.h"

/* Copy the slices of *task*, which are a row's, into *arena*. */
static enum status
copy_texts(struct arena *arena, struct task *task)
{
	struct task_content *content = &task->content;

	content->title.data = arena_copy(arena, content->title);
	if (content->title.data == NULL)
		return STATUS_INTERNAL;
	if (content->description.data == NULL)
		return STATUS_OK;
	content->description.data = arena_copy(arena, content->description);
	return content->description.data == NULL ? STATUS_INTERNAL : STATUS_OK;
}

/* After a deadlock, which undoes all of it, a transaction is tried again. */
#define TRIES_MAX 5

/* True if the transaction that came to *status* has to be tried again. */
static bool
should_retry(const struct db *db, enum status status, unsigned tries)
{
	return status != STATUS_OK && db_deadlocked(db) && tries < TRIES_MAX;
}

enum status
task_store_list(struct db *db, struct arena *arena, const struct tenant *tenant,
    const struct task_query *query,
    void (*each)(void *context, const struct task *task), void *context)
{
	struct sql sql = task_sql_list(arena, tenant, query);
	const struct sql_value *row;
	enum status status;

	if ((status = db_run(db, &sql)) != STATUS_OK)
		return status;
	while ((status = db_row(db, &row)) == STATUS_OK) {
		struct task task = task_sql_read_task(row);

		each(context, &task);
	}
	return status == STATUS_NONE ? STATUS_OK : status;
}

/* Run *sql*, which finds at most one task. */
static enum status
find(struct db *db, struct arena *arena, const struct sql *sql,
    struct task *task)
{
	const struct sql_value *row;
	enum status status;

	if ((status = db_run(db, sql)) != STATUS_OK)
		return status;
	status = db_row(db, &row);
	if (status == STATUS_NONE)
		return STATUS_NOT_FOUND;
	if (status != STATUS_OK)
		return status;
	*task = task_sql_read_task(row);
	status = copy_texts(arena, task);
	db_done(db);
	return status;
}

enum status
task_store_find(struct db *db, struct arena *arena, const struct tenant *tenant,
    const struct uuid *id, struct task *task)
{
	struct sql sql = task_sql_find(arena, tenant, id);

	return find(db, arena, &sql, task);
}

/* Add *text*, with its length before it, so that its end is unambiguous. */
static void
add_measured(struct buffer *out, struct slice text)
{
	if (text.data == NULL) {
		buffer_add_char(out, '-');
		return;
	}
	buffer_add_unsigned(out, text.length);
	buffer_add_char(out, ':');
	buffer_add(out, text);
}

/* The digest of the content that a client sends with an idempotency key. */
static enum status
content_digest(struct arena *arena, const struct task_content *content,
    unsigned char digest[CRYPTO_DIGEST_LENGTH])
{
	struct buffer text = buffer_in(arena);

	add_measured(&text, content->title);
	add_measured(&text, content->description);
	buffer_add_char(&text, content->completed ? '1' : '0');
	if (text.failed)
		return STATUS_INTERNAL;
	return crypto_digest(buffer_slice(&text), digest);
}

/* Read the row of task_sql_insert() with a key. */
static enum status
read_once(struct db *db, struct arena *arena,
    const unsigned char digest[CRYPTO_DIGEST_LENGTH], struct task *task,
    bool *replayed)
{
	struct slice sent = { (const char *)digest, CRYPTO_DIGEST_LENGTH };
	const struct sql_value *row;
	struct task found;
	enum status status;

	if ((status = db_row(db, &row)) != STATUS_OK)
		return status == STATUS_NONE ? STATUS_INTERNAL : status;
	found = task_sql_read_task(row);
	*replayed = memcmp(&found.id, &task->id, sizeof(found.id)) != 0;
	if (*replayed) {
		*task = found;
		status = slice_equal(task_sql_read_digest(row), sent)
		    ? copy_texts(arena, task)
		    : STATUS_IDEMPOTENCY_KEY_REUSED;
	}
	db_done(db);
	return status;
}

enum status
task_store_create(struct db *db, struct arena *arena,
    const struct tenant *tenant, struct slice key, struct task *task,
    bool *replayed)
{
	unsigned char digest[CRYPTO_DIGEST_LENGTH];
	struct sql sql;
	unsigned tries = 0;
	enum status status;

	*replayed = false;
	if (key.data != NULL) {
		status = content_digest(arena, &task->content, digest);
		if (status != STATUS_OK)
			return status;
	}
	sql = task_sql_insert(arena, tenant, task, key, digest);
	do {
		status = db_run(db, &sql);
	} while (should_retry(db, status, ++tries));
	if (status != STATUS_OK || key.data == NULL)
		return status;
	return read_once(db, arena, digest, task, replayed);
}

/* Within a transaction: lock the task *id*, if *conditions* hold. */
static enum status
lock(struct db *db, struct arena *arena, const struct tenant *tenant,
    const struct uuid *id, const struct task_conditions *conditions,
    struct task *task)
{
	struct sql sql = task_sql_lock(arena, tenant, id);
	enum status status = find(db, arena, &sql, task);

	if (status == STATUS_OK &&
	    !task_conditions_hold(conditions, task->revision))
		status = STATUS_PRECONDITION_FAILED;
	return status;
}

/* Commit or roll back a transaction that came to *status*. */
static enum status
settle(struct db *db, enum status status)
{
	if (status == STATUS_OK)
		return db_commit(db);
	db_rollback(db);
	return status;
}

/* Within a transaction: make *change*, unless it changes nothing. */
static enum status
change_locked(struct db *db, struct arena *arena, const struct tenant *tenant,
    const struct task_change *change, int64_t now_us, struct task *task)
{
	struct task_content content = task_changed(change, task->content);
	struct sql sql;

	if (task_content_equal(&content, &task->content))
		return STATUS_OK;
	task->content = content;
	task->revision++;
	/* Later than before, even if the clock was set back or another request
	 * began later and was faster. */
	task->updated_at = now_us > task->updated_at ? now_us
						     : task->updated_at + 1;
	sql = task_sql_update(arena, tenant, task);
	return db_run(db, &sql);
}

enum status
task_store_update(struct db *db, struct arena *arena,
    const struct tenant *tenant, const struct uuid *id,
    const struct task_conditions *conditions, const struct task_change *change,
    int64_t now_us, struct task *task)
{
	unsigned tries = 0;
	enum status status;

	do {
		if ((status = db_begin(db)) != STATUS_OK)
			return status;
		status = lock(db, arena, tenant, id, conditions, task);
		if (status == STATUS_OK)
			status = change_locked(
			    db, arena, tenant, change, now_us, task);
		status = settle(db, status);
	} while (should_retry(db, status, ++tries));
	return status;
}

static enum status
remove_task(struct db *db, struct arena *arena, const struct tenant *tenant,
    const struct uuid *id)
{
	struct sql sql = task_sql_delete(arena, tenant, id);
	enum status status = db_run(db, &sql);

	if (status == STATUS_OK && db_affected(db) == 0)
		status = STATUS_NOT_FOUND;
	return status;
}

enum status
task_store_delete(struct db *db, struct arena *arena,
    const struct tenant *tenant, const struct uuid *id,
    const struct task_conditions *conditions)
{
	struct task task;
	unsigned tries = 0;
	enum status status;

	do {
		if (!conditions->match.given && !conditions->none_match.given) {
			status = remove_task(db, arena, tenant, id);
			continue;
		}
		if ((status = db_begin(db)) != STATUS_OK)
			return status;
		status = lock(db, arena, tenant, id, conditions, &task);
		if (status == STATUS_OK)
			status = remove_task(db, arena, tenant, id);
		status = settle(db, status);
	} while (should_retry(db, status, ++tries));
	return status;
}
