#include "server/dispatch.h"

#include <string.h>

#include "auth/auth.h"
#include "auth/tenant.h"
#include "base/log.h"
#include "base/timestamp.h"
#include "http/exchange.h"
#include "http/media_type.h"
#include "server/router.h"

/* What the log says about a request. */
struct story {
	struct match match;
	const struct current_user *user; /* NULL until verified */
	struct token_refusal refusal;
	int64_t began; /* by timestamp_monotonic() */
};

/*
 * The security argument, from top to bottom: find the route, identify the user,
 * guard the tenant that the URL names, and only then call the handler.
 */
static enum status
respond(struct exchange *x, const struct settings *settings,
    struct cache *tokens, struct db *db, struct story *story)
{
	const struct request *request = x->request;
	const struct match *match = &story->match;
	const struct tenant *tenant;
	enum status status;

	/* Route. */
	status = request_split(request->target, &x->target);
	if (status != STATUS_OK)
		return status;
	status = router_match(
	    x->arena, request->method, &x->target, &story->match);
	x->response.allow = match->allow;
	/* Accept-Patch goes with Allow: PATCH (RFC 5789 section 3.1). */
	if (match->allow != NULL && strstr(match->allow, "PATCH") != NULL)
		x->response.accept_patch = MEDIA_TYPE_ACCEPT_PATCH;
	if (status != STATUS_OK)
		return status;
	if (request->method == METHOD_OPTIONS)
		return STATUS_NO_CONTENT;
	x->id_segment = match->id;
	if (match->route->open != NULL)
		return match->route->open(x, db);

	/* Identify. */
	status = auth_identify(x->arena, &settings->policy, tokens,
	    request->authorization, x->now_us / TIMESTAMP_SECOND,
	    &story->refusal, &story->user);
	if (status != STATUS_OK)
		return status;
	if (match->route->personal != NULL)
		return match->route->personal(x, story->user);

	/* Guard. */
	status = tenant_guard(x->arena, story->user, match->user_id, &tenant);
	if (status != STATUS_OK)
		return status;

	/* Handle. */
	return match->route->guarded(x, tenant, db, &settings->policy.secrets);
}

/* Log one line, which has no token, no body and no parameter. */
static void
log_request(
    const struct exchange *x, const struct story *story, enum status status)
{
	const struct status_answer *answer = status_answer(status);
	int64_t us = timestamp_monotonic() - story->began;
	struct slice user = { NULL, 0 };

	if (story->user != NULL)
		user = story->user->claims.user_id;
	log_event(answer->http >= 500 ? LOG_LEVEL_ERROR : LOG_LEVEL_INFO,
	    "request",
	    LOG_FIELDS(log_slice("request_id", x->request->id),
		log_text("method", request_method_name(x->request->method)),
		log_text("route", story->match.pattern),
		log_number("status", answer->http), log_number("us", us),
		log_slice("user", user), log_text("code", answer->code),
		log_text("reason", story->refusal.reason),
		log_text("alg", story->refusal.alg)));
}

/* Answer for want of memory: an empty arena has room for this answer. */
static void
answer_without_memory(
    struct arena *arena, const struct request *request, struct buffer *out)
{
	struct response failure;

	arena_reset(arena);
	*out = buffer_in(arena);
	failure = response_in(arena);
	log_event(LOG_LEVEL_ERROR, "memory",
	    LOG_FIELDS(log_slice("request_id", request->id)));
	response_write(&failure, STATUS_INTERNAL, request->id,
	    request->method == METHOD_HEAD, false, out);
}

void
dispatch(const struct settings *settings, struct cache *tokens, struct db *db,
    struct arena *arena, const struct request *request, struct buffer *out)
{
	struct exchange x = {
		.arena = arena,
		.request = request,
		.now_us = timestamp_now(),
		.response = response_in(arena),
	};
	struct story story = { .began = timestamp_monotonic() };
	enum status status;

	db_allow_time(db);
	status = respond(&x, settings, tokens, db, &story);
	response_write(&x.response, status, request->id,
	    request->method == METHOD_HEAD, status != STATUS_TOKEN_MISSING,
	    out);
	if (out->failed)
		status = STATUS_INTERNAL;
	log_request(&x, &story, status);
	if (out->failed)
		answer_without_memory(arena, request, out);
}
