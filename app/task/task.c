#include "task/task.h"

#include <string.h>

#include "base/text.h"

const char *const task_filter_names[TASK_FILTER_COUNT + 1] = {
	[TASK_FILTER_ALL] = "all",
	[TASK_FILTER_PENDING] = "pending",
	[TASK_FILTER_COMPLETED] = "completed",
};

const char *const task_sort_names[TASK_SORT_COUNT + 1] = {
	[TASK_SORT_CREATED] = "created",
	[TASK_SORT_UPDATED] = "updated",
	[TASK_SORT_TITLE] = "title",
};

const char *const task_order_names[3] = { "asc", "desc" };

void
task_write_path(struct buffer *out, struct slice user_id)
{
	/* A user_id has unreserved characters only, so nothing is escaped. */
	buffer_add(out, SLICE("/api/"));
	buffer_add(out, user_id);
	buffer_add(out, SLICE("/tasks"));
}

struct task_content
task_changed(const struct task_change *change, struct task_content content)
{
	if (change->has_title)
		content.title = change->content.title;
	if (change->has_description)
		content.description = change->content.description;
	if (change->has_completed)
		content.completed = change->content.completed;
	if (change->toggles)
		content.completed = !content.completed;
	return content;
}

/* True if *a* and *b* are both null, or the same text. */
static bool
same_description(struct slice a, struct slice b)
{
	if (a.data == NULL || b.data == NULL)
		return a.data == b.data;
	return slice_equal(a, b);
}

bool
task_content_equal(const struct task_content *a, const struct task_content *b)
{
	return slice_equal(a->title, b->title) &&
	    same_description(a->description, b->description) &&
	    a->completed == b->completed;
}

struct slice
task_tag(const struct task *task, char out[TASK_TAG_MAX])
{
	char buffer[TEXT_DECIMAL_SIZE];
	struct slice digits = text_write_decimal(task->revision, buffer);

	out[0] = '"';
	memcpy(out + 1, digits.data, digits.length);
	out[1 + digits.length] = '"';
	return (struct slice) { out, digits.length + 2 };
}

bool
task_tag_read(struct slice tag, uint32_t *revision)
{
	uint64_t number;

	if (tag.length < 3 ||
	    !text_read_number((struct slice) { tag.data + 1, tag.length - 2 },
		1, UINT32_MAX, &number))
		return false;
	*revision = (uint32_t)number;
	return true;
}

bool
task_revisions_include(
    const struct task_revisions *revisions, uint32_t revision)
{
	for (size_t i = 0; i < revisions->count; i++)
		if (revisions->numbers[i] == revision)
			return true;
	return revisions->all;
}

bool
task_conditions_hold(
    const struct task_conditions *conditions, uint32_t revision)
{
	return (!conditions->match.given ||
		   task_revisions_include(&conditions->match, revision)) &&
	    !task_revisions_include(&conditions->none_match, revision);
}
