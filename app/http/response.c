#include "http/response.h"

#include "base/json_write.h"

struct response
response_in(struct arena *arena)
{
	return (struct response) { .body = buffer_in(arena) };
}

enum status
response_invalid(
    struct response *response, const char *member, const char *detail)
{
	if (response->error_count < RESPONSE_ERRORS_MAX)
		response->errors[response->error_count++] =
		    (struct response_error) { member, detail };
	return STATUS_INVALID;
}

/* Write the members that were refused, as a JSON array. */
static void
write_errors(const struct response *response, struct buffer *out)
{
	buffer_add_char(out, '[');
	for (size_t i = 0; i < response->error_count; i++) {
		if (i > 0)
			buffer_add_char(out, ',');
		buffer_add(out, SLICE("{\"member\":"));
		json_write_string(out, slice_of(response->errors[i].member));
		buffer_add(out, SLICE(",\"detail\":"));
		json_write_string(out, slice_of(response->errors[i].detail));
		buffer_add_char(out, '}');
	}
	buffer_add_char(out, ']');
}

/* Write the body of a refusal with *status* (RFC 9457 section 3). */
static void
write_problem(const struct response *response, enum status status,
    struct slice request_id, struct buffer *out)
{
	const struct status_answer *answer = status_answer(status);
	const char *detail = response->detail;

	if (detail == NULL)
		detail = answer->detail;
	buffer_add(out, SLICE("{\"type\":\"about:blank\",\"title\":"));
	json_write_string(out, slice_of(answer->title));
	buffer_add(out, SLICE(",\"status\":"));
	buffer_add_unsigned(out, answer->http);
	buffer_add(out, SLICE(",\"code\":"));
	json_write_string(out, slice_of(answer->code));
	buffer_add(out, SLICE(",\"detail\":"));
	json_write_string(out, slice_of(detail));
	if (status == STATUS_INVALID) {
		buffer_add(out, SLICE(",\"errors\":"));
		write_errors(response, out);
	}
	buffer_add(out, SLICE(",\"request_id\":"));
	json_write_string(out, request_id);
	buffer_add_char(out, '}');
}

/* Write the header field *name*, unless the data of *value* is NULL. */
static void
write_field(struct buffer *out, const char *name, struct slice value)
{
	if (value.data == NULL)
		return;
	buffer_add_text(out, name);
	buffer_add(out, SLICE(": "));
	buffer_add(out, value);
	buffer_add(out, SLICE("\r\n"));
}

/* Write the challenge of a 401 (RFC 6750 section 3). */
static void
write_challenge(struct buffer *out, enum status status, bool bearer)
{
	buffer_add(out, SLICE("WWW-Authenticate: Bearer realm=\"todo\""));
	if (bearer) {
		buffer_add(out,
		    SLICE(", error=\"invalid_token\", error_description=\""));
		buffer_add_text(out, status_answer(status)->detail);
		buffer_add_char(out, '"');
	}
	buffer_add(out, SLICE("\r\n"));
}

/* Write the header fields that the handler has filled in. */
static void
write_handler_fields(
    const struct response *response, bool success, struct buffer *out)
{
	if (success) {
		write_field(out, "ETag", response->etag);
		write_field(out, "Link", response->link);
		write_field(out, "Location", response->location);
		if (response->replayed)
			write_field(out, "Idempotency-Replayed", SLICE("true"));
	}
	write_field(out, "Allow", slice_of(response->allow));
	write_field(out, "Accept", slice_of(response->accept));
	write_field(out, "Accept-Patch", slice_of(response->accept_patch));
}

void
response_write(const struct response *response, enum status status,
    struct slice request_id, bool head, bool bearer, struct buffer *out)
{
	const struct status_answer *answer = status_answer(status);
	struct buffer problem = buffer_in(out->arena);
	const struct buffer *body = &response->body;
	bool success = answer->code == NULL;
	bool has_body = status != STATUS_NO_CONTENT &&
	    status != STATUS_NOT_MODIFIED;

	if (!success) {
		write_problem(response, status, request_id, &problem);
		body = &problem;
	}

	buffer_add(out, SLICE("Status: "));
	buffer_add_unsigned(out, answer->http);
	buffer_add_char(out, ' ');
	buffer_add_text(out, answer->title);
	buffer_add(out, SLICE("\r\n"));
	if (has_body) {
		write_field(out, "Content-Type",
		    success ? SLICE("application/json")
			    : SLICE("application/problem+json"));
		buffer_add(out, SLICE("Content-Length: "));
		buffer_add_unsigned(out, body->length);
		buffer_add(out, SLICE("\r\n"));
	}
	write_field(out, "Cache-Control", SLICE("no-store"));
	write_field(out, "X-Content-Type-Options", SLICE("nosniff"));
	write_field(out, "X-Request-Id", request_id);
	write_handler_fields(response, success, out);
	if (answer->http == 401)
		write_challenge(out, status, bearer);
	if (status == STATUS_UNAVAILABLE)
		write_field(out, "Retry-After", SLICE("1"));
	buffer_add(out, SLICE("\r\n"));

	if (has_body && !head)
		buffer_add(out, buffer_slice(body));
	if (body->failed)
		out->failed = true;
}
