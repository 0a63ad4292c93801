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
 * A route fills exactly one of open, personal and guarded.  The field is the
 * policy: the three types differ, so a handler that takes a tenant cannot be
 * called without one.  A handler can reach only its parameters.
 */
struct route {
	enum method method;
	const char *pattern; /* "{user_id}" and "{id}" match any segment */
	const char *answers; /* its own status codes, separated by spaces */

	enum status (*open)(struct exchange *, struct db *);
	enum status (*personal)(struct exchange *, const struct current_user *);
	enum status (*guarded)(struct exchange *, const struct tenant *,
	    struct db *, const struct secrets *);
};

/* The result of router_match(). */
struct match {
	const struct route *route; /* NULL if there is none, and of OPTIONS */
	const char *pattern;	   /* NULL if no pattern matches */
	const char *allow;	   /* the value of Allow, or NULL */
	struct slice user_id;	   /* raw segment, or data NULL */
	struct slice id;	   /* raw segment, or data NULL */
};

/*
 * Find the route of *method* and *target*.  Literal segments are compared as
 * they were sent, undecoded.  STATUS_NOT_FOUND if no pattern matches;
 * STATUS_METHOD_NOT_ALLOWED, with match->allow set, if a pattern matches but
 * has no such method; STATUS_INTERNAL if there is no memory.
 */
enum status router_match(struct arena *arena, enum method method,
    const struct target *target, struct match *match) MUST_CHECK;

/*
 * Print the table of routes, one on a line, with tabs between its fields:
 * method, pattern, access (open, user, tenant) and possible status codes.
 */
void router_print(FILE *out);

#endif
