#include "task/tasks.h"

#include <string.h>

#include "base/text.h"
#include "base/uuid.h"
#include "http/entity_tag.h"
#include "task/task.h"
#include "task/task_cursor.h"
#include "task/task_json.h"
#include "task/task_query.h"
#include "task/task_store.h"

/* The longest idempotency key, in bytes. */
#define KEY_LENGTH_MAX 255

/* A page being written. */
struct page {
	struct buffer *out;
	struct slice user_id;
	const struct task_query *query;
	unsigned count;
	bool has_more; /* there is a task behind the last one of the page */

	/* The last task of the page, for the cursor of the next one. */
	struct task last;
	char last_title[TASK_TITLE_BYTES];
};

static void
remember_last(struct page *page, const struct task *task)
{
	struct slice *title = &page->last.content.title;

	page->last = *task;
	if (page->query->sort != TASK_SORT_TITLE ||
	    title->length > sizeof(page->last_title))
		return;
	memcpy(page->last_title, title->data, title->length);
	title->data = page->last_title;
}

static void
write_listed(void *context, const struct task *task)
{
	struct page *page = context;

	if (page->count == page->query->limit) {
		page->has_more = true;
		return;
	}
	if (page->count++ > 0)
		buffer_add_char(page->out, ',');
	task_json_write(page->out, page->user_id, task);
	if (page->count == page->query->limit)
		remember_last(page, task);
}

/* Set Link to the page that follows *page*. */
static enum status
link_next(struct exchange *x, const struct tenant *tenant,
    const struct secrets *secrets, const struct page *page)
{
	struct slice cursor;
	enum status status;

	status = task_cursor_seal(
	    x->arena, secrets, tenant, page->query, &page->last, &cursor);
	if (status != STATUS_OK)
		return status;
	return task_query_link(x->arena, page->user_id, x->target.query, cursor,
	    &x->response.link);
}

enum status
tasks_list(struct exchange *x, const struct tenant *tenant, struct db *db,
    const struct secrets *secrets)
{
	struct task_query query;
	struct page page = {
		.out = &x->response.body,
		.user_id = tenant_user_id(tenant),
		.query = &query,
	};
	struct slice cursor;
	enum status status;

	status = task_query_read(
	    x->arena, x->target.query, &x->response, &query, &cursor);
	if (status == STATUS_OK && cursor.data != NULL) {
		status = task_cursor_open(
		    x->arena, secrets, tenant, cursor, &query);
		if (status == STATUS_INVALID)
			return task_query_refuse_cursor(&x->response);
	}
	if (status != STATUS_OK)
		return status;

	buffer_add_char(page.out, '[');
	status = task_store_list(
	    db, x->arena, tenant, &query, write_listed, &page);
	if (status != STATUS_OK)
		return status;
	buffer_add_char(page.out, ']');
	return page.has_more ? link_next(x, tenant, secrets, &page) : STATUS_OK;
}

/* Write *task* and its ETag into the response. */
static enum status
write_task(
    struct exchange *x, const struct tenant *tenant, const struct task *task)
{
	char *tag;

	if ((tag = arena_alloc(x->arena, TASK_TAG_MAX)) == NULL)
		return STATUS_INTERNAL;
	x->response.etag = task_tag(task, tag);
	task_json_write(&x->response.body, tenant_user_id(tenant), task);
	return STATUS_OK;
}

/* Read Idempotency-Key into *key*; data NULL if it was not sent. */
static enum status
read_key(struct exchange *x, struct slice *key)
{
	*key = x->request->idempotency_key;
	if (key->data == NULL)
		return STATUS_OK;
	*key = slice_trim(*key);
	if (key->length < 1 || key->length > KEY_LENGTH_MAX)
		goto bad;
	for (size_t i = 0; i < key->length; i++)
		if (key->data[i] < '!' || key->data[i] > '~')
			goto bad;
	return STATUS_OK;

bad:
	x->response.detail = "Idempotency-Key must be 1 to " TEXT_OF(
	    KEY_LENGTH_MAX) " visible ASCII characters";
	return STATUS_BAD_REQUEST;
}

enum status
tasks_create(struct exchange *x, const struct tenant *tenant, struct db *db,
    const struct secrets *secrets)
{
	struct task task = { .revision = 1 };
	struct task_change sent;
	struct slice key;
	char name[UUID_TEXT_LENGTH];
	struct buffer location = buffer_in(x->arena);
	enum status status;

	(void)secrets;
	if ((status = read_key(x, &key)) != STATUS_OK)
		return status;
	if ((status = task_json_read(
		 x->arena, x->request, &x->response, &sent)) != STATUS_OK)
		return status;
	if (!sent.has_title)
		return response_invalid(&x->response, "title", "is required");

	task.content = sent.content;
	task.created_at = task.updated_at = x->now_us;
	if ((status = uuid_v7(task.created_at, &task.id)) != STATUS_OK)
		return status;
	status = task_store_create(
	    db, x->arena, tenant, key, &task, &x->response.replayed);
	if (status != STATUS_OK)
		return status;

	uuid_write(&task.id, name);
	task_write_path(&location, tenant_user_id(tenant));
	buffer_add_char(&location, '/');
	buffer_add(&location, (struct slice) { name, sizeof(name) });
	if (location.failed)
		return STATUS_INTERNAL;
	x->response.location = buffer_slice(&location);
	status = write_task(x, tenant, &task);
	return status == STATUS_OK ? STATUS_CREATED : status;
}

/* Read the id of a task; a malformed one is the id of no task. */
static enum status
read_id(struct slice text, struct uuid *id)
{
	return uuid_read(text, id) == STATUS_OK ? STATUS_OK : STATUS_NOT_FOUND;
}

/*
 * Read *field*, the value of If-Match or If-None-Match, into *revisions*.  A
 * tag that no task can have names no revision, and neither does a malformed
 * field.
 */
static enum status
read_revisions(
    struct arena *arena, struct slice field, struct task_revisions *revisions)
{
	/* A tag of a task has three bytes or more. */
	size_t most = field.length / 3;
	struct slice tag;
	uint32_t *numbers;

	*revisions = (struct task_revisions) { .given = field.data != NULL };
	if (!revisions->given)
		return STATUS_OK;
	revisions->all = slice_equal(slice_trim(field), SLICE("*"));
	if (revisions->all)
		return STATUS_OK;
	if ((numbers = arena_alloc(arena, most * sizeof(*numbers))) == NULL)
		return STATUS_INTERNAL;
	revisions->numbers = numbers;
	while (entity_tag_next(&field, &tag))
		if (task_tag_read(tag, &numbers[revisions->count]))
			revisions->count++;
	if (field.length > 0)
		revisions->count = 0;
	return STATUS_OK;
}

/* Read If-Match and If-None-Match (RFC 9110 section 13.1). */
static enum status
read_conditions(const struct exchange *x, struct task_conditions *conditions)
{
	const struct request *request = x->request;
	enum status status;

	status = read_revisions(
	    x->arena, request->if_match, &conditions->match);
	if (status != STATUS_OK)
		return status;
	return read_revisions(
	    x->arena, request->if_none_match, &conditions->none_match);
}

enum status
tasks_read(struct exchange *x, const struct tenant *tenant, struct db *db,
    const struct secrets *secrets)
{
	struct task_conditions conditions;
	struct uuid uuid;
	struct task task;
	enum status status;

	(void)secrets;
	if ((status = read_id(x->id_segment, &uuid)) != STATUS_OK)
		return status;
	if ((status = read_conditions(x, &conditions)) != STATUS_OK)
		return status;
	status = task_store_find(db, x->arena, tenant, &uuid, &task);
	if (status != STATUS_OK)
		return status;
	if ((status = write_task(x, tenant, &task)) != STATUS_OK)
		return status;
	if (task_revisions_include(&conditions.none_match, task.revision))
		return STATUS_NOT_MODIFIED;
	return STATUS_OK;
}

/* A reader of the body of a request that changes a task. */
typedef enum status reader(struct arena *arena, const struct request *request,
    struct response *response, struct task_change *change);

/* Make the change that *read* finds in the body, and answer with the result. */
static enum status
change_task(struct exchange *x, const struct tenant *tenant, struct db *db,
    reader *read)
{
	struct task_conditions conditions;
	struct task_change change;
	struct task task;
	struct uuid id;
	enum status status;

	if ((status = read_id(x->id_segment, &id)) != STATUS_OK)
		return status;
	status = read(x->arena, x->request, &x->response, &change);
	if (status != STATUS_OK)
		return status;
	if ((status = read_conditions(x, &conditions)) != STATUS_OK)
		return status;
	status = task_store_update(
	    db, x->arena, tenant, &id, &conditions, &change, x->now_us, &task);
	return status == STATUS_OK ? write_task(x, tenant, &task) : status;
}

enum status
tasks_update(struct exchange *x, const struct tenant *tenant, struct db *db,
    const struct secrets *secrets)
{
	(void)secrets;
	return change_task(x, tenant, db, task_json_read);
}

enum status
tasks_complete(struct exchange *x, const struct tenant *tenant, struct db *db,
    const struct secrets *secrets)
{
	(void)secrets;
	return change_task(x, tenant, db, task_json_read_completion);
}

enum status
tasks_delete(struct exchange *x, const struct tenant *tenant, struct db *db,
    const struct secrets *secrets)
{
	struct task_conditions conditions;
	struct uuid uuid;
	enum status status;

	(void)secrets;
	if ((status = read_id(x->id_segment, &uuid)) != STATUS_OK)
		return status;
	if ((status = read_conditions(x, &conditions)) != STATUS_OK)
		return status;
	status = task_store_delete(db, x->arena, tenant, &uuid, &conditions);
	return status == STATUS_OK ? STATUS_NO_CONTENT : status;
}
