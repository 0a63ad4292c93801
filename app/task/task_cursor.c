#include "task/task_cursor.h"

#include <string.h>

#include "base/buffer.h"

/*
 * A place is the id of a task, then the value that its list is sorted by: for
 * TASK_SORT_UPDATED the time in eight bytes, most significant first; for
 * TASK_SORT_TITLE the title.
 */
#define PLACE_LENGTH_MAX (sizeof(struct uuid) + TASK_TITLE_BYTES)

/* Write the *context* of a cursor: the list that it belongs to. */
static enum status
write_context(struct arena *arena, const struct tenant *tenant,
    const struct task_query *query, struct slice *context)
{
	struct buffer text = buffer_in(arena);

	buffer_add_text(&text, task_filter_names[query->filter]);
	buffer_add_char(&text, ' ');
	buffer_add_text(&text, task_sort_names[query->sort]);
	buffer_add_char(&text, ' ');
	buffer_add_text(&text, task_order_names[query->descending]);
	buffer_add_char(&text, ' ');
	buffer_add(&text, tenant_user_id(tenant));
	*context = buffer_slice(&text);
	return text.failed ? STATUS_INTERNAL : STATUS_OK;
}

enum status
task_cursor_seal(struct arena *arena, const struct secrets *secrets,
    const struct tenant *tenant, const struct task_query *query,
    const struct task *last, struct slice *cursor)
{
	char place[PLACE_LENGTH_MAX];
	size_t length = sizeof(last->id.bytes);
	struct slice context;
	enum status status;

	memcpy(place, last->id.bytes, length);
	if (query->sort == TASK_SORT_UPDATED) {
		for (int shift = 56; shift >= 0; shift -= 8)
			place[length++] = (char)(last->updated_at >> shift);
	} else if (query->sort == TASK_SORT_TITLE) {
		struct slice title = last->content.title;

		if (title.length > TASK_TITLE_BYTES)
			return STATUS_INTERNAL;
		memcpy(place + length, title.data, title.length);
		length += title.length;
	}
	status = write_context(arena, tenant, query, &context);
	if (status != STATUS_OK)
		return status;
	return secrets_seal(
	    arena, secrets, context, (struct slice) { place, length }, cursor);
}

enum status
task_cursor_open(struct arena *arena, const struct secrets *secrets,
    const struct tenant *tenant, struct slice cursor, struct task_query *query)
{
	struct slice context, place;
	enum status status;

	status = write_context(arena, tenant, query, &context);
	if (status != STATUS_OK)
		return status;
	status = secrets_open(arena, secrets, context, cursor, &place);
	if (status != STATUS_OK)
		return status;

	/* Only task_cursor_seal() can have made what opens. */
	if (place.length < sizeof(query->after.id.bytes))
		return STATUS_INVALID;
	memcpy(query->after.id.bytes,
	    slice_take(&place, sizeof(query->after.id.bytes)).data,
	    sizeof(query->after.id.bytes));
	query->after.updated_at = 0;
	if (query->sort == TASK_SORT_UPDATED)
		for (size_t i = 0; i < place.length; i++)
			query->after.updated_at = query->after.updated_at *
				256 +
			    (unsigned char)place.data[i];
	query->after.title = place;
	query->has_after = true;
	return STATUS_OK;
}
