#ifndef LOG_H
#define LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"
#include "base/status.h"

/*
 * The log.  Each event is one line of key=value, whatever a client sent:
 *
 *   time=2026-11-23T10:30:00.123456Z level=info event=request status=200 ...
 *
 * A value is cut at 512 bytes.  It is quoted if it is empty or has a space, a
 * quote, a backslash, "=" or a byte outside visible ASCII.  Within quotes, a
 * quote is \", a backslash \\, and a byte outside printable ASCII \xNN.
 *
 * A log that is full, stuck or gone does not stop the program.  A line that
 * cannot be written within 0.1 s is lost, and later lines until one can be
 * written again; then event=log lost=N has their number.
 *
 * syslog adds the time itself.  In the journal, each line begins with its
 * priority, as "<6>".  Never log a token, a body or a parameter.
 */
enum log_level { LOG_LEVEL_INFO, LOG_LEVEL_WARNING, LOG_LEVEL_ERROR };

/*
 * Open the log: "stderr", "syslog", or the absolute path of a file, to which
 * lines are appended.  NULL: standard error or, if that is /dev/null or closed,
 * syslog; spawn-fcgi makes it /dev/null when it forks.  May be called again, to
 * open a new file after the old one was renamed.  STATUS_INVALID, with errno,
 * if *target* has another form or the file cannot be opened: the log stays as
 * it was.
 */
enum status log_open(const char *target) MUST_CHECK;

/* Write to *fd*, which the parent process has opened.  exec closes it. */
void log_inherit(int fd);

/* The descriptor of the log file, or -1 if the log is not a file. */
int log_descriptor(void);

/* Log nothing from now on. */
void log_silence(void);

/* Is standard error the log? */
bool log_is_stderr(void);

/* One key=value of a line. */
struct log_field {
	const char *key;   /* NULL at the end of a list of fields */
	struct slice text; /* the value, unless is_number */
	int64_t number;
	bool is_number;
};

/* A field with a slice or a terminated text; NULL: the field is left out. */
static inline struct log_field
log_slice(const char *key, struct slice value)
{
	return (struct log_field) { .key = key, .text = value };
}

static inline struct log_field
log_text(const char *key, const char *value)
{
	return log_slice(key, slice_of(value));
}

static inline struct log_field
log_number(const char *key, int64_t value)
{
	return (struct log_field) {
		.key = key,
		.number = value,
		.is_number = true,
	};
}

/* A list of fields, with its end. */
#define LOG_FIELDS(...)               \
	((const struct log_field[]) { \
	    __VA_ARGS__, (struct log_field) { .key = NULL } })

/*
 * Log *event*, with *fields* in their order; NULL: without fields.  Every event
 * of the program goes through this function:
 *
 *   log_event(LOG_LEVEL_INFO, "start",
 *       LOG_FIELDS(log_text("role", "worker"), log_number("pid", pid)));
 */
void log_event(
    enum log_level level, const char *event, const struct log_field *fields);

#endif
