#include "task/task_store.h"

#include <string.h>

#include "auth/tenant.h"
#include "base/arena.h"
#include "base/buffer.h"
#include "base/crypto.h"
#include "db/db.h"
#include "db/sql.h"

/*
 * The columns of a task.  Each is named here and nowhere else; value_of() and
 * task_of_row() say which member of a task it holds.
 */
enum column {
	ID,
	TITLE,
	DESCRIPTION,
	COMPLETED,
	REVISION,
	CREATED_AT,
	UPDATED_AT,
	COLUMN_COUNT,
	DIGEST = COLUMN_COUNT /* behind them, where it is asked for */
};

static const struct {
	const char *name;
	enum sql_type type;
	bool lasts; /* it never changes */
} columns[COLUMN_COUNT] = {
	[ID] = { "id", SQL_BYTES, true },
	[TITLE] = { "title", SQL_TEXT, false },
	[DESCRIPTION] = { "description", SQL_TEXT, false },
	[COMPLETED] = { "completed", SQL_INTEGER, false },
	[REVISION] = { "revision", SQL_INTEGER, false },
	[CREATED_AT] = { "created_at", SQL_TIME, true },
	[UPDATED_AT] = { "updated_at", SQL_TIME, false },
};

static struct sql_value
id_value(const struct uuid *id)
{
	return sql_bytes(id->bytes, sizeof(id->bytes));
}

/* What *column* holds of *task*. */
static struct sql_value
value_of(const struct task *task, enum column column)
{
	switch (column) {
	case ID:
		return id_value(&task->id);
	case TITLE:
		return sql_text(task->content.title);
	case DESCRIPTION:
		return sql_text(task->content.description);
	case COMPLETED:
		return sql_integer(task->content.completed);
	case REVISION:
		return sql_integer(task->revision);
	case CREATED_AT:
		return sql_time(task->created_at);
	case UPDATED_AT:
		return sql_time(task->updated_at);
	case COLUMN_COUNT:
		break;
	}
	return (struct sql_value) { .type = SQL_NULL };
}

/* Make a task of a row; its slices are still the row's. */
static struct task
task_of_row(const struct sql_value *row)
{
	struct task task = {
		.content = {
			.title = row[TITLE].bytes,
			.description = row[DESCRIPTION].bytes,
			.completed = row[COMPLETED].number != 0,
		},
		.revision = (uint32_t)row[REVISION].number,
		.created_at = row[CREATED_AT].number,
		.updated_at = row[UPDATED_AT].number,
	};

	memcpy(task.id.bytes, row[ID].bytes.data, sizeof(task.id.bytes));
	return task;
}

/* Let the slices of *task* outlive the row. */
static enum status
keep(struct arena *arena, struct task *task)
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

/* Add the names of all columns. */
static void
add_names(struct sql *sql)
{
	for (enum column c = 0; c < COLUMN_COUNT; c++) {
		if (c > 0)
			sql_add(sql, ", ");
		sql_add(sql, columns[c].name);
	}
}

/* Add all columns, as those of the result. */
static void
add_columns(struct sql *sql)
{
	for (enum column c = 0; c < COLUMN_COUNT; c++) {
		if (c > 0)
			sql_add(sql, ", ");
		sql_column(sql, columns[c].name, columns[c].type);
	}
}

/* Add " AND", *column* and *comparison*, such as " = ?", to *value*. */
static void
add_comparison(struct sql *sql, enum column column, const char *comparison,
    struct sql_value value)
{
	sql_add(sql, " AND ");
	sql_add(sql, columns[column].name);
	sql_bind(sql, comparison, value);
}

/* Add the condition that makes a statement one on the task *id* alone. */
static void
add_where(struct sql *sql, struct slice user_id, const struct uuid *id)
{
	sql_bind(sql, " WHERE user_id = ?", sql_text(user_id));
	add_comparison(sql, ID, " = ?", id_value(id));
}

/* The statements. */

static struct sql
find_one(struct arena *arena, struct slice user_id, const struct uuid *id)
{
	struct sql sql = sql_in(arena);

	sql_add(&sql, "SELECT ");
	add_columns(&sql);
	sql_add(&sql, " FROM tasks");
	add_where(&sql, user_id, id);
	return sql;
}

static struct sql
lock_one(struct arena *arena, struct slice user_id, const struct uuid *id)
{
	struct sql sql = find_one(arena, user_id, id);

	sql_add(&sql, " FOR UPDATE");
	return sql;
}

/*
 * Insert *task*.  With a *key*, unless its data is NULL, a row that the key
 * has made before stays as it is and is returned.
 */
static struct sql
insert_one(struct arena *arena, struct slice user_id, const struct task *task,
    struct slice key, const unsigned char digest[CRYPTO_DIGEST_LENGTH])
{
	struct sql sql = sql_in(arena);
	bool once = key.data != NULL;

	sql_add(&sql, "INSERT INTO tasks (user_id, ");
	add_names(&sql);
	if (once)
		sql_add(&sql, ", idempotency_key, idempotency_digest");
	sql_bind(&sql, ") VALUES (?", sql_text(user_id));
	for (enum column c = 0; c < COLUMN_COUNT; c++)
		sql_bind(&sql, ", ?", value_of(task, c));
	if (once) {
		sql_bind(&sql, ", ?", sql_text(key));
		sql_bind(&sql, ", ?", sql_bytes(digest, CRYPTO_DIGEST_LENGTH));
	}
	sql_add(&sql, ")");
	if (once) {
		sql_add(&sql, " ON DUPLICATE KEY UPDATE ");
		sql_add(&sql, columns[ID].name);
		sql_add(&sql, " = ");
		sql_add(&sql, columns[ID].name);
		sql_add(&sql, " RETURNING ");
		add_columns(&sql);
		sql_column(&sql, ", idempotency_digest", SQL_BYTES);
	}
	return sql;
}

static struct sql
update_one(struct arena *arena, struct slice user_id, const struct task *task)
{
	struct sql sql = sql_in(arena);
	const char *separator = "UPDATE tasks SET ";

	for (enum column c = 0; c < COLUMN_COUNT; c++) {
		if (columns[c].lasts)
			continue;
		sql_add(&sql, separator);
		sql_add(&sql, columns[c].name);
		sql_bind(&sql, " = ?", value_of(task, c));
		separator = ", ";
	}
	add_where(&sql, user_id, &task->id);
	return sql;
}

static struct sql
delete_one(struct arena *arena, struct slice user_id, const struct uuid *id)
{
	struct sql sql = sql_in(arena);

	sql_add(&sql, "DELETE FROM tasks");
	add_where(&sql, user_id, id);
	return sql;
}

static const struct {
	enum column column; /* that a list is sorted by; ties go by id */
	const char *all;    /* the index that serves all tasks, or NULL */
	const char *some;   /* the one for pending or completed ones */
} sorts[TASK_SORT_COUNT] = {
	[TASK_SORT_CREATED] = { ID, "PRIMARY", "by_completed" },
	[TASK_SORT_UPDATED] = { UPDATED_AT, NULL, "by_updated" },
	[TASK_SORT_TITLE] = { TITLE, NULL, "by_title" },
};

/*
 * A list is made of ranges, each of which an index gives in order.  The tasks
 * behind a place are those that tie with it but have a later id, and those
 * that come later outright; taken as one condition, ties would all be read
 * anew on each page.
 */
enum range { FROM_START, TIES, BEHIND };

/* Add the order of a list, and one task more than it asks for. */
static void
add_order(struct sql *sql, const struct task_query *query)
{
	const char *direction = query->descending ? " DESC" : "";
	enum column column = sorts[query->sort].column;

	sql_add(sql, " ORDER BY ");
	if (column != ID) {
		sql_add(sql, columns[column].name);
		sql_add(sql, direction);
		sql_add(sql, ", ");
	}
	sql_add(sql, columns[ID].name);
	sql_add(sql, direction);
	sql_bind(sql, " LIMIT ?", sql_integer((int64_t)query->limit + 1));
}

/*
 * *completed* is 0 or 1, or -1 for both.  Of a UNION the first SELECT gives
 * the result its columns.
 */
static void
add_range(struct sql *sql, struct slice user_id, const struct task_query *query,
    int completed, enum range range)
{
	bool first = sql->types.length == 0;
	const char *later = query->descending ? " < ?" : " > ?";
	enum column column = sorts[query->sort].column;
	struct sql_value place = query->sort == TASK_SORT_CREATED
	    ? id_value(&query->after.id)
	    : query->sort == TASK_SORT_UPDATED
	    ? sql_time(query->after.updated_at)
	    : sql_text(query->after.title);

	sql_add(sql, "SELECT ");
	if (first)
		add_columns(sql);
	else
		add_names(sql);
	sql_add(sql, " FROM tasks FORCE INDEX (");
	sql_add(sql,
	    completed < 0 ? sorts[query->sort].all : sorts[query->sort].some);
	sql_bind(sql, ") WHERE user_id = ?", sql_text(user_id));
	if (completed >= 0)
		add_comparison(sql, COMPLETED, " = ?", sql_integer(completed));
	if (range == TIES) {
		add_comparison(sql, column, " = ?", place);
		add_comparison(sql, ID, later, id_value(&query->after.id));
	} else if (range == BEHIND) {
		add_comparison(sql, column, later, place);
	}
	add_order(sql, query);
}

/* *query* must last until the statement has been run. */
static struct sql
list_some(
    struct arena *arena, struct slice user_id, const struct task_query *query)
{
	bool all = query->filter == TASK_FILTER_ALL;
	bool one_index = !all || sorts[query->sort].all != NULL;
	bool ties = query->has_after && query->sort != TASK_SORT_CREATED;
	int first = query->filter == TASK_FILTER_COMPLETED;
	int last = query->filter != TASK_FILTER_PENDING;
	enum range range = query->has_after ? BEHIND : FROM_START;
	struct sql sql = sql_in(arena);

	if (one_index && !ties) {
		add_range(&sql, user_id, query, all ? -1 : first, range);
		return sql;
	}
	for (int completed = first; completed <= last; completed++) {
		sql_add(&sql, completed == first ? "(" : " UNION ALL (");
		add_range(&sql, user_id, query, completed, range);
		sql_add(&sql, ")");
		if (ties) {
			sql_add(&sql, " UNION ALL (");
			add_range(&sql, user_id, query, completed, TIES);
			sql_add(&sql, ")");
		}
	}
	add_order(&sql, query);
	return sql;
}

/*
 * What lost a deadlock has been undone whole, so it may be tried again.  It is
 * tried this often in all.
 */
#define TRIES 5

static bool
is_worth_another_try(const struct db *db, enum status status, unsigned tried)
{
	return status != STATUS_OK && db_deadlocked(db) && tried < TRIES;
}

enum status
task_store_list(struct db *db, struct arena *arena, const struct tenant *tenant,
    const struct task_query *query,
    void (*each)(void *context, const struct task *task), void *context)
{
	struct sql sql = list_some(arena, tenant_user_id(tenant), query);
	const struct sql_value *row;
	enum status status;

	if ((status = db_run(db, &sql)) != STATUS_OK)
		return status;
	while ((status = db_row(db, &row)) == STATUS_OK) {
		struct task task = task_of_row(row);

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
	*task = task_of_row(row);
	status = keep(arena, task);
	db_done(db);
	return status;
}

enum status
task_store_find(struct db *db, struct arena *arena, const struct tenant *tenant,
    const struct uuid *id, struct task *task)
{
	struct sql sql = find_one(arena, tenant_user_id(tenant), id);

	return find(db, arena, &sql, task);
}

/* Add *text* to *out* so that where it ends is beyond doubt. */
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

/* The digest of what a client sends with an idempotency key. */
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

/* Read the row that insert_one() gave: the new task's, or the one before. */
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
	found = task_of_row(row);
	*replayed = memcmp(&found.id, &task->id, sizeof(found.id)) != 0;
	if (*replayed) {
		*task = found;
		status = slice_equal(row[DIGEST].bytes, sent)
		    ? keep(arena, task)
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
	unsigned tried = 0;
	enum status status;

	*replayed = false;
	if (key.data != NULL) {
		status = content_digest(arena, &task->content, digest);
		if (status != STATUS_OK)
			return status;
	}
	sql = insert_one(arena, tenant_user_id(tenant), task, key, digest);
	do {
		status = db_run(db, &sql);
	} while (is_worth_another_try(db, status, ++tried));
	if (status != STATUS_OK || key.data == NULL)
		return status;
	return read_once(db, arena, digest, task, replayed);
}

/* Lock the task *id* within a transaction, if *conditions* hold of it. */
static enum status
lock(struct db *db, struct arena *arena, const struct tenant *tenant,
    const struct uuid *id, const struct task_conditions *conditions,
    struct task *task)
{
	struct sql sql = lock_one(arena, tenant_user_id(tenant), id);
	enum status status = find(db, arena, &sql, task);

	if (status == STATUS_OK &&
	    !task_conditions_hold(conditions, task->revision))
		status = STATUS_PRECONDITION_FAILED;
	return status;
}

/* End a transaction that came to *status*. */
static enum status
settle(struct db *db, enum status status)
{
	if (status == STATUS_OK)
		return db_commit(db);
	db_rollback(db);
	return status;
}

/* Within a transaction: make the change, unless it changes nothing. */
static enum status
change_locked(struct db *db, struct arena *arena, const struct tenant *tenant,
    const struct task_change *change, int64_t now, struct task *task)
{
	struct task_content content = task_changed(change, task->content);
	struct sql sql;

	if (task_content_equal(&content, &task->content))
		return STATUS_OK;
	task->content = content;
	task->revision++;
	/* Later than before, even if the clock was set back meanwhile or *now*
	 * is from before another request's change. */
	task->updated_at = now > task->updated_at ? now : task->updated_at + 1;
	sql = update_one(arena, tenant_user_id(tenant), task);
	return db_run(db, &sql);
}

enum status
task_store_update(struct db *db, struct arena *arena,
    const struct tenant *tenant, const struct uuid *id,
    const struct task_conditions *conditions, const struct task_change *change,
    int64_t now, struct task *task)
{
	unsigned tried = 0;
	enum status status;

	do {
		if ((status = db_begin(db)) != STATUS_OK)
			return status;
		status = lock(db, arena, tenant, id, conditions, task);
		if (status == STATUS_OK)
			status = change_locked(
			    db, arena, tenant, change, now, task);
		status = settle(db, status);
	} while (is_worth_another_try(db, status, ++tried));
	return status;
}

static enum status
remove_task(struct db *db, struct arena *arena, const struct tenant *tenant,
    const struct uuid *id)
{
	struct sql sql = delete_one(arena, tenant_user_id(tenant), id);
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
	unsigned tried = 0;
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
	} while (is_worth_another_try(db, status, ++tried));
	return status;
}

enum status
task_store_statements(
    struct arena *arena, void (*each)(const char *name, struct slice text))
{
	const struct slice user = SLICE("u"), key = SLICE("k");
	const unsigned char digest[CRYPTO_DIGEST_LENGTH] = { 0 };
	const struct slice no_key = { NULL, 0 };
	const struct task task = { .revision = 1 };
	const struct {
		const char *name;
		struct sql sql;
	} fixed[] = {
		{ "find", find_one(arena, user, &task.id) },
		{ "lock", lock_one(arena, user, &task.id) },
		{ "insert", insert_one(arena, user, &task, no_key, digest) },
		{ "insert once", insert_one(arena, user, &task, key, digest) },
		{ "update", update_one(arena, user, &task) },
		{ "delete", delete_one(arena, user, &task.id) },
	};

	for (size_t i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++) {
		if (sql_failed(&fixed[i].sql))
			return STATUS_INTERNAL;
		each(fixed[i].name, buffer_slice(&fixed[i].sql.text));
	}
	/* Every filter, sort and order, from the start and from a place on. */
	for (unsigned i = 0; i < TASK_FILTER_COUNT * TASK_SORT_COUNT * 4; i++) {
		const struct task_query query = {
			.filter = (enum task_filter)(i / 4 / TASK_SORT_COUNT),
			.sort = (enum task_sort)(i / 4 % TASK_SORT_COUNT),
			.descending = i / 2 % 2 != 0,
			.limit = 1,
			.has_after = i % 2 != 0,
		};
		struct sql sql = list_some(arena, user, &query);
		const char *name = arena_printf(arena, "list %s by %s%s%s",
		    task_filter_names[query.filter],
		    columns[sorts[query.sort].column].name,
		    query.descending ? " descending" : "",
		    query.has_after ? " after" : "");

		if (name == NULL || sql_failed(&sql))
			return STATUS_INTERNAL;
		each(name, buffer_slice(&sql.text));
	}
	return STATUS_OK;
}
