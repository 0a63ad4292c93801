#ifndef HANDOFF_H
#define HANDOFF_H

#include <stdbool.h>
#include <stddef.h>

#include "base/status.h"

/*
 * What a master hands to a worker, and what the worker reports: both ends.  The
 * master sets these variables in the environment of the worker:
 *
 *   TODO_SETTINGS_FD   the descriptor of a file in memory with the settings,
 *                      "NAME=value", each with a NUL at its end.  A secret in
 *                      the environment would show in /proc/PID/environ
 *   TODO_LOG_FD        the descriptor of the log file, if the master has one
 *                      open: the worker writes to it whoever owns the file now
 *   TODO_READY_FD      the descriptor of a pipe for the worker's reports
 *   TODO_RELOAD        set if workers from before the last reload are ready:
 *                      the worker ends with 78 (EX_CONFIG) if the option file
 *                      has faults, and with 77 (EX_NOPERM) if the database
 *                      refuses it
 *   TODO_OTHERS_SERVE  set if a ready worker has the database: the worker
 *                      ends with 77 if the database refuses it, or if the
 *                      database is unreachable and the option file has faults.
 *                      It would answer 503 to requests that others can answer
 *
 * A report is one byte, "D" if the worker has the database and "-" if not.  The
 * first report says that the worker is ready.  A worker that was ready without
 * the database sends another report when it has the database.
 */

/* The master's end. */

/* What every worker of a master is handed. */
struct handoff {
	char *program; /* absolute path; may be another file at each start */
	char **settings;
	char **environment; /* with room for the variables above */
	size_t environment_count;
};

/* What one worker is handed besides. */
struct handoff_start {
	int ready_fd;
	bool reload;
	bool others_serve;
};

/*
 * Copy *program* and, as the settings, the environment of this process, whose
 * strings must stay as long as *handoff*.  STATUS_INTERNAL if there is no
 * memory.  handoff_free() is necessary in both cases, and overwrites the
 * settings.
 */
enum status handoff_init(
    struct handoff *handoff, const char *program) MUST_CHECK;
void handoff_free(struct handoff *handoff);

/*
 * Turn this process, a child of the master, into a worker.  Returns only if
 * that fails, with the reason in errno.
 */
void handoff_exec(
    const struct handoff *handoff, const struct handoff_start *start);

/* Read a report from *ready_fd*.  Returns false at the end of the pipe. */
bool handoff_read_report(int ready_fd, bool *has_database);

/* The worker's end. */

/* Was this process started by a master? */
bool handoff_has_master(void);

/* Is TODO_RELOAD, or TODO_OTHERS_SERVE, set? */
bool handoff_is_reload(void);
bool handoff_others_serve(void);

/* The descriptor of the master's log file, or -1. */
int handoff_log_fd(void);

/*
 * Copy the settings that the master has handed over; *settings* is NULL if
 * there is no master.  STATUS_INTERNAL if there is no memory.
 * handoff_free_settings(), which takes NULL too, overwrites and frees them.
 */
enum status handoff_take_settings(char ***settings) MUST_CHECK;
void handoff_free_settings(char **settings);

/* The descriptor for handoff_report(), or -1 without a master. */
int handoff_ready_fd(void);

/*
 * Report on *ready_fd*, unless it is -1, whether this worker, which is ready,
 * has the database.  If it has, this is the last report, and *ready_fd* becomes
 * -1.
 */
void handoff_report(int *ready_fd, bool has_database);

/* Either end. */

/* Is *entry*, "NAME=value", one of the variables above? */
bool handoff_is_variable(const char *entry);

#endif
