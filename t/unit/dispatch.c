/*
 * Goal: whichever allocation finds the request's arena full, the answer is 500,
 * and the right one as soon as there is room: never no answer, never an answer
 * that is cut short, never a success where there is none.  The log has the
 * status that the client gets.
 */
#include "../fuzz/fuzz.h"

#include <unistd.h>

#include "auth/auth.h"
#include "auth/secrets.h"
#include "auth/tenant.h"
#include "full.h"
#include "tap.h"
#include "task/task_cursor.h"
#include "task/task_json.h"
#include "task/task_query.h"

static const struct slice path = SLICE("/api/" FUZZ_USER "/tasks");

/* A cursor for *sort*, as the end of a query. */
static enum status
make_link(struct arena *arena, enum task_sort sort, struct slice *link)
{
	static const struct current_user user = {
		.claims = { .user_id = SLICE(FUZZ_USER) },
	};
	static const struct task last = {
		.content = { .title = SLICE("the last one") },
	};
	const struct task_query query = { .sort = sort, .limit = 1 };
	struct slice cursor;
	const struct tenant *tenant;
	enum status status;

	status = tenant_guard(arena, &user, SLICE(FUZZ_USER), &tenant);
	if (status == STATUS_OK)
		status = task_cursor_seal(arena, &fuzz_settings.policy.secrets,
		    tenant, &query, &last, &cursor);
	if (status == STATUS_OK)
		status = task_query_link(arena, SLICE(FUZZ_USER),
		    SLICE("limit=1&after=x&%zz&a"), cursor, link);
	return status;
}

/* A target with *parameters* and the cursor that goes with *sort*. */
static struct slice
target_after(struct arena *arena, const char *parameters, enum task_sort sort)
{
	struct buffer target = buffer_in(arena);
	struct slice link;
	const char *after;

	never(make_link(arena, sort, &link) != STATUS_OK);
	after = memmem(link.data, link.length, "&after=", 7);
	never(after == NULL);
	buffer_add(&target, path);
	buffer_add_text(&target, parameters);
	buffer_add(&target, (struct slice) { after, strcspn(after, ">") });
	return buffer_slice(&target);
}

/* The status of *out*, or 0 if there is no answer. */
static unsigned
status_of(const struct buffer *out)
{
	if (out->failed || out->length < 12)
		return 0;
	never(memmem(out->data, out->length, "\r\n\r\n", 4) == NULL);
	return (unsigned)strtoul(
	    arena_copy(fuzz_arena(), (struct slice) { out->data + 8, 3 }), NULL,
	    10);
}

/* Where the log goes. */
static int log_file;

/* The status that the one line of the log tells, which is then cleared. */
static unsigned
logged(void)
{
	char line[1024];
	ssize_t length = pread(log_file, line, sizeof(line) - 1, 0);
	const char *at;

	if (length <= 0 || ftruncate(log_file, 0) != 0)
		return 0;
	line[length] = '\0';
	at = strstr(line, "event=request ");
	if (at == NULL || (at = strstr(at, " status=")) == NULL)
		return 0;
	return (unsigned)strtoul(at + 8, NULL, 10);
}

/* Answer *request* with ever more room, until it is answered with *status*. */
static void
answer(struct request request, unsigned status)
{
	static const struct slice id = SLICE("an id");
	unsigned left = 0, seen, wrong = 0, failures = 0;

	request.id = id;
	do {
		struct arena *full = full_arena(left++);
		struct buffer out = buffer_in(full);

		dispatch(&fuzz_settings, NULL, fuzz_db(), full, &request, &out);
		seen = status_of(&out);
		failures += seen == 500;
		wrong += (seen != 500 && seen != status) || logged() != seen;
		arena_free(full);
	} while (seen != status && wrong == 0 && left < 2000);
	ok(seen == status && wrong == 0 && failures > 0,
	    "%s %.*s: %u, and nothing but 500 for want of %u times 16 bytes",
	    request_method_name(request.method), (int)request.target.length,
	    request.target.data, seen, left - 1);
}

static void
test_answers(void)
{
	static const char task[] =
	    "/api/" FUZZ_USER "/tasks/019ab2f4-6c1e-7d3a-9f42-0b6f6e0c9a11";
	static const struct {
		enum method method;
		const char *target, *body;
		unsigned status;
	} table[] = {
		{ METHOD_GET, "/healthz", NULL, 200 },
		{ METHOD_GET, "/readyz", NULL, 503 },
		{ METHOD_GET, "/api/me", NULL, 200 },
		{ METHOD_POST, "/api/me", NULL, 405 },
		{ METHOD_OPTIONS, "/api/me", NULL, 204 },
		{ METHOD_GET, "/nothing", NULL, 404 },
		{ METHOD_GET, "/api/bob/tasks", NULL, 403 },
		{ METHOD_GET, "/api/" FUZZ_USER "/tasks?limit=0", NULL, 422 },
		{ METHOD_GET,
		    "/api/" FUZZ_USER "/tasks?a=b&%zz&limit=%31&order=%zz&"
		    "order=asc",
		    NULL, 422 },
		{ METHOD_GET, "/api/" FUZZ_USER "/tasks?sort=title", NULL,
		    503 },
		{ METHOD_POST, "/api/" FUZZ_USER "/tasks", "{\"title\":\"t\"}",
		    503 },
		{ METHOD_POST, "/api/" FUZZ_USER "/tasks", "{\"title\":1}",
		    422 },
		{ METHOD_POST, "/api/" FUZZ_USER "/tasks", "{", 400 },
		{ METHOD_GET, task, NULL, 503 },
		{ METHOD_PUT, task, "{\"title\":\"\\ud83d\\ude00\"}", 503 },
		{ METHOD_PATCH, task, "{\"description\":null}", 503 },
		{ METHOD_DELETE, task, NULL, 503 },
	};

	for (size_t i = 0; i < ARRAY_COUNT(table); i++)
		answer(
		    (struct request) {
			.method = table[i].method,
			.target = slice_of(table[i].target),
			.body = slice_of(table[i].body),
			.content_type = SLICE("application/json"),
			.authorization = slice_of(fuzz_authorization()),
		    },
		    table[i].status);
	answer((struct request) { .method = METHOD_GET, .target = path }, 401);
	/* {"alg":"none"}.{}, whose alg is copied for the log. */
	answer(
	    (struct request) {
		.method = METHOD_GET,
		.target = path,
		.authorization = SLICE("Bearer eyJhbGciOiJub25lIn0.e30.AAAA"),
	    },
	    401);
}

static void
test_cursors(void)
{
	static const struct slice context = SLICE(
	    "all created desc " FUZZ_USER);
	struct arena *arena = fuzz_arena();
	struct request request = {
		.method = METHOD_GET,
		.authorization = slice_of(fuzz_authorization()),
	};
	struct slice box, link;
	struct buffer target = buffer_in(arena);
	enum status status;
	unsigned left = 0;
	bool whole;

	request.target = target_after(
	    arena, "?sort=updated&order=asc", TASK_SORT_UPDATED);
	answer(request, 503);
	request.target = target_after(arena, "?sort=title", TASK_SORT_TITLE);
	answer(request, 503);
	request.target = target_after(arena, "?sort=title", TASK_SORT_CREATED);
	answer(request, 422);

	/* It opens, but holds no place. */
	if (secrets_seal(arena, &fuzz_settings.policy.secrets, context,
		SLICE("short"), &box) != STATUS_OK)
		return;
	buffer_add(&target, path);
	buffer_add(&target, SLICE("?after="));
	buffer_add(&target, box);
	request.target = buffer_slice(&target);
	answer(request, 422);

	do {
		struct arena *full = full_arena(left++);

		status = make_link(full, TASK_SORT_TITLE, &link);
		whole = status == STATUS_OK &&
		    memmem(link.data, link.length, ">; rel=\"next\"", 13) !=
			NULL;
		arena_free(full);
	} while (status == STATUS_INTERNAL && left < 2000);
	ok(status == STATUS_OK && whole && left > 10,
	    "a Link, and nothing but failure for want of %u times 16 bytes",
	    left - 1);
}

static void
test_tasks(void)
{
	static const struct task task = {
		.content = { .title = SLICE("Buy milk") },
	};
	struct buffer whole = buffer_in(fuzz_arena());
	unsigned left = 0, cut = 0;
	bool failed;

	task_json_write(&whole, SLICE(FUZZ_USER), &task);
	do {
		struct arena *full = full_arena(left++);
		struct buffer out = buffer_in(full);
		char filler[920];

		/* So that it is in the middle that there is no room. */
		memset(filler, 'x', sizeof(filler));
		buffer_add(&out, (struct slice) { filler, sizeof(filler) });
		task_json_write(&out, SLICE(FUZZ_USER), &task);
		failed = out.failed;
		cut += !failed && out.length != sizeof(filler) + whole.length;
		arena_free(full);
	} while (failed && left < 2000);
	ok(!failed && cut == 0 && left > 10,
	    "a task is written whole, or the buffer has failed");
}

int
main(void)
{
	char log[] = "/tmp/todo-dispatch-XXXXXX";

	(void)fuzz_db(); /* which sends the log to nowhere */
	never((log_file = mkstemp(log)) < 0);
	never(log_open(log) != STATUS_OK);
	(void)unlink(log);
	test_answers();
	test_cursors();
	test_tasks();
	return tap_done();
}
