#include "task/task_query.h"

#include <string.h>

#include "auth/secrets.h"
#include "base/buffer.h"
#include "http/request.h"

/* The words that are values of a parameter, ended by NULL. */
static const char *const filters[] = {
	[TASK_FILTER_ALL] = "all",
	[TASK_FILTER_PENDING] = "pending",
	[TASK_FILTER_COMPLETED] = "completed",
	[TASK_FILTER_COUNT] = NULL,
};

static const char *const sorts[] = {
	[TASK_SORT_CREATED] = "created",
	[TASK_SORT_UPDATED] = "updated",
	[TASK_SORT_TITLE] = "title",
	[TASK_SORT_COUNT] = NULL,
};

static const char *const orders[] = { "asc", "desc", NULL };

#define LIMIT_DEFAULT 100

/* The parameters that are ours. */
enum { STATUS_IS, SORT, ORDER, LIMIT, AFTER, PARAMETER_COUNT };

static const char *const names[PARAMETER_COUNT] = {
	[STATUS_IS] = "status",
	[SORT] = "sort",
	[ORDER] = "order",
	[LIMIT] = "limit",
	[AFTER] = "after",
};

/* Which of our parameters is *name*?  PARAMETER_COUNT if it is none. */
static size_t
parameter_named(struct slice name)
{
	size_t i = 0;

	while (i < PARAMETER_COUNT && !slice_equal(name, slice_of(names[i])))
		i++;
	return i;
}

/*
 * Collect the decoded values of our parameters; of one that is not there,
 * data is NULL.
 */
static enum status
collect(struct exchange *x, struct slice values[PARAMETER_COUNT])
{
	struct slice query = x->target.query;
	struct slice raw_name, raw_value, name;

	memset(values, 0, sizeof(values[0]) * PARAMETER_COUNT);
	while (request_next_parameter(&query, &raw_name, &raw_value)) {
		enum status status;
		size_t i;

		status = request_decode(x->arena, raw_name, &name);
		if (status == STATUS_INTERNAL)
			return status;
		if (status != STATUS_OK)
			continue; /* no name of ours */
		if ((i = parameter_named(name)) == PARAMETER_COUNT)
			continue;
		if (values[i].data != NULL) {
			(void)response_invalid(
			    &x->response, names[i], "must be given once");
			continue;
		}
		status = request_decode(x->arena, raw_value, &values[i]);
		if (status == STATUS_INTERNAL)
			return status;
		if (status != STATUS_OK)
			values[i] = SLICE("%"); /* right for none of them */
	}
	return STATUS_OK;
}

/* Find *value* among *words*: its index, or -1. */
static int
choose(const char *const *words, struct slice value)
{
	for (int i = 0; words[i] != NULL; i++)
		if (slice_equal(value, slice_of(words[i])))
			return i;
	return -1;
}

/* Read a limit: 1 to 500 in decimal, or 0 if it is not that. */
static unsigned
read_limit(struct slice value)
{
	unsigned limit = 0;

	if (value.length == 0 || value.length > 3 || value.data[0] == '0')
		return 0;
	for (size_t i = 0; i < value.length; i++) {
		if (value.data[i] < '0' || value.data[i] > '9')
			return 0;
		limit = limit * 10 + (unsigned)(value.data[i] - '0');
	}
	return limit <= TASK_QUERY_LIMIT_MAX ? limit : 0;
}

/*
 * What a cursor belongs to: it is sealed with this, and opens only with the
 * same.
 */
static enum status
cursor_context(struct arena *arena, const struct tenant *tenant,
    const struct task_query *query, struct slice *context)
{
	struct buffer text = buffer_in(arena);

	buffer_add_text(&text, filters[query->filter]);
	buffer_add_char(&text, ' ');
	buffer_add_text(&text, sorts[query->sort]);
	buffer_add_char(&text, ' ');
	buffer_add_text(&text, orders[query->descending]);
	buffer_add_char(&text, ' ');
	buffer_add(&text, tenant_user_id(tenant));
	*context = buffer_slice(&text);
	return text.failed ? STATUS_INTERNAL : STATUS_OK;
}

/*
 * A place in a list, as it stands in a cursor: the id, then what the list is
 * sorted by besides, eight bytes of time or a title.
 */
#define PLACE_MAX (16 + TASK_TITLE_BYTES)

static enum status
cursor_seal(struct exchange *x, const struct tenant *tenant,
    const struct task_query *query, const struct task *last,
    struct slice *cursor)
{
	char place[PLACE_MAX];
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
	status = cursor_context(x->arena, tenant, query, &context);
	if (status != STATUS_OK)
		return status;
	return secrets_seal(x->arena, &x->settings->token.secrets, context,
	    (struct slice) { place, length }, cursor);
}

static enum status
cursor_open(struct exchange *x, const struct tenant *tenant,
    struct slice cursor, struct task_query *query)
{
	struct slice context, place;
	enum status status;

	status = cursor_context(x->arena, tenant, query, &context);
	if (status != STATUS_OK)
		return status;
	status = secrets_open(
	    x->arena, &x->settings->token.secrets, context, cursor, &place);
	if (status != STATUS_OK)
		return status;

	/* From here on it is one of ours, and so is its form. */
	if (place.length < sizeof(query->after.id.bytes))
		return STATUS_INVALID;
	memcpy(query->after.id.bytes, place.data, sizeof(query->after.id));
	place.data += sizeof(query->after.id);
	place.length -= sizeof(query->after.id);
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

enum status
task_query_read(
    struct exchange *x, const struct tenant *tenant, struct task_query *query)
{
	struct slice values[PARAMETER_COUNT];
	struct response *response = &x->response;
	int choice;
	enum status status;

	*query = (struct task_query) {
		.filter = TASK_FILTER_ALL,
		.sort = TASK_SORT_CREATED,
		.descending = true,
		.limit = LIMIT_DEFAULT,
	};
	if ((status = collect(x, values)) != STATUS_OK)
		return status;

	if (values[STATUS_IS].data != NULL) {
		if ((choice = choose(filters, values[STATUS_IS])) < 0)
			(void)response_invalid(response, names[STATUS_IS],
			    "must be all, pending or completed");
		else
			query->filter = (enum task_filter)choice;
	}
	if (values[SORT].data != NULL) {
		if ((choice = choose(sorts, values[SORT])) < 0)
			(void)response_invalid(response, names[SORT],
			    "must be created, updated or title");
		else
			query->sort = (enum task_sort)choice;
	}
	query->descending = query->sort != TASK_SORT_TITLE;
	if (values[ORDER].data != NULL) {
		if ((choice = choose(orders, values[ORDER])) < 0)
			(void)response_invalid(
			    response, names[ORDER], "must be asc or desc");
		else
			query->descending = choice == 1;
	}
	if (values[LIMIT].data != NULL &&
	    (query->limit = read_limit(values[LIMIT])) == 0)
		(void)response_invalid(
		    response, names[LIMIT], "must be a number from 1 to 500");
	if (response->error_count > 0)
		return STATUS_INVALID;

	if (values[AFTER].data == NULL)
		return STATUS_OK;
	status = cursor_open(x, tenant, values[AFTER], query);
	if (status == STATUS_INVALID)
		return response_invalid(response, names[AFTER],
		    "must be the cursor of a Link with the same status, sort "
		    "and order");
	return status;
}

static bool
is_hex(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'F') ||
	    (c >= 'a' && c <= 'f');
}

/*
 * Add the raw *text* of a query to a URI reference, escaping what RFC 3986
 * section 3.4 does not let stand there, such as a "%" that begins no escape.
 */
static void
add_escaped(struct buffer *out, struct slice text)
{
	static const char others[] = "-._~!$'()*+,;:@/?=";
	static const char hex[] = "0123456789ABCDEF";

	for (size_t i = 0; i < text.length; i++) {
		unsigned char c = (unsigned char)text.data[i];
		bool escape = c == '%' && i + 2 < text.length &&
		    is_hex(text.data[i + 1]) && is_hex(text.data[i + 2]);

		if ((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') ||
		    (c >= 'a' && c <= 'z') || escape ||
		    (c != '\0' && strchr(others, c) != NULL)) {
			buffer_add_char(out, (char)c);
		} else {
			buffer_add_char(out, '%');
			buffer_add_char(out, hex[c >> 4]);
			buffer_add_char(out, hex[c & 15]);
		}
	}
}

/*
 * Add the parameters of the request to *out*, each with its "&", but for
 * "after"; if *ours_alone*, without those that mean nothing to us.
 */
static void
add_parameters(struct exchange *x, struct buffer *out, bool ours_alone)
{
	struct slice rest = x->target.query;
	struct slice name, value, plain;

	while (request_next_parameter(&rest, &name, &value)) {
		enum status status = request_decode(x->arena, name, &plain);
		size_t i = PARAMETER_COUNT;

		if (status == STATUS_INTERNAL) {
			out->failed = true;
			return;
		}
		/* What cannot be decoded is none of ours. */
		if (status == STATUS_OK)
			i = parameter_named(plain);
		if (i == AFTER || (i == PARAMETER_COUNT && ours_alone))
			continue;
		add_escaped(out, name);
		if (value.data != NULL) {
			buffer_add_char(out, '=');
			add_escaped(out, value);
		}
		buffer_add_char(out, '&');
	}
}

/* The target of the next page. */
static struct buffer
next_target(struct exchange *x, const struct tenant *tenant,
    struct slice cursor, bool ours_alone)
{
	struct buffer target = buffer_in(x->arena);

	buffer_add(&target, SLICE("/api/"));
	buffer_add(&target, tenant_user_id(tenant));
	buffer_add(&target, SLICE("/tasks?"));
	add_parameters(x, &target, ours_alone);
	buffer_add(&target, SLICE("after="));
	buffer_add(&target, cursor);
	return target;
}

enum status
task_query_link(struct exchange *x, const struct tenant *tenant,
    const struct task_query *query, const struct task *last)
{
	struct buffer link = buffer_in(x->arena);
	struct buffer target;
	struct slice cursor;
	enum status status;

	status = cursor_seal(x, tenant, query, last, &cursor);
	if (status != STATUS_OK)
		return status;
	target = next_target(x, tenant, cursor, false);
	if (buffer_slice(&target).length > REQUEST_TARGET_MAX)
		target = next_target(x, tenant, cursor, true);
	buffer_add(&link, SLICE("<"));
	buffer_add(&link, buffer_slice(&target));
	buffer_add(&link, SLICE(">; rel=\"next\""));
	x->response.link = buffer_slice(&link);
	return target.failed || link.failed ? STATUS_INTERNAL : STATUS_OK;
}
