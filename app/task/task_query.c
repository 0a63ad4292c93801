#include "task/task_query.h"

#include <string.h>

#include "base/buffer.h"
#include "base/text.h"
#include "http/request.h"

#define LIMIT_DEFAULT 100

/* The parameters of a list. */
enum { FILTER, SORT, ORDER, LIMIT, AFTER, PARAMETER_COUNT };

static const char *const names[PARAMETER_COUNT] = {
	[FILTER] = "status",
	[SORT] = "sort",
	[ORDER] = "order",
	[LIMIT] = "limit",
	[AFTER] = "after",
};

/* The parameter called *name*; PARAMETER_COUNT if there is none. */
static size_t
parameter_named(struct slice name)
{
	size_t i = 0;

	while (i < PARAMETER_COUNT && !slice_equal(name, slice_of(names[i])))
		i++;
	return i;
}

/* Decode the *values* of our parameters; data is NULL where one is missing. */
static enum status
collect(struct arena *arena, struct slice raw, struct response *response,
    struct slice values[PARAMETER_COUNT])
{
	struct slice raw_name, raw_value, name;

	memset(values, 0, sizeof(values[0]) * PARAMETER_COUNT);
	while (request_next_parameter(&raw, &raw_name, &raw_value)) {
		enum status status;
		size_t i;

		status = request_decode(arena, raw_name, &name);
		if (status == STATUS_INTERNAL)
			return status;
		if (status != STATUS_OK)
			continue; /* our names can be decoded */
		if ((i = parameter_named(name)) == PARAMETER_COUNT)
			continue;
		if (values[i].data != NULL) {
			(void)response_invalid(
			    response, names[i], "must be given once");
			continue;
		}
		status = request_decode(arena, raw_value, &values[i]);
		if (status == STATUS_INTERNAL)
			return status;
		if (status != STATUS_OK)
			values[i] = SLICE("%"); /* wrong for each of them */
	}
	return STATUS_OK;
}

/* Read *value*, a limit without leading zeros; 0 if it is wrong. */
static unsigned
read_limit(struct slice value)
{
	uint64_t limit;

	if (!text_read_number(value, 1, TASK_LIMIT_MAX, &limit))
		return 0;
	return (unsigned)limit;
}

/*
 * Set *choice* to the index of *value* in *words*, a list that ends with NULL.
 * A missing *value* leaves *choice* alone; an unknown one is refused: *detail*
 * says what *parameter* must be.
 */
static void
choose(struct response *response, size_t parameter, struct slice value,
    const char *const *words, const char *detail, unsigned *choice)
{
	if (value.data == NULL)
		return;
	for (unsigned i = 0; words[i] != NULL; i++) {
		if (slice_equal(value, slice_of(words[i]))) {
			*choice = i;
			return;
		}
	}
	(void)response_invalid(response, names[parameter], detail);
}

enum status
task_query_read(struct arena *arena, struct slice raw,
    struct response *response, struct task_query *query, struct slice *cursor)
{
	unsigned filter = TASK_FILTER_ALL, sort = TASK_SORT_CREATED, descending;
	struct slice values[PARAMETER_COUNT];
	enum status status;

	status = collect(arena, raw, response, values);
	if (status != STATUS_OK)
		return status;
	choose(response, FILTER, values[FILTER], task_filter_names,
	    "must be all, pending or completed", &filter);
	choose(response, SORT, values[SORT], task_sort_names,
	    "must be created, updated or title", &sort);
	descending = sort != TASK_SORT_TITLE;
	choose(response, ORDER, values[ORDER], task_order_names,
	    "must be asc or desc", &descending);
	*query = (struct task_query) {
		.filter = (enum task_filter)filter,
		.sort = (enum task_sort)sort,
		.descending = descending != 0,
		.limit = LIMIT_DEFAULT,
	};
	if (values[LIMIT].data != NULL &&
	    (query->limit = read_limit(values[LIMIT])) == 0)
		(void)response_invalid(response, names[LIMIT],
		    "must be a number from 1 to " TEXT_OF(TASK_LIMIT_MAX));
	*cursor = values[AFTER];
	return response->error_count > 0 ? STATUS_INVALID : STATUS_OK;
}

enum status
task_query_refuse_cursor(struct response *response)
{
	return response_invalid(response, names[AFTER],
	    "must be the cursor of a Link with the same status, sort and "
	    "order");
}

/*
 * Add *text*, of a raw query, to a URI reference.  Bytes that RFC 3986 section
 * 3.4 does not allow there are escaped, also a "%" that begins no escape.
 */
static void
add_escaped(struct buffer *out, struct slice text)
{
	static const char others[] = "-._~!$'()*+,;:@/?=";
	static const char hex[] = "0123456789ABCDEF";

	for (size_t i = 0; i < text.length; i++) {
		unsigned char c = (unsigned char)text.data[i];
		bool escape = c == '%' && i + 2 < text.length &&
		    text_hex_value(text.data[i + 1]) >= 0 &&
		    text_hex_value(text.data[i + 2]) >= 0;

		if (slice_is_alphanumeric((char)c) || escape ||
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
 * Add the parameters of *raw* to *out*, each followed by "&", except "after"
 * and, if *ours_alone*, except parameters that are not ours.
 */
static void
add_parameters(
    struct arena *arena, struct buffer *out, struct slice raw, bool ours_alone)
{
	struct slice name, value, plain;

	while (request_next_parameter(&raw, &name, &value)) {
		enum status status = request_decode(arena, name, &plain);
		size_t i = PARAMETER_COUNT;

		if (status == STATUS_INTERNAL) {
			out->failed = true;
			return;
		}
		/* A name that cannot be decoded is not one of ours. */
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

/* The target of the page that begins at *cursor*. */
static struct buffer
next_target(struct arena *arena, struct slice user_id, struct slice raw,
    struct slice cursor, bool ours_alone)
{
	struct buffer target = buffer_in(arena);

	task_write_path(&target, user_id);
	buffer_add_char(&target, '?');
	add_parameters(arena, &target, raw, ours_alone);
	buffer_add(&target, SLICE("after="));
	buffer_add(&target, cursor);
	return target;
}

enum status
task_query_link(struct arena *arena, struct slice user_id, struct slice raw,
    struct slice cursor, struct slice *link)
{
	struct buffer text = buffer_in(arena);
	struct buffer target;

	target = next_target(arena, user_id, raw, cursor, false);
	if (target.length > REQUEST_TARGET_MAX)
		target = next_target(arena, user_id, raw, cursor, true);
	buffer_add(&text, SLICE("<"));
	buffer_add(&text, buffer_slice(&target));
	buffer_add(&text, SLICE(">; rel=\"next\""));
	*link = buffer_slice(&text);
	return target.failed || text.failed ? STATUS_INTERNAL : STATUS_OK;
}
