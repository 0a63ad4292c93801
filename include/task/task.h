#ifndef TASK_H
#define TASK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/slice.h"
#include "base/uuid.h"

/* The longest title and description, in code points. */
#define TASK_TITLE_MAX 200
#define TASK_DESCRIPTION_MAX 1000

/* The longest title, in bytes. */
#define TASK_TITLE_BYTES ((size_t)TASK_TITLE_MAX * 4)

/* The part of a task that a client writes. */
struct task_content {
	struct slice title;	  /* UTF-8, 1 to TASK_TITLE_MAX code points */
	struct slice description; /* likewise, or data NULL for null */
	bool completed;
};

/* A tenant's task. */
struct task {
	struct uuid id;
	struct task_content content;
	uint32_t revision;  /* 1 at first, one more with each change */
	int64_t created_at; /* microseconds since 1970 */
	int64_t updated_at;
};

/* The members of a content that a client sent, and their values. */
struct task_change {
	bool has_title, has_description, has_completed;
	bool toggles; /* completed becomes its opposite */
	struct task_content content;
};

/* Return *content* with *change* made. */
struct task_content task_changed(
    const struct task_change *change, struct task_content content);

/* Append the path of the tasks of *user_id*, "/api/USER_ID/tasks". */
void task_write_path(struct buffer *out, struct slice user_id);

/* True if *a* and *b* are the same, byte for byte. */
bool task_content_equal(
    const struct task_content *a, const struct task_content *b);

/* The most bytes that task_tag() writes: two quotes and ten digits. */
#define TASK_TAG_MAX 12

/*
 * Write the entity tag of *task* (RFC 9110 section 8.8.3), with its quotes, and
 * return it as a slice of *out*.  The tag is strong, and is the revision: each
 * change makes a new tag, whatever the clocks say.
 */
struct slice task_tag(const struct task *task, char out[TASK_TAG_MAX]);

/*
 * Read the *revision* of *tag*, an entity tag with its quotes.  Returns false
 * if task_tag() never writes such a tag.
 */
bool task_tag_read(struct slice tag, uint32_t *revision);

/* A list of tasks: which ones, in which order, and from which place on. */
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

	/* Where the list begins; without this place, at its first task. */
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

/* The revisions that a client names in If-Match or If-None-Match. */
struct task_revisions {
	bool given;		 /* false: the client sent no such field */
	bool all;		 /* "*": every revision */
	const uint32_t *numbers; /* the revisions, *count* of them */
	size_t count;
};

bool task_revisions_include(
    const struct task_revisions *revisions, uint32_t revision);

/*
 * The conditions of a request (RFC 9110 section 13.1).  They hold for a
 * revision that is in *match*, if that is given, and not in *none_match*.
 */
struct task_conditions {
	struct task_revisions match;
	struct task_revisions none_match;
};

bool task_conditions_hold(
    const struct task_conditions *conditions, uint32_t revision);

#endif
