/*
 * Goal: the table of routes is sound: each route has one kind of handler, and
 * a target finds its route, its method, or what Allow would say.
 */

#include "server/router.h"

#include <stdlib.h>

#include "full.h"
#include "tap.h"

static struct arena *arena;

static const struct {
	enum method method;
	const char *target;
	enum status status;
	const char *pattern, *allow, *user_id, *id;
} table[] = {
	{ METHOD_GET, "/healthz", STATUS_OK, "/healthz", NULL, NULL, NULL },
	{ METHOD_HEAD, "/readyz", STATUS_OK, "/readyz", NULL, NULL, NULL },
	{ METHOD_GET, "/api/me", STATUS_OK, "/api/me", NULL, NULL, NULL },
	{ METHOD_POST, "/api/me", STATUS_METHOD_NOT_ALLOWED, "/api/me",
	    "GET, HEAD, OPTIONS", NULL, NULL },
	{ METHOD_OPTIONS, "/api/a/tasks", STATUS_OK, "/api/{user_id}/tasks",
	    "GET, HEAD, POST, OPTIONS", "a", NULL },
	{ METHOD_POST, "/api/a/tasks", STATUS_OK, "/api/{user_id}/tasks", NULL,
	    "a", NULL },
	{ METHOD_DELETE, "/api/a%41/tasks/x", STATUS_OK,
	    "/api/{user_id}/tasks/{id}", NULL, "a%41", "x" },
	{ METHOD_OTHER, "/api/a/tasks/x", STATUS_METHOD_NOT_ALLOWED,
	    "/api/{user_id}/tasks/{id}",
	    "GET, HEAD, PUT, PATCH, DELETE, OPTIONS", "a", "x" },
	{ METHOD_PATCH, "/api/a/tasks/x/complete", STATUS_OK,
	    "/api/{user_id}/tasks/{id}/complete", NULL, "a", "x" },
	{ METHOD_GET, "/api/a/tasks/x/complete", STATUS_METHOD_NOT_ALLOWED,
	    "/api/{user_id}/tasks/{id}/complete", "PATCH, OPTIONS", "a", "x" },
	{ METHOD_GET, "/api", STATUS_NOT_FOUND, NULL, NULL, NULL, NULL },
	{ METHOD_GET, "/api/a", STATUS_NOT_FOUND, NULL, NULL, NULL, NULL },
	{ METHOD_GET, "/api/a/task", STATUS_NOT_FOUND, NULL, NULL, NULL, NULL },
	{ METHOD_GET, "/api/a/t%61sks", STATUS_NOT_FOUND, NULL, NULL, NULL,
	    NULL },
	{ METHOD_GET, "/API/a/tasks", STATUS_NOT_FOUND, NULL, NULL, NULL,
	    NULL },
	{ METHOD_GET, "/api/a/tasks/x/complete/y", STATUS_NOT_FOUND, NULL, NULL,
	    NULL, NULL },
	{ METHOD_OPTIONS, "/nothing", STATUS_NOT_FOUND, NULL, NULL, NULL,
	    NULL },
};

/* Is *text* *wanted*, where NULL is nothing at all? */
static bool
is(struct slice text, const char *wanted)
{
	if (wanted == NULL)
		return text.data == NULL;
	return slice_equal(text, slice_of(wanted));
}

static void
test_match(void)
{
	for (size_t i = 0; i < ARRAY_COUNT(table); i++) {
		struct target target;
		struct match match;
		enum status status;

		if (request_split(slice_of(table[i].target), &target) !=
		    STATUS_OK)
			abort();
		status = router_match(arena, table[i].method, &target, &match);
		ok(status == table[i].status &&
			is(slice_of(match.pattern), table[i].pattern) &&
			is(slice_of(match.allow), table[i].allow) &&
			(match.pattern == NULL ||
			    (is(match.user_id, table[i].user_id) &&
				is(match.id, table[i].id))),
		    "%s %s", request_method_name(table[i].method),
		    table[i].target);
		if (status == STATUS_OK && match.route != NULL)
			ok((match.route->open != NULL) +
				    (match.route->personal != NULL) +
				    (match.route->guarded != NULL) ==
				1,
			    "it has one kind of handler");
		if (status == STATUS_OK && match.user_id.data != NULL &&
		    match.route != NULL)
			ok(match.route->guarded != NULL,
			    "a path that names a tenant is guarded");
	}
}

static void
test_memory(void)
{
	struct arena *full = full_arena(0);
	struct target target;
	struct match match;

	if (request_split(SLICE("/api/me"), &target) != STATUS_OK)
		abort();
	ok(router_match(full, METHOD_GET, &target, &match) == STATUS_OK,
	    "a route needs no memory");
	ok(router_match(full, METHOD_POST, &target, &match) == STATUS_INTERNAL,
	    "Allow does, and without is not half written");
	arena_free(full);
}

int
main(void)
{
	if ((arena = arena_new(100000)) == NULL)
		return 1;
	test_match();
	test_memory();
	arena_free(arena);
	return tap_done();
}
