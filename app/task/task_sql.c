#include "task/task_sql.h"

#include <string.h>

#include "base/array.h"
#include "base/buffer.h"

/*
 * The columns of a task.  This table alone names them; value_of() and
 * task_sql_read_task() say which member of a task each one holds.
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
	DIGEST = COLUMN_COUNT /* follows them in the row of an insertion */
};

static const struct {
	const char *name;
	enum sql_type type;
	bool constant; /* never changes */
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

/* The value of *column* for *task*. */
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

struct task
task_sql_read_task(const struct sql_value *row)
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

struct slice
task_sql_read_digest(const struct sql_value *row)
{
	return row[DIGEST].bytes;
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

/* Add all columns, which the result then has. */
static void
add_columns(struct sql *sql)
{
	for (enum column c = 0; c < COLUMN_COUNT; c++) {
		if (c > 0)
			sql_add(sql, ", ");
		sql_column(sql, columns[c].name, columns[c].type);
	}
}

/* Add " AND", *column* and *comparison*, such as " = ?", with *value*. */
static void
add_comparison(struct sql *sql, enum column column, const char *comparison,
    struct sql_value value)
{
	sql_add(sql, " AND ");
	sql_add(sql, columns[column].name);
	sql_bind(sql, comparison, value);
}

/* Add the condition that selects the task *id* alone. */
static void
add_where(struct sql *sql, const struct tenant *tenant, const struct uuid *id)
{
	sql_bind(sql, " WHERE user_id = ?", sql_text(tenant_user_id(tenant)));
	add_comparison(sql, ID, " = ?", id_value(id));
}

struct sql
task_sql_find(
    struct arena *arena, const struct tenant *tenant, const struct uuid *id)
{
	struct sql sql = sql_in(arena);

	sql_add(&sql, "SELECT ");
	add_columns(&sql);
	sql_add(&sql, " FROM tasks");
	add_where(&sql, tenant, id);
	return sql;
}

struct sql
task_sql_lock(
    struct arena *arena, const struct tenant *tenant, const struct uuid *id)
{
	struct sql sql = task_sql_find(arena, tenant, id);

	sql_add(&sql, " FOR UPDATE");
	return sql;
}

struct sql
task_sql_insert(struct arena *arena, const struct tenant *tenant,
    const struct task *task, struct slice key,
    const unsigned char digest[CRYPTO_DIGEST_LENGTH])
{
	struct sql sql = sql_in(arena);
	bool once = key.data != NULL;

	sql_add(&sql, "INSERT INTO tasks (user_id, ");
	add_names(&sql);
	if (once)
		sql_add(&sql, ", idempotency_key, idempotency_digest");
	sql_bind(&sql, ") VALUES (?", sql_text(tenant_user_id(tenant)));
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

struct sql
task_sql_update(
    struct arena *arena, const struct tenant *tenant, const struct task *task)
{
	struct sql sql = sql_in(arena);
	const char *separator = "UPDATE tasks SET ";

	for (enum column c = 0; c < COLUMN_COUNT; c++) {
		if (columns[c].constant)
			continue;
		sql_add(&sql, separator);
		sql_add(&sql, columns[c].name);
		sql_bind(&sql, " = ?", value_of(task, c));
		separator = ", ";
	}
	add_where(&sql, tenant, &task->id);
	return sql;
}

struct sql
task_sql_delete(
    struct arena *arena, const struct tenant *tenant, const struct uuid *id)
{
	struct sql sql = sql_in(arena);

	sql_add(&sql, "DELETE FROM tasks");
	add_where(&sql, tenant, id);
	return sql;
}

static const struct {
	enum column column; /* sorts the list; equal tasks are sorted by id */
	const char *all;    /* index for the filter "all", or NULL */
	const char *some;   /* index for the filters pending and completed */
} sorts[TASK_SORT_COUNT] = {
	[TASK_SORT_CREATED] = { ID, "PRIMARY", "by_completed" },
	[TASK_SORT_UPDATED] = { UPDATED_AT, NULL, "by_updated" },
	[TASK_SORT_TITLE] = { TITLE, NULL, "by_title" },
};

/*
 * A list is a union of ranges, and an index gives each range in order.  Behind
 * a place there are two ranges: TIES, the tasks whose column is equal and whose
 * id comes later, and BEHIND, those whose column comes later.  One condition
 * for both would make MariaDB read all ties again for each page.
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
 * Add the SELECT of *range*, of tasks whose column completed is *completed*: 0,
 * 1, or -1 for both.  The first SELECT of a UNION names the columns of the
 * result.
 */
static void
add_range(struct sql *sql, const struct tenant *tenant,
    const struct task_query *query, int completed, enum range range)
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
	sql_bind(sql, ") WHERE user_id = ?", sql_text(tenant_user_id(tenant)));
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

struct sql
task_sql_list(struct arena *arena, const struct tenant *tenant,
    const struct task_query *query)
{
	bool all = query->filter == TASK_FILTER_ALL;
	bool one_index = !all || sorts[query->sort].all != NULL;
	bool ties = query->has_after && query->sort != TASK_SORT_CREATED;
	int first = query->filter == TASK_FILTER_COMPLETED;
	int last = query->filter != TASK_FILTER_PENDING;
	enum range range = query->has_after ? BEHIND : FROM_START;
	struct sql sql = sql_in(arena);

	if (one_index && !ties) {
		add_range(&sql, tenant, query, all ? -1 : first, range);
		return sql;
	}
	for (int completed = first; completed <= last; completed++) {
		sql_add(&sql, completed == first ? "(" : " UNION ALL (");
		add_range(&sql, tenant, query, completed, range);
		sql_add(&sql, ")");
		if (ties) {
			sql_add(&sql, " UNION ALL (");
			add_range(&sql, tenant, query, completed, TIES);
			sql_add(&sql, ")");
		}
	}
	add_order(&sql, query);
	return sql;
}

enum status
task_sql_each(struct arena *arena, const struct tenant *tenant,
    void (*each)(const char *name, struct slice text))
{
	const struct slice key = SLICE("k");
	const unsigned char digest[CRYPTO_DIGEST_LENGTH] = { 0 };
	const struct slice no_key = { NULL, 0 };
	const struct task task = { .revision = 1 };
	const struct {
		const char *name;
		struct sql sql;
	} fixed[] = {
		{ "find", task_sql_find(arena, tenant, &task.id) },
		{ "lock", task_sql_lock(arena, tenant, &task.id) },
		{ "insert",
		    task_sql_insert(arena, tenant, &task, no_key, digest) },
		{ "insert once",
		    task_sql_insert(arena, tenant, &task, key, digest) },
		{ "update", task_sql_update(arena, tenant, &task) },
		{ "delete", task_sql_delete(arena, tenant, &task.id) },
	};

	for (size_t i = 0; i < ARRAY_COUNT(fixed); i++) {
		if (sql_failed(&fixed[i].sql))
			return STATUS_INTERNAL;
		each(fixed[i].name, buffer_slice(&fixed[i].sql.text));
	}
	/* Every filter, sort and order, from the start and behind a place. */
	for (unsigned i = 0; i < TASK_FILTER_COUNT * TASK_SORT_COUNT * 4; i++) {
		const struct task_query query = {
			.filter = (enum task_filter)(i / 4 / TASK_SORT_COUNT),
			.sort = (enum task_sort)(i / 4 % TASK_SORT_COUNT),
			.descending = i / 2 % 2 != 0,
			.limit = 1,
			.has_after = i % 2 != 0,
		};
		struct sql sql = task_sql_list(arena, tenant, &query);
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
