#include "task/task_json.h"

#include "base/json.h"
#include "base/json_write.h"
#include "base/text.h"
#include "base/timestamp.h"
#include "base/utf8.h"
#include "http/media_type.h"

/* Read the body into *object*. */
static enum status
read_object(struct arena *arena, const struct request *request,
    struct response *response, struct json *object)
{
	enum status status;

	if (request->body_status != STATUS_OK) {
		if (request->body_status == STATUS_BAD_REQUEST)
			response->detail =
			    "The body is not as long as Content-Length says";
		return request->body_status;
	}
	if (request->body.length == 0) {
		response->detail = "A JSON body is required";
		return STATUS_BAD_REQUEST;
	}
	status = media_type_check(request->method, request->content_type);
	if (status != STATUS_OK) {
		if (request->method == METHOD_PATCH)
			response->accept_patch = MEDIA_TYPE_ACCEPT_PATCH;
		else
			response->accept = MEDIA_TYPE_ACCEPT;
		return status;
	}
	status = json_read(arena, request->body, object);
	if (status == STATUS_INVALID) {
		response->detail = "The body is not valid JSON (RFC 8259)";
		return STATUS_BAD_REQUEST;
	}
	if (status != STATUS_OK)
		return status;
	if (object->type != JSON_OBJECT)
		return response_invalid(
		    response, "", "the body must be a JSON object");
	return STATUS_OK;
}

/* True if *text* has a character that a reader can see. */
static bool
has_visible(struct slice text)
{
	uint32_t point;

	while (utf8_next(&text, &point))
		if (utf8_visible(point))
			return true;
	return false;
}

static void
read_title(
    struct response *response, struct json title, struct task_change *change)
{
	struct slice text;

	change->has_title = true;
	if (title.type != JSON_STRING) {
		(void)response_invalid(response, "title", "must be a string");
		return;
	}
	change->content.title = text = json_as_string(title);
	if (utf8_length(text) > TASK_TITLE_MAX)
		(void)response_invalid(response, "title",
		    "must have at most " TEXT_OF(TASK_TITLE_MAX) " characters");
	else if (!has_visible(text))
		(void)response_invalid(response, "title",
		    "must have a character that can be seen");
}

static void
read_description(struct response *response, struct json description,
    struct task_change *change)
{
	change->has_description = true;
	if (description.type == JSON_NULL)
		return;
	if (description.type != JSON_STRING) {
		(void)response_invalid(
		    response, "description", "must be a string or null");
		return;
	}
	change->content.description = json_as_string(description);
	if (utf8_length(change->content.description) > TASK_DESCRIPTION_MAX)
		(void)response_invalid(response, "description",
		    "must have at most " TEXT_OF(
			TASK_DESCRIPTION_MAX) " characters");
}

static void
read_completed(struct response *response, struct json completed,
    struct task_change *change)
{
	change->has_completed = true;
	if (completed.type != JSON_BOOLEAN) {
		(void)response_invalid(
		    response, "completed", "must be true or false");
		return;
	}
	change->content.completed = json_as_boolean(completed);
}

enum status
task_json_read(struct arena *arena, const struct request *request,
    struct response *response, struct task_change *change)
{
	struct json object, member;
	enum status status;

	*change = (struct task_change) { .has_title = false };
	if ((status = read_object(arena, request, response, &object)) !=
	    STATUS_OK)
		return status;
	if (json_member(object, "title", &member))
		read_title(response, member, change);
	if (json_member(object, "description", &member))
		read_description(response, member, change);
	if (json_member(object, "completed", &member))
		read_completed(response, member, change);
	return response->error_count > 0 ? STATUS_INVALID : STATUS_OK;
}

enum status
task_json_read_completion(struct arena *arena, const struct request *request,
    struct response *response, struct task_change *change)
{
	struct json object, member;
	enum status status;

	*change = (struct task_change) { .has_completed = false };
	if (request->body_status == STATUS_OK && request->body.length == 0) {
		change->toggles = true;
		return STATUS_OK;
	}
	if ((status = read_object(arena, request, response, &object)) !=
	    STATUS_OK)
		return status;
	if (!json_member(object, "completed", &member))
		return response_invalid(response, "completed", "is required");
	read_completed(response, member, change);
	return response->error_count > 0 ? STATUS_INVALID : STATUS_OK;
}

static void
write_time(struct buffer *out, const char *name, int64_t time)
{
	char *room;

	buffer_add_text(out, name);
	if ((room = buffer_room(out, TIMESTAMP_LENGTH)) == NULL)
		return;
	timestamp_write(time, room);
	buffer_advance(out, TIMESTAMP_LENGTH);
}

void
task_json_write(
    struct buffer *out, struct slice user_id, const struct task *task)
{
	const struct task_content *content = &task->content;
	char id[UUID_TEXT_LENGTH];

	uuid_write(&task->id, id);
	buffer_add(out, SLICE("{\"id\":\""));
	buffer_add(out, (struct slice) { id, sizeof(id) });
	/* A user_id has no character that JSON would escape. */
	buffer_add(out, SLICE("\",\"user_id\":\""));
	buffer_add(out, user_id);
	buffer_add(out, SLICE("\",\"title\":"));
	json_write_string(out, content->title);
	buffer_add(out, SLICE(",\"description\":"));
	if (content->description.data == NULL)
		buffer_add(out, SLICE("null"));
	else
		json_write_string(out, content->description);
	buffer_add(out,
	    content->completed ? SLICE(",\"completed\":true")
			       : SLICE(",\"completed\":false"));
	write_time(out, ",\"created_at\":\"", task->created_at);
	write_time(out, "\",\"updated_at\":\"", task->updated_at);
	buffer_add(out, SLICE("\"}"));
}
