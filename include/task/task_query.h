#ifndef TASK_QUERY_H
#define TASK_QUERY_H

#include <stdbool.h>
#include <stdint.h>

#include "auth/tenant.h"
#include "base/status.h"
#include "http/exchange.h"
#include "task/task.h"

/* Which of a tenant's tasks are wanted, in which order, and from where on. */

enum task_filter {
	TASK_FILTER_ALL,
	TASK_FILTER_PENDING,
	TASK_FILTER_COMPLETED,
	TASK_FILTER_COUNT
};

enum task_sort {
	TASK_SORT_CREATED,
	TASK_SORT_UPDATED,
	TASK_SORT_TITLE,
	TASK_SORT_COUNT
};

#define TASK_QUERY_LIMIT_MAX 500

struct task_query {
	enum task_filter filter;
	enum task_sort sort;
	bool descending;
	unsigned limit; /* 1 to TASK_QUERY_LIMIT_MAX tasks */

	/* The page begins behind this place, if there is one. */
	bool has_after;
	struct {
		struct uuid id;
		int64_t updated_at; /* for TASK_SORT_UPDATED */
		struct slice title; /* for TASK_SORT_TITLE */
	} after;
};

/*
 * Read the parameters of the exchange's request.  STATUS_INVALID, with the
 * response's errors naming them, if one of ours is there twice or is wrong;
 * others are ignored.
 */
enum status task_query_read(struct exchange *x, const struct tenant *tenant,
    struct task_query *query) MUST_CHECK;

/*
 * Set the response's Link to the page behind *last*, the last task of this
 * one (RFC 8288).  The cursor is sealed: it tells nobody a title, and opens
 * only for this tenant, filter, sort and order.
 */
enum status task_query_link(struct exchange *x, const struct tenant *tenant,
    const struct task_query *query, const struct task *last) MUST_CHECK;

#endif
