#include "server/router.h"

#include <string.h>

#include "base/array.h"
#include "base/buffer.h"
#include "server/health.h"
#include "server/identity.h"
#include "task/tasks.h"

static const struct route routes[] = {
	{ METHOD_GET, "/healthz", "200", .open = health_live },
	{ METHOD_GET, "/readyz", "200 503", .open = health_ready },
	{ METHOD_GET, "/api/me", "200", .personal = identity_read },
	{ METHOD_GET, "/api/{user_id}/tasks", "200 422 503",
	    .guarded = tasks_list },
	{ METHOD_POST, "/api/{user_id}/tasks", "201 413 415 422 503",
	    .guarded = tasks_create },
	{ METHOD_GET, "/api/{user_id}/tasks/{id}", "200 304 404 503",
	    .guarded = tasks_read },
	{ METHOD_PUT, "/api/{user_id}/tasks/{id}",
	    "200 404 412 413 415 422 503", .guarded = tasks_update },
	{ METHOD_PATCH, "/api/{user_id}/tasks/{id}",
	    "200 404 412 413 415 422 503", .guarded = tasks_update },
	{ METHOD_DELETE, "/api/{user_id}/tasks/{id}", "204 404 412 503",
	    .guarded = tasks_delete },
	{ METHOD_PATCH, "/api/{user_id}/tasks/{id}/complete",
	    "200 404 412 413 415 422 503", .guarded = tasks_complete },
};

/* True if *target* matches *pattern*; sets user_id and id of *match*. */
static bool
fits(const char *pattern, const struct target *target, struct match *match)
{
	match->user_id = match->id = (struct slice) { NULL, 0 };
	for (size_t i = 0; i < target->segment_count; i++) {
		struct slice segment = target->segments[i];
		struct slice wanted;

		if (*pattern++ != '/')
			return false;
		wanted = (struct slice) { pattern, strcspn(pattern, "/") };
		pattern += wanted.length;
		if (slice_equal(wanted, SLICE("{user_id}")))
			match->user_id = segment;
		else if (slice_equal(wanted, SLICE("{id}")))
			match->id = segment;
		else if (!slice_equal(wanted, segment))
			return false;
	}
	return *pattern == '\0';
}

/* The methods of *pattern*, as the value of Allow; NULL without memory. */
static const char *
allowed(struct arena *arena, const char *pattern)
{
	struct buffer list = buffer_in(arena);

	for (size_t i = 0; i < ARRAY_COUNT(routes); i++) {
		if (strcmp(routes[i].pattern, pattern) != 0)
			continue;
		buffer_add_text(&list, request_method_name(routes[i].method));
		buffer_add(&list, SLICE(", "));
		if (routes[i].method == METHOD_GET)
			buffer_add(&list, SLICE("HEAD, "));
	}
	buffer_add(&list, SLICE("OPTIONS"));
	buffer_add_char(&list, '\0');
	return list.failed ? NULL : list.data;
}

enum status
router_match(struct arena *arena, enum method method,
    const struct target *target, struct match *match)
{
	*match = (struct match) { .route = NULL };
	if (method == METHOD_HEAD)
		method = METHOD_GET; /* HEAD exists wherever GET does */

	for (size_t i = 0; i < ARRAY_COUNT(routes); i++) {
		struct match fit;

		if (!fits(routes[i].pattern, target, &fit))
			continue;
		match->pattern = routes[i].pattern;
		match->user_id = fit.user_id;
		match->id = fit.id;
		if (routes[i].method == method) {
			match->route = &routes[i];
			return STATUS_OK;
		}
	}
	if (match->pattern == NULL)
		return STATUS_NOT_FOUND;
	if ((match->allow = allowed(arena, match->pattern)) == NULL)
		return STATUS_INTERNAL;
	return method == METHOD_OPTIONS ? STATUS_OK : STATUS_METHOD_NOT_ALLOWED;
}

/* True if the list *codes* contains *code*. */
static bool
lists(const char *codes, const char *code)
{
	return strstr(codes, code) != NULL; /* all have three digits */
}

void
router_print(FILE *out)
{
	static const char *const codes[] = { "200", "201", "204", "304", "400",
		"401", "403", "404", "412", "413", "415", "422", "500", "503" };

	for (size_t i = 0; i < ARRAY_COUNT(routes); i++) {
		const struct route *route = &routes[i];
		const char *access = route->open != NULL ? "open"
		    : route->personal != NULL		 ? "user"
							 : "tenant";
		/* The status codes of all routes with this access. */
		const char *common = route->open != NULL ? "400 500"
		    : route->personal != NULL		 ? "400 401 500"
							 : "400 401 403 500";
		const char *separator = "\t";

		(void)fprintf(out, "%s\t%s\t%s",
		    request_method_name(route->method), route->pattern, access);
		for (size_t c = 0; c < ARRAY_COUNT(codes); c++) {
			if (!lists(route->answers, codes[c]) &&
			    !lists(common, codes[c]))
				continue;
			(void)fprintf(out, "%s%s", separator, codes[c]);
			separator = " ";
		}
		(void)fprintf(out, "\n");
	}
}
