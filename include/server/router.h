#ifndef ROUTER_H
#define ROUTER_H

#include <stdio.h>

#include "auth/auth.h"
#include "auth/secrets.h"
#include "auth/tenant.h"
#include "base/slice.h"
#include "base/status.h"
#include "db/db.h"
#include "http/exchange.h"
#include "http/request.h"

/*
 * The one table of routes.  A route fills exactly one of open, personal and
 * guarded; their types differ, so the field is the policy: a handler that
 * wants a tenant cannot be reached without one, and what is not a parameter of
 * a handler it cannot reach.
 */
struct route {
	enum method method;
	const char *pattern; /* "{user_id}" and "{id}" match any segment */
	const char *answers; /* the status codes of its own, space between */

	enum status (*open)(struct exchange *, struct db *);
	enum status (*personal)(struct exchange *, const struct current_user *);
	enum status (*guarded)(struct exchange *, const struct tenant *,
	    struct db *, const struct secrets *);
};

/* What a target matched. */
struct match {
	const struct route *route; /* NULL if none, or OPTIONS */
	const char *pattern;	   /* or NULL, if nothing matched */
	const char *allow;	   /* the methods it has, for Allow */
	struct slice user_id;	   /* raw segment, or data NULL */
	struct slice id;	   /* raw segment, or data NULL */
};

/*
 * Find the route of *method* and *target*; literal segments are matched as
 * sent, undecoded.  STATUS_NOT_FOUND if no pattern matches,
 * STATUS_METHOD_NOT_ALLOWED if one does but not with this method (then *match*
 * tells Allow), STATUS_INTERNAL if there is no memory.
 */
enum status router_match(struct arena *arena, enum method method,
    const struct target *target, struct match *match) MUST_CHECK;

/*
 * Print the table: method, pattern, who may come (open, user, tenant) and the
 * status codes that the program may answer, with tabs between.
 */
void router_print(FILE *out);

#endif
