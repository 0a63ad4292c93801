#ifndef TASK_H
#define TASK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/slice.h"
#include "base/uuid.h"

/* Code points. */
#define TASK_TITLE_MAX 200
#define TASK_DESCRIPTION_MAX 1000

/* The longest title, in bytes. */
#define TASK_TITLE_BYTES ((size_t)TASK_TITLE_MAX * 4)

/* What a client may say of a task. */
struct task_content {
	struct slice title;	  /* UTF-8, 1 to TASK_TITLE_MAX code points */
	struct slice description; /* likewise; data NULL: none */
	bool completed;
};

/* A tenant's task. */
struct task {
	struct uuid id;
	struct task_content content;
	uint32_t revision;  /* from 1, one more with every change */
	int64_t created_at; /* microseconds since 1970 */
	int64_t updated_at;
};

/* Which members of a task's content a client sent, and what it sent. */
struct task_change {
	bool has_title, has_description, has_completed;
	bool toggles; /* completed becomes what it was not */
	struct task_content content;
};

/* The content that *change* makes of *content*. */
struct task_content task_changed(
    const struct task_change *change, struct task_content content);

/* Append the path of the tasks of *user_id*, "/api/USER_ID/tasks". */
void task_write_path(struct buffer *out, struct slice user_id);

/* Are *a* and *b* the same, byte for byte? */
bool task_content_equal(
    const struct task_content *a, const struct task_content *b);

/* The bytes that task_tag() writes at most: quotes and ten digits. */
#define TASK_TAG_MAX 12

/*
 * Write the entity tag of *task* (RFC 9110 section 8.8.3), with its quotes,
 * and return it as a slice of *out*.  It is strong, and made from the
 * revision, so that it changes with every change whatever the clocks do.
 */
struct slice task_tag(const struct task *task, char out[TASK_TAG_MAX]);

/*
 * Read the revision that the entity tag *tag* stands for.  Returns false if
 * task_tag() writes no such tag.
 */
bool task_tag_read(struct slice tag, uint32_t *revision);

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

#define TASK_LIMIT_MAX 500

struct task_query {
	enum task_filter filter;
	enum task_sort sort;
	bool descending;
	unsigned limit; /* 1 to TASK_LIMIT_MAX tasks */

	/* The list begins behind this place, if there is one. */
	bool has_after;
	struct {
		struct uuid id;
		int64_t updated_at; /* for TASK_SORT_UPDATED */
		struct slice title; /* for TASK_SORT_TITLE */
	} after;
};

/* The words for them in a query and in a cursor, ended by NULL. */
extern const char *const task_filter_names[TASK_FILTER_COUNT + 1];
extern const char *const task_sort_names[TASK_SORT_COUNT + 1];
extern const char *const task_order_names[3]; /* by *descending* */

/* A set of revisions that a client names. */
struct task_revisions {
	bool given;		 /* false: the client named no set at all */
	bool all;		 /* the set of all revisions, or else: */
	const uint32_t *numbers; /* the revisions, *count* of them */
	size_t count;
};

bool task_revisions_include(
    const struct task_revisions *revisions, uint32_t revision);

/*
 * What the revision of a task must be for a request to be carried out: one of
 * *match*, if that is given, and none of *none_match*, if that is given.
 */
struct task_conditions {
	struct task_revisions match;
	struct task_revisions none_match;
};

bool task_conditions_hold(
    const struct task_conditions *conditions, uint32_t revision);

#endif
