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

/* Write the problem that tells of *status* (RFC 9457 section 3). */
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
		buffer_add(out, SLICE(",\"errors\":["));
		for (size_t i = 0; i < response->error_count; i++) {
			if (i > 0)
				buffer_add_char(out, ',');
			buffer_add(out, SLICE("{\"member\":"));
			json_write_string(
			    out, slice_of(response->errors[i].member));
			buffer_add(out, SLICE(",\"detail\":"));
			json_write_string(
			    out, slice_of(response->errors[i].detail));
			buffer_add_char(out, '}');
		}
		buffer_add_char(out, ']');
	}
	buffer_add(out, SLICE(",\"request_id\":"));
	json_write_string(out, request_id);
	buffer_add_char(out, '}');
}

/* Write the field *name*, unless it has no value. */
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

/* Write the challenge that goes with every 401 (RFC 6750 section 3). */
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

void
response_write(const struct response *response, enum status status,
    struct slice request_id, bool head, bool bearer, struct buffer *out)
{
	const struct status_answer *answer = status_answer(status);
	struct buffer problem = buffer_in(out->arena);
	const struct buffer *body = &response->body;
	bool bodyless = status == STATUS_NO_CONTENT ||
	    status == STATUS_NOT_MODIFIED;

	if (answer->code != NULL) {
		write_problem(response, status, request_id, &problem);
		body = &problem;
	}

	buffer_add(out, SLICE("Status: "));
	buffer_add_unsigned(out, answer->http);
	buffer_add_char(out, ' ');
	buffer_add_text(out, answer->title);
	buffer_add(out, SLICE("\r\n"));

	if (!bodyless) {
		write_field(out, "Content-Type",
		    answer->code != NULL ? SLICE("application/problem+json")
					 : SLICE("application/json"));
		buffer_add(out, SLICE("Content-Length: "));
		buffer_add_unsigned(out, body->length);
		buffer_add(out, SLICE("\r\n"));
	}
	buffer_add(out,
	    SLICE("Cache-Control: no-store\r\n"
		  "X-Content-Type-Options: nosniff\r\n"));
	write_field(out, "X-Request-Id", request_id);
	if (answer->code == NULL) {
		write_field(out, "ETag", response->etag);
		write_field(out, "Link", response->link);
		write_field(out, "Location", response->location);
		if (response->replayed)
			write_field(out, "Idempotency-Replayed", SLICE("true"));
	}
	write_field(out, "Allow", slice_of(response->allow));
	write_field(out, "Accept", slice_of(response->accept));
	write_field(out, "Accept-Patch", slice_of(response->accept_patch));
	if (answer->http == 401)
		write_challenge(out, status, bearer);
	if (status == STATUS_UNAVAILABLE)
		write_field(out, "Retry-After", SLICE("1"));
	buffer_add(out, SLICE("\r\n"));

	if (!head && !bodyless)
		buffer_add(out, buffer_slice(body));
	if (body->failed)
		out->failed = true;
}
