#include "task_store.h"

#include <string.h>

#include "buffer.h"
#include "crypto.h"

/* The columns of a task, their types, and their places. */
#define COLUMNS \
	"id, title, description, completed, revision, created_at, updated_at"

static const enum db_type column_types[] = { DB_BYTES, DB_TEXT, DB_TEXT,
	DB_INTEGER, DB_INTEGER, DB_TIME, DB_TIME, DB_BYTES };

enum {
	ID,
	TITLE,
	DESCRIPTION,
	COMPLETED,
	REVISION,
	CREATED_AT,
	UPDATED_AT,
	COLUMN_COUNT,
	DIGEST = COLUMN_COUNT, /* behind them, where it is asked for */
	COLUMN_AND_DIGEST_COUNT
};

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

/* The statements; that of LIST + n is the list of variant n. */
enum { FIND, LOCK, INSERT, INSERT_ONCE, UPDATE, DELETE, LIST };

static const struct {
	const char *name;
	struct db_statement statement;
} statements[LIST] = {
	[FIND] = { "find",
	    { FIND,
		"SELECT " COLUMNS " FROM tasks WHERE user_id = ? AND id = ?",
		column_types, COLUMN_COUNT } },
	[LOCK] = { "lock",
	    { LOCK,
		"SELECT " COLUMNS " FROM tasks WHERE user_id = ? AND id = ?"
		" FOR UPDATE",
		column_types, COLUMN_COUNT } },
	[INSERT] = { "insert",
	    { INSERT,
		"INSERT INTO tasks (user_id, " COLUMNS ")"
		" VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
		NULL, 0 } },
	/* The row that the key made before stays as it is and is returned. */
	[INSERT_ONCE] = { "insert once",
	    { INSERT_ONCE,
		"INSERT INTO tasks (user_id, " COLUMNS ", idempotency_key,"
		" idempotency_digest) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
		" ON DUPLICATE KEY UPDATE id = id"
		" RETURNING " COLUMNS ", idempotency_digest",
		column_types, COLUMN_AND_DIGEST_COUNT } },
	[UPDATE] = { "update",
	    { UPDATE,
		"UPDATE tasks SET title = ?, description = ?, completed = ?,"
		" revision = ?, updated_at = ? WHERE user_id = ? AND id = ?",
		NULL, 0 } },
	[DELETE] = { "delete",
	    { DELETE, "DELETE FROM tasks WHERE user_id = ? AND id = ?", NULL,
		0 } },
};

static struct db_value
id_value(const struct uuid *id)
{
	return db_bytes(id->bytes, sizeof(id->bytes));
}

/* Make a task of a row; its slices are still the row's. */
static struct task
task_of_row(const struct db_value *row)
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
keep(struct pool *pool, struct task *task)
{
	struct task_content *content = &task->content;

	content->title.data = pool_copy(pool, content->title);
	if (content->title.data == NULL)
		return STATUS_INTERNAL;
	if (content->description.data == NULL)
		return STATUS_OK;
	content->description.data = pool_copy(pool, content->description);
	return content->description.data == NULL ? STATUS_INTERNAL : STATUS_OK;
}

/*
 * Lists.  A statement is written piece by piece, each "?" together with the
 * value it stands for, so that the two cannot drift apart.
 */
struct writing {
	struct buffer sql;
	struct db_value values[DB_VALUES_MAX];
	size_t count;
};

static void
say(struct writing *w, const char *sql)
{
	buffer_add_text(&w->sql, sql);
}

static void
say_with(struct writing *w, const char *sql, struct db_value value)
{
	buffer_add_text(&w->sql, sql);
	w->values[w->count++] = value;
}

static const struct {
	const char *column; /* that a list is sorted by; ties go by id */
	const char *all;    /* the index that serves all tasks, or NULL */
	const char *some;   /* the one for pending or completed ones */
} sorts[TASK_SORT_COUNT] = {
	[TASK_SORT_CREATED] = { "id", "PRIMARY", "by_completed" },
	[TASK_SORT_UPDATED] = { "updated_at", NULL, "by_updated" },
	[TASK_SORT_TITLE] = { "title", NULL, "by_title" },
};

/*
 * A list is made of ranges, each of which an index gives in order.  The tasks
 * behind a place are those that tie with it but have a later id, and those
 * that come later outright; taken as one condition, ties would all be read
 * anew on each page.
 */
enum range { FROM_START, TIES, BEHIND };

static void
say_order(struct writing *w, const struct task_query *query)
{
	const char *direction = query->descending ? " DESC" : "";

	say(w, " ORDER BY ");
	if (query->sort != TASK_SORT_CREATED) {
		say(w, sorts[query->sort].column);
		say(w, direction);
		say(w, ", ");
	}
	say(w, "id");
	say(w, direction);
}

/* *completed* is 0 or 1, or -1 for both. */
static void
say_range(struct writing *w, struct slice user_id,
    const struct task_query *query, int completed, enum range range)
{
	const char *later = query->descending ? " < ?" : " > ?";
	struct db_value place = query->sort == TASK_SORT_CREATED
	    ? id_value(&query->after.id)
	    : query->sort == TASK_SORT_UPDATED
	    ? db_time(query->after.updated_at)
	    : db_text(query->after.title);

	say(w, "SELECT " COLUMNS " FROM tasks FORCE INDEX (");
	say(w,
	    completed < 0 ? sorts[query->sort].all : sorts[query->sort].some);
	say_with(w, ") WHERE user_id = ?", db_text(user_id));
	if (completed >= 0)
		say_with(w, " AND completed = ?", db_integer(completed));
	if (range == TIES) {
		say(w, " AND ");
		say(w, sorts[query->sort].column);
		say_with(w, " = ?", place);
		say(w, " AND id");
		say_with(w, later, id_value(&query->after.id));
	} else if (range == BEHIND) {
		say(w, " AND ");
		say(w, sorts[query->sort].column);
		say_with(w, later, place);
	}
	say_order(w, query);
	say_with(w, " LIMIT ?", db_integer((int64_t)query->limit + 1));
}

static void
say_list(
    struct writing *w, struct slice user_id, const struct task_query *query)
{
	bool all = query->filter == TASK_FILTER_ALL;
	bool one_index = !all || sorts[query->sort].all != NULL;
	bool ties = query->has_after && query->sort != TASK_SORT_CREATED;
	int first = query->filter == TASK_FILTER_COMPLETED;
	int last = query->filter != TASK_FILTER_PENDING;
	enum range range = query->has_after ? BEHIND : FROM_START;

	if (one_index && !ties) {
		say_range(w, user_id, query, all ? -1 : first, range);
		return;
	}
	for (int completed = first; completed <= last; completed++) {
		say(w, completed == first ? "(" : " UNION ALL (");
		say_range(w, user_id, query, completed, range);
		say(w, ")");
		if (ties) {
			say(w, " UNION ALL (");
			say_range(w, user_id, query, completed, TIES);
			say(w, ")");
		}
	}
	say_order(w, query);
	say_with(w, " LIMIT ?", db_integer((int64_t)query->limit + 1));
}

#define LIST_VARIANTS (TASK_FILTER_COUNT * TASK_SORT_COUNT * 2 * 2)

_Static_assert(
    LIST + LIST_VARIANTS <= DB_STATEMENTS_MAX, "every statement has a place");

/* Queries that differ in more than values have statements of their own. */
static unsigned
list_variant(const struct task_query *query)
{
	unsigned variant = (unsigned)query->filter;

	variant = variant * TASK_SORT_COUNT + (unsigned)query->sort;
	variant = variant * 2 + query->descending;
	return variant * 2 + query->has_after;
}

enum status
task_store_list(struct db *db, struct pool *pool, const struct tenant *tenant,
    const struct task_query *query,
    void (*each)(void *context, const struct task *task), void *context)
{
	struct db_value row[COLUMN_COUNT];
	struct writing w = { .sql = buffer_in(pool) };
	struct db_statement statement;
	enum status status;

	say_list(&w, tenant_user_id(tenant), query);
	buffer_add_char(&w.sql, '\0');
	if (w.sql.failed)
		return STATUS_INTERNAL;
	statement = (struct db_statement) { LIST + list_variant(query),
		w.sql.data, column_types, COLUMN_COUNT };

	status = db_run(db, &statement, w.values, w.count);
	if (status != STATUS_OK)
		return status;
	while ((status = db_row(db, row)) == STATUS_OK) {
		struct task task = task_of_row(row);

		each(context, &task);
	}
	return status == STATUS_NOT_FOUND ? STATUS_OK : status;
}

/* Run *which*, FIND or LOCK. */
static enum status
find(struct db *db, struct pool *pool, const struct tenant *tenant,
    const struct uuid *id, unsigned which, struct task *task)
{
	const struct db_value values[] = {
		db_text(tenant_user_id(tenant)), /* user_id = ? */
		id_value(id),			 /* id = ? */
	};
	struct db_value row[COLUMN_COUNT];
	enum status status;

	status = db_run(db, &statements[which].statement, values, 2);
	if (status != STATUS_OK)
		return status;
	if ((status = db_row(db, row)) != STATUS_OK)
		return status;
	*task = task_of_row(row);
	status = keep(pool, task);
	db_done(db);
	return status;
}

enum status
task_store_find(struct db *db, struct pool *pool, const struct tenant *tenant,
    const struct uuid *id, struct task *task)
{
	return find(db, pool, tenant, id, FIND, task);
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
content_digest(struct pool *pool, const struct task_content *content,
    unsigned char digest[CRYPTO_DIGEST_LENGTH])
{
	struct buffer text = buffer_in(pool);

	add_measured(&text, content->title);
	add_measured(&text, content->description);
	buffer_add_char(&text, content->completed ? '1' : '0');
	if (text.failed)
		return STATUS_INTERNAL;
	return crypto_digest(buffer_slice(&text), digest);
}

/* Read the row that INSERT_ONCE gave: the new task's, or the one before. */
static enum status
read_once(struct db *db, struct pool *pool,
    const unsigned char digest[CRYPTO_DIGEST_LENGTH], struct task *task,
    bool *replayed)
{
	struct db_value row[COLUMN_AND_DIGEST_COUNT];
	struct slice sent = { (const char *)digest, CRYPTO_DIGEST_LENGTH };
	struct task found;
	enum status status;

	if ((status = db_row(db, row)) != STATUS_OK)
		return status == STATUS_NOT_FOUND ? STATUS_INTERNAL : status;
	found = task_of_row(row);
	*replayed = memcmp(&found.id, &task->id, sizeof(found.id)) != 0;
	if (*replayed) {
		*task = found;
		status = slice_equal(row[DIGEST].bytes, sent)
		    ? keep(pool, task)
		    : STATUS_IDEMPOTENCY_KEY_REUSED;
	}
	db_done(db);
	return status;
}

enum status
task_store_create(struct db *db, struct pool *pool, const struct tenant *tenant,
    struct slice key, struct task *task, bool *replayed)
{
	unsigned char digest[CRYPTO_DIGEST_LENGTH];
	const struct db_value values[] = {
		db_text(tenant_user_id(tenant)),
		id_value(&task->id),
		db_text(task->content.title),
		db_text(task->content.description),
		db_integer(task->content.completed),
		db_integer(task->revision),
		db_time(task->created_at),
		db_time(task->updated_at),
		db_text(key),
		db_bytes(digest, sizeof(digest)),
	};
	unsigned tried = 0;
	enum status status;

	*replayed = false;
	if (key.data == NULL) {
		do {
			status = db_run(
			    db, &statements[INSERT].statement, values, 8);
		} while (is_worth_another_try(db, status, ++tried));
		return status;
	}

	status = content_digest(pool, &task->content, digest);
	if (status != STATUS_OK)
		return status;
	do {
		status = db_run(
		    db, &statements[INSERT_ONCE].statement, values, 10);
	} while (is_worth_another_try(db, status, ++tried));
	if (status != STATUS_OK)
		return status;
	return read_once(db, pool, digest, task, replayed);
}

/* Lock the task *id* within a transaction, if *conditions* hold of it. */
static enum status
lock(struct db *db, struct pool *pool, const struct tenant *tenant,
    const struct uuid *id, const struct task_conditions *conditions,
    struct task *task)
{
	enum status status;

	status = find(db, pool, tenant, id, LOCK, task);
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

static enum status
write_change(
    struct db *db, const struct tenant *tenant, const struct task *task)
{
	const struct db_value values[] = {
		db_text(task->content.title),	     /* title = ? */
		db_text(task->content.description),  /* description = ? */
		db_integer(task->content.completed), /* completed = ? */
		db_integer(task->revision),	     /* revision = ? */
		db_time(task->updated_at),	     /* updated_at = ? */
		db_text(tenant_user_id(tenant)),     /* user_id = ? */
		id_value(&task->id),		     /* id = ? */
	};

	return db_run(db, &statements[UPDATE].statement, values, 7);
}

/* Within a transaction: make the change, unless it changes nothing. */
static enum status
change_locked(struct db *db, const struct tenant *tenant,
    const struct task_change *change, int64_t now, struct task *task)
{
	struct task_content content = task_changed(change, task->content);

	if (task_content_equal(&content, &task->content))
		return STATUS_OK;
	task->content = content;
	task->revision++;
	/* Later than before, even if the clock was set back meanwhile or *now*
	 * is from before another request's change. */
	task->updated_at = now > task->updated_at ? now : task->updated_at + 1;
	return write_change(db, tenant, task);
}

enum status
task_store_update(struct db *db, struct pool *pool, const struct tenant *tenant,
    const struct uuid *id, const struct task_conditions *conditions,
    const struct task_change *change, int64_t now, struct task *task)
{
	unsigned tried = 0;
	enum status status;

	do {
		if ((status = db_begin(db)) != STATUS_OK)
			return status;
		status = lock(db, pool, tenant, id, conditions, task);
		if (status == STATUS_OK)
			status = change_locked(db, tenant, change, now, task);
		status = settle(db, status);
	} while (is_worth_another_try(db, status, ++tried));
	return status;
}

static enum status
remove_task(struct db *db, const struct tenant *tenant, const struct uuid *id)
{
	const struct db_value values[] = {
		db_text(tenant_user_id(tenant)), /* user_id = ? */
		id_value(id),			 /* id = ? */
	};
	enum status status;

	status = db_run(db, &statements[DELETE].statement, values, 2);
	if (status == STATUS_OK && db_affected(db) == 0)
		status = STATUS_NOT_FOUND;
	return status;
}

enum status
task_store_delete(struct db *db, struct pool *pool, const struct tenant *tenant,
    const struct uuid *id, const struct task_conditions *conditions)
{
	struct task task;
	unsigned tried = 0;
	enum status status;

	do {
		if (!conditions->match.given && !conditions->none_match.given) {
			status = remove_task(db, tenant, id);
			continue;
		}
		if ((status = db_begin(db)) != STATUS_OK)
			return status;
		status = lock(db, pool, tenant, id, conditions, &task);
		if (status == STATUS_OK)
			status = remove_task(db, tenant, id);
		status = settle(db, status);
	} while (is_worth_another_try(db, status, ++tried));
	return status;
}

enum status
task_store_statement(
    struct pool *pool, unsigned index, const char **name, const char **sql)
{
	static const char *const filters[] = { "all", "pending", "completed" };
	struct writing w = { .sql = buffer_in(pool) };
	struct task_query query = { .limit = 1 };
	unsigned variant;

	if (index < LIST) {
		*name = statements[index].name;
		*sql = statements[index].statement.sql;
		return STATUS_OK;
	}
	if ((variant = index - LIST) >= LIST_VARIANTS)
		return STATUS_NOT_FOUND;
	query.has_after = variant % 2 != 0;
	query.descending = variant / 2 % 2 != 0;
	query.sort = (enum task_sort)(variant / 4 % TASK_SORT_COUNT);
	query.filter = (enum task_filter)(variant / 4 / TASK_SORT_COUNT);
	*name = pool_printf(pool, "list %s by %s%s%s", filters[query.filter],
	    sorts[query.sort].column, query.descending ? " descending" : "",
	    query.has_after ? " after" : "");
	say_list(&w, SLICE("u"), &query);
	buffer_add_char(&w.sql, '\0');
	*sql = w.sql.data;
	return w.sql.failed || *name == NULL ? STATUS_INTERNAL : STATUS_OK;
}
