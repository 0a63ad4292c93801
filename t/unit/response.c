/*
 * Goal: each status is answered as in the contract: header fields, problem,
 * challenge.  A refusal has no fields of a success.
 */

#include "http/response.h"

#include "tap.h"

static struct arena *arena;

#define COMMON                                \
	"Cache-Control: no-store\r\n"         \
	"X-Content-Type-Options: nosniff\r\n" \
	"X-Request-Id: r1\r\n"

/* Check that the answer is *wanted*. */
static void
check_answer(const struct response *response, enum status status, bool head,
    bool bearer, const char *wanted, const char *name)
{
	struct buffer out = buffer_in(arena);

	response_write(response, status, SLICE("r1"), head, bearer, &out);
	if (!ok(slice_equal(buffer_slice(&out), slice_of(wanted)), "%s", name))
		fprintf(stderr, "got:\n%.*s\nwanted:\n%s\n", (int)out.length,
		    out.data, wanted);
}

static void
test_successes(void)
{
	struct response response = response_in(arena);

	buffer_add(&response.body, SLICE("{}"));
	response.etag = SLICE("\"1\"");
	response.location = SLICE("/x");
	response.link = SLICE("</y>; rel=\"next\"");
	response.replayed = true;
	check_answer(&response, STATUS_CREATED, false, true,
	    "Status: 201 Created\r\nContent-Type: application/json\r\n"
	    "Content-Length: 2\r\n" COMMON "ETag: \"1\"\r\n"
	    "Link: </y>; rel=\"next\"\r\nLocation: /x\r\n"
	    "Idempotency-Replayed: true\r\n\r\n{}",
	    "a success has all of its fields");
	check_answer(&response, STATUS_NOT_FOUND, false, true,
	    "Status: 404 Not Found\r\n"
	    "Content-Type: application/problem+json\r\n"
	    "Content-Length: 125\r\n" COMMON "\r\n"
	    "{\"type\":\"about:blank\",\"title\":\"Not Found\",\"status\":404,"
	    "\"code\":\"not_found\",\"detail\":\"There is nothing here\","
	    "\"request_id\":\"r1\"}",
	    "a refusal has no field of a success");

	response = response_in(arena);
	buffer_add(&response.body, SLICE("[1,2]"));
	check_answer(&response, STATUS_OK, true, true,
	    "Status: 200 OK\r\nContent-Type: application/json\r\n"
	    "Content-Length: 5\r\n" COMMON "\r\n",
	    "the answer to HEAD has the length of the body, but no body");
	response.etag = SLICE("\"1\"");
	check_answer(&response, STATUS_NOT_MODIFIED, false, true,
	    "Status: 304 Not Modified\r\n" COMMON "ETag: \"1\"\r\n\r\n",
	    "304 has neither body nor length");
	response = response_in(arena);
	response.allow = "GET, HEAD, OPTIONS";
	check_answer(&response, STATUS_NO_CONTENT, false, true,
	    "Status: 204 No Content\r\n" COMMON
	    "Allow: GET, HEAD, OPTIONS\r\n\r\n",
	    "204 has neither body nor length");
}

static void
test_refusals(void)
{
	struct response response = response_in(arena);

	check_answer(&response, STATUS_TOKEN_MISSING, true, false,
	    "Status: 401 Unauthorized\r\n"
	    "Content-Type: application/problem+json\r\n"
	    "Content-Length: 158\r\n" COMMON
	    "WWW-Authenticate: Bearer realm=\"todo\"\r\n\r\n",
	    "without a token the challenge has no error");
	check_answer(&response, STATUS_TOKEN_EXPIRED, true, true,
	    "Status: 401 Unauthorized\r\n"
	    "Content-Type: application/problem+json\r\n"
	    "Content-Length: 128\r\n" COMMON
	    "WWW-Authenticate: Bearer realm=\"todo\", "
	    "error=\"invalid_token\", "
	    "error_description=\"Token has expired\"\r\n\r\n",
	    "with a token the challenge names the error");
	check_answer(&response, STATUS_UNAVAILABLE, true, false,
	    "Status: 503 Service Unavailable\r\n"
	    "Content-Type: application/problem+json\r\n"
	    "Content-Length: 156\r\n" COMMON "Retry-After: 1\r\n\r\n",
	    "503 has Retry-After");

	response.allow = "PATCH, OPTIONS";
	response.accept = "a/b";
	response.accept_patch = "c/d";
	check_answer(&response, STATUS_UNSUPPORTED_MEDIA_TYPE, true, false,
	    "Status: 415 Unsupported Media Type\r\n"
	    "Content-Type: application/problem+json\r\n"
	    "Content-Length: 211\r\n" COMMON "Allow: PATCH, OPTIONS\r\n"
	    "Accept: a/b\r\nAccept-Patch: c/d\r\n\r\n",
	    "a refusal has Allow, Accept and Accept-Patch");
	response = response_in(arena);

	ok(response_invalid(&response, "title", "is \"required\"") ==
		    STATUS_INVALID &&
		response_invalid(&response, "limit", "no") == STATUS_INVALID,
	    "response_invalid() returns STATUS_INVALID");
	response.detail = "Two";
	check_answer(&response, STATUS_INVALID, false, false,
	    "Status: 422 Unprocessable Content\r\n"
	    "Content-Type: application/problem+json\r\n"
	    "Content-Length: 207\r\n" COMMON "\r\n"
	    "{\"type\":\"about:blank\",\"title\":\"Unprocessable Content\","
	    "\"status\":422,\"code\":\"invalid\",\"detail\":\"Two\","
	    "\"errors\":[{\"member\":\"title\","
	    "\"detail\":\"is \\\"required\\\"\"},"
	    "{\"member\":\"limit\",\"detail\":\"no\"}],"
	    "\"request_id\":\"r1\"}",
	    "422 lists the refused members");
	for (unsigned i = 0; i < 20; i++)
		(void)response_invalid(&response, "x", "y");
	ok(response.error_count == RESPONSE_ERRORS_MAX,
	    "errors after RESPONSE_ERRORS_MAX are dropped");
}

static void
test_memory(void)
{
	struct arena *small = arena_new(50000);
	struct response response;
	struct buffer out = buffer_in(arena);

	if (!ok(small != NULL, "a small arena is made"))
		return;
	response = response_in(small);
	while (!response.body.failed)
		buffer_add(&response.body, SLICE("0123456789"));
	response_write(&response, STATUS_OK, SLICE("r1"), false, false, &out);
	ok(out.failed, "a truncated body makes the answer fail");
	arena_free(small);
}

int
main(void)
{
	if ((arena = arena_new(200000)) == NULL)
		return 1;
	test_successes();
	test_refusals();
	test_memory();
	for (enum status s = STATUS_OK; s < STATUS_COUNT; s++)
		ok((status_answer(s)->http >= 400) ==
			(status_answer(s)->code != NULL),
		    "status %u has a code if its HTTP status is 400 or more",
		    (unsigned)s);
	arena_free(arena);
	return tap_done();
}
