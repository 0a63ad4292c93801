#include "server/master.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/array.h"
#include "base/log.h"
#include "base/timestamp.h"
#include "server/handoff.h"
#include "server/notify.h"

/* A worker is killed if it is not ready, or still running, after this time. */
#define READY_LIMIT_MS 30000
#define STOP_LIMIT_MS 10000

/*
 * A worker fails early if it ends before this age or before it is ready.  The
 * first early failures of a row are followed by a new worker at once, later
 * ones by pauses, each twice as long as the one before.  A row ends when there
 * was no early failure for ROW_MS.
 */
#define EARLY_MS 1000
#define FAILURES_WITHOUT_PAUSE 3
#define PAUSE_MIN_MS 100
#define PAUSE_MAX_MS 10000
#define ROW_MS 30000

#define NEVER INT64_MAX

/* The exit status of a child that could not become the program. */
#define EXIT_NOT_RUN 127

/* Times are milliseconds of the monotonic clock. */
struct worker {
	struct worker *next;
	pid_t pid;
	unsigned generation;
	int ready_fd; /* for reports, or -1 */
	bool ready;
	bool has_database; /* as it has reported */
	bool reload;	   /* TODO_RELOAD was set for it */
	bool dismissed;	   /* the master has sent TERM */
	int64_t started_ms;
	int64_t kill_ms; /* when the master kills it */
};

struct master {
	const struct handoff *handoff;
	unsigned pool_size;
	int signal_fd;	    /* a signalfd */
	struct pollfd *fds; /* the signalfd, then a ready_fd of each worker */

	struct worker *workers; /* the newest first */
	unsigned generation;	/* of new workers: the number of reloads */
	bool reloading;		/* older generations are being replaced */
	bool was_ready;		/* a worker has been ready, ever */
	bool stopping;
	int exit_status;

	unsigned early_failures; /* in a row */
	int64_t last_failure_ms;
	int64_t pause_end_ms; /* no worker is started before */
};

/* The workers that are not dismissed. */
struct census {
	unsigned ready;
	unsigned starting;
	struct worker *old; /* the oldest ready one before this generation */
	bool has_database;  /* a ready one has */
};

static int64_t
now_ms(void)
{
	return timestamp_monotonic() / 1000;
}

/* Log *event* of the process *pid*, a "master" or a "worker". */
static void
log_process(enum log_level level, const char *event, const char *role,
    pid_t pid, struct log_field field)
{
	log_event(level, event,
	    LOG_FIELDS(log_text("role", role), log_number("pid", pid), field));
}

static struct census
count_workers(const struct master *m)
{
	struct census census = { 0 };

	for (struct worker *w = m->workers; w != NULL; w = w->next) {
		if (w->dismissed)
			continue;
		if (!w->ready)
			census.starting++;
		else
			census.ready++;
		if (w->ready && w->generation != m->generation)
			census.old = w;
		census.has_database |= w->has_database;
	}
	return census;
}

/*
 * The number of workers that should run now.  Until the first worker is ready,
 * it has the processors to itself, and answers sooner.
 */
static unsigned
wanted_workers(const struct master *m)
{
	return m->was_ready || m->early_failures > 0 ? m->pool_size : 1;
}

static void
close_ready_fd(struct worker *w)
{
	if (w->ready_fd >= 0)
		(void)close(w->ready_fd);
	w->ready_fd = -1;
}

/* Send TERM to *w*, which then answers the request in hand and ends. */
static void
dismiss(struct worker *w)
{
	if (w->dismissed)
		return;
	w->dismissed = true;
	w->kill_ms = now_ms() + STOP_LIMIT_MS;
	close_ready_fd(w);
	(void)kill(w->pid, SIGTERM);
}

/* Dismiss all workers, and then return *exit_status* from master_run(). */
static void
stop(struct master *m, int exit_status)
{
	if (m->stopping)
		return;
	m->stopping = true;
	m->exit_status = exit_status;
	for (struct worker *w = m->workers; w != NULL; w = w->next)
		dismiss(w);
}

/* Begin a pause if workers keep failing early. */
static void
back_off(struct master *m)
{
	int64_t pause_ms = 0;

	/* Workers that fail together count as one.  Otherwise pauses would
	 * depend on the size of the pool. */
	if (now_ms() < m->pause_end_ms)
		return;
	if (m->early_failures > 0 && now_ms() - m->last_failure_ms > ROW_MS)
		m->early_failures = 0;
	m->last_failure_ms = now_ms();
	m->early_failures++;
	if (m->early_failures > FAILURES_WITHOUT_PAUSE)
		pause_ms = PAUSE_MIN_MS;
	for (unsigned i = FAILURES_WITHOUT_PAUSE + 1;
	     i < m->early_failures && pause_ms < PAUSE_MAX_MS; i++)
		pause_ms *= 2;
	if (pause_ms > PAUSE_MAX_MS)
		pause_ms = PAUSE_MAX_MS;
	m->pause_end_ms = now_ms() + pause_ms;
}

/* In the child of *parent*: become a worker. */
static _Noreturn void
become_worker(
    const struct master *m, const struct handoff_start *start, pid_t parent)
{
	sigset_t none;

	/* If the master is killed, its workers get TERM.  If it was killed
	 * before this call, the parent is another process by now. */
	if (prctl(PR_SET_PDEATHSIG, SIGTERM) != 0 || getppid() != parent)
		_exit(EX_OSERR);
	/* HUP to all processes of the pool is for the master. */
	(void)signal(SIGHUP, SIG_IGN);
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	handoff_exec(m->handoff, start);
	log_process(LOG_LEVEL_ERROR, "worker_not_run", "worker", getpid(),
	    log_text("reason", strerror(errno)));
	_exit(EXIT_NOT_RUN);
}

static void
abandon_reload(struct master *m, const char *reason)
{
	if (!m->reloading)
		return;
	m->reloading = false;
	log_event(LOG_LEVEL_ERROR, "reload_failed",
	    LOG_FIELDS(log_text("reason", reason)));
}

/* There are no resources for a new worker. */
static void
fail_to_start(struct master *m)
{
	log_event(LOG_LEVEL_ERROR, "worker_not_run",
	    LOG_FIELDS(log_text("reason", strerror(errno))));
	abandon_reload(m, "a new worker cannot be started: the old ones stay");
	back_off(m);
	if (!m->was_ready && m->workers == NULL)
		stop(m, EXIT_FAILURE);
}

/* Start one worker.  Returns false if that is not possible now. */
static bool
start_worker(struct master *m)
{
	struct census census = count_workers(m);
	pid_t self = getpid(), pid = -1;
	int fds[2] = { -1, -1 };
	struct worker *w;

	if ((w = malloc(sizeof(*w))) == NULL || pipe2(fds, O_CLOEXEC) != 0 ||
	    (pid = fork()) < 0) {
		fail_to_start(m);
		if (fds[0] >= 0) {
			(void)close(fds[0]);
			(void)close(fds[1]);
		}
		free(w);
		return false;
	}
	if (pid == 0)
		become_worker(m,
		    &(struct handoff_start) {
			.ready_fd = fds[1],
			.reload = census.old != NULL,
			.others_serve = census.has_database,
		    },
		    self);
	(void)close(fds[1]);
	*w = (struct worker) {
		.next = m->workers,
		.pid = pid,
		.generation = m->generation,
		.ready_fd = fds[0],
		.reload = census.old != NULL,
		.started_ms = now_ms(),
		.kill_ms = now_ms() + READY_LIMIT_MS,
	};
	m->workers = w;
	return true;
}

/* Kill the workers whose time is over. */
static void
kill_late_workers(struct master *m)
{
	for (struct worker *w = m->workers; w != NULL; w = w->next) {
		if (now_ms() < w->kill_ms)
			continue;
		log_process(LOG_LEVEL_WARNING, "worker_killed", "worker",
		    w->pid,
		    log_text("reason",
			w->dismissed ? "still running 10 s after TERM"
				     : "not ready after 30 s"));
		(void)kill(w->pid, SIGKILL);
		w->kill_ms = NEVER;
	}
}

/* Start the workers that the pool lacks.  Returns false if that fails. */
static bool
fill_pool(struct master *m)
{
	struct census census = count_workers(m);

	while (census.ready + census.starting < wanted_workers(m) &&
	    now_ms() >= m->pause_end_ms) {
		if (!start_worker(m))
			return false;
		census.starting++;
	}
	return true;
}

/* Do the next step of a reload, once no worker is starting. */
static void
continue_reload(struct master *m)
{
	struct census census = count_workers(m);

	while (m->reloading && census.starting == 0) {
		if (census.old == NULL) {
			m->reloading = false;
			log_event(LOG_LEVEL_INFO, "reloaded", NULL);
		} else if (census.ready > m->pool_size) {
			dismiss(census.old);
		} else {
			if (census.ready == m->pool_size)
				(void)start_worker(m);
			return;
		}
		census = count_workers(m);
	}
}

/* Do what is due. */
static void
manage_workers(struct master *m)
{
	kill_late_workers(m);
	if (!m->stopping && fill_pool(m))
		continue_reload(m);
}

/* The time of the next thing to do, if no event comes before. */
static int64_t
next_deadline_ms(const struct master *m)
{
	struct census census = count_workers(m);
	int64_t next_ms = NEVER;

	if (!m->stopping && census.ready + census.starting < wanted_workers(m))
		next_ms = m->pause_end_ms;
	for (const struct worker *w = m->workers; w != NULL; w = w->next)
		if (w->kill_ms < next_ms)
			next_ms = w->kill_ms;
	return next_ms;
}

/* Read the report of *w*. */
static void
read_report(struct master *m, struct worker *w)
{
	if (!handoff_read_report(w->ready_fd, &w->has_database)) {
		close_ready_fd(w);
		return;
	}
	if (w->has_database)
		close_ready_fd(w);
	w->ready = true;
	w->kill_ms = NEVER;
	if (!m->was_ready)
		notify_ready();
	m->was_ready = true;
}

/* Stop if *code* of a first worker means that no worker can start. */
static void
stop_if_hopeless(struct master *m, int code)
{
	if (m->was_ready)
		return;
	if (code == EX_CONFIG)
		stop(m, EX_CONFIG);
	if (code == EXIT_NOT_RUN || code == EX_USAGE)
		stop(m, EXIT_FAILURE);
}

/* Handle the end of *w*, which is no longer in the list of workers. */
static void
handle_end(struct master *m, const struct worker *w, int outcome)
{
	bool exited = WIFEXITED(outcome);
	int code = exited ? WEXITSTATUS(outcome) : WTERMSIG(outcome);
	bool expected = w->dismissed && (exited ? code == 0 : code == SIGTERM);
	bool is_current = w->generation == m->generation;

	log_process(expected ? LOG_LEVEL_INFO : LOG_LEVEL_WARNING,
	    w->dismissed ? "worker_ended" : "worker_died", "worker", w->pid,
	    log_number(exited ? "exit" : "signal", code));
	if (w->dismissed)
		return;

	if (w->reload && exited && code == EX_NOPERM && m->reloading) {
		/* A worker of an earlier reload does not end this one. */
		if (is_current)
			abandon_reload(m,
			    "the database refused a new worker: the old "
			    "ones stay");
		return;
	}
	/* A ready worker that ends with 0 got TERM from another process. */
	if (!w->ready ||
	    (now_ms() - w->started_ms < EARLY_MS && !(exited && code == 0)))
		back_off(m);
	if (exited)
		stop_if_hopeless(m, code);
	if (!w->ready && is_current)
		abandon_reload(m,
		    exited && code == EX_CONFIG
			? "a new worker found its settings wrong: the old "
			  "ones stay"
			: "a new worker did not become ready: the old ones "
			  "stay");
}

/* Collect the workers that have ended. */
static void
reap_workers(struct master *m)
{
	pid_t pid;
	int outcome;

	while ((pid = waitpid(-1, &outcome, WNOHANG)) > 0) {
		struct worker **link = &m->workers;
		struct worker *w;

		while (*link != NULL && (*link)->pid != pid)
			link = &(*link)->next;
		if ((w = *link) == NULL)
			continue; /* a child from before master_run() */
		*link = w->next;
		handle_end(m, w, outcome);
		close_ready_fd(w);
		free(w);
	}
}

/* Open the log file again, in case it was renamed, and begin a reload. */
static void
reload(struct master *m)
{
	const char *target = getenv("TODO_LOG");

	if (m->stopping)
		return;
	if (target != NULL && *target == '\0')
		target = NULL;
	if (log_open(target) != STATUS_OK)
		log_event(LOG_LEVEL_ERROR, "log",
		    LOG_FIELDS(log_text("path", target),
			log_text("reason", strerror(errno)),
			log_text("consequence", "the log stays as it was")));
	log_event(LOG_LEVEL_INFO, "reload", NULL);
	m->generation++;
	m->reloading = true;
}

static void
handle_signal(struct master *m, unsigned number)
{
	switch (number) {
	case SIGCHLD:
		reap_workers(m);
		break;
	case SIGHUP:
		reload(m);
		break;
	default:
		stop(m, EXIT_SUCCESS);
		break;
	}
}

/* The milliseconds until the next deadline, as poll() takes them. */
static int
time_to_wait_ms(const struct master *m)
{
	int64_t deadline_ms = next_deadline_ms(m), wait_ms;

	if (deadline_ms == NEVER)
		return -1;
	wait_ms = deadline_ms - now_ms();
	return wait_ms < 0 ? 0 : (int)wait_ms + 1;
}

/* Wait for events or the next deadline, and handle the events. */
static void
wait_for_events(struct master *m)
{
	struct signalfd_siginfo signal;
	struct pollfd *fd = m->fds;
	nfds_t count = 0;

	m->fds[count++] = (struct pollfd) { m->signal_fd, POLLIN, 0 };
	for (const struct worker *w = m->workers; w != NULL; w = w->next)
		if (w->ready_fd >= 0)
			m->fds[count++] = (struct pollfd) { w->ready_fd, POLLIN,
				0 };
	if (poll(m->fds, count, time_to_wait_ms(m)) <= 0)
		return;

	/* Reports first: a worker may have been ready before it ended. */
	for (struct worker *w = m->workers; w != NULL; w = w->next)
		if (w->ready_fd >= 0 && (++fd)->revents != 0)
			read_report(m, w);
	while (read(m->signal_fd, &signal, sizeof(signal)) == sizeof(signal))
		handle_signal(m, signal.ssi_signo);
}

/* Make a descriptor for the signals that the master handles. */
static int
open_signals(void)
{
	static const int handled[] = { SIGTERM, SIGINT, SIGQUIT, SIGHUP,
		SIGCHLD };
	sigset_t set;

	(void)sigemptyset(&set);
	for (size_t i = 0; i < ARRAY_COUNT(handled); i++)
		(void)sigaddset(&set, handled[i]);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
	/* If SIGCHLD is ignored, waitpid() does not tell how a worker ended. */
	(void)signal(SIGCHLD, SIG_DFL);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

int
master_run(const struct handoff *handoff, unsigned workers)
{
	struct master m = {
		.handoff = handoff,
		.pool_size = workers,
		.signal_fd = -1,
		.exit_status = EXIT_FAILURE,
	};

	/* During a reload there is one worker more. */
	m.fds = calloc((size_t)workers + 2, sizeof(*m.fds));
	if (m.fds == NULL || (m.signal_fd = open_signals()) < 0) {
		log_process(LOG_LEVEL_ERROR, "stop", "master", getpid(),
		    log_text("reason", strerror(errno)));
		goto done;
	}

	log_process(LOG_LEVEL_INFO, "start", "master", getpid(),
	    log_number("workers", workers));
	while (manage_workers(&m), !m.stopping || m.workers != NULL)
		wait_for_events(&m);
	log_process(m.exit_status == 0 ? LOG_LEVEL_INFO : LOG_LEVEL_ERROR,
	    "stop", "master", getpid(), log_number("exit", m.exit_status));

done:
	if (m.signal_fd >= 0)
		(void)close(m.signal_fd);
	free(m.fds);
	return m.exit_status;
}
