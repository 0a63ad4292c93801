#ifndef LOG_H
#define LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"
#include "base/status.h"

/*
 * One line per event, key=value, in the order given:
 *
 *   time=2026-11-23T10:30:00.123456Z level=info event=request status=200 ...
 *
 * (To syslog without the time, which it adds.)  A value is cut at 512 bytes;
 * one with anything but plain visible ASCII in it is quoted, control bytes and
 * bytes past ASCII are escaped as \xNN, so that one event is one line whatever
 * a client sent.  A line that is not taken within a tenth of a second is lost,
 * and so is what follows until lines are taken again; event=log lost=N then
 * tells how many.  No log, whatever is wrong with it, stops the program.
 * Where standard error is the journal, each line begins with its priority,
 * "<6>".  Nobody logs a token, a body or a parameter.
 */
enum log_level { LOG_LEVEL_INFO, LOG_LEVEL_WARNING, LOG_LEVEL_ERROR };

/*
 * Choose where lines go: "stderr", "syslog", or the absolute path of a file,
 * which is appended to.  NULL: standard error, unless that is /dev/null, as
 * spawn-fcgi leaves it when it forks; then syslog.  STATUS_INVALID if *target*
 * is none of these or the file cannot be opened (errno says why).  May be
 * called again, to open the file anew after it was moved away.
 */
enum status log_open(const char *target) MUST_CHECK;

/*
 * Write to *fd*, a log that the parent process has opened; it is closed when
 * this program becomes another.
 */
void log_inherit(int fd);

/* The descriptor of a log file that log_open() has opened, or -1. */
int log_descriptor(void);

/* Write nothing from now on. */
void log_silence(void);

/* Do lines go to standard error? */
bool log_is_stderr(void);

/* One key=value of a line. */
struct log_field {
	const char *key;   /* NULL ends a list of fields */
	struct slice text; /* the value, unless is_number */
	int64_t number;
	bool is_number;
};

/* The field *key* with a terminated text or a slice; NULL: no such field. */
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

/* A list of such fields, with its end. */
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
