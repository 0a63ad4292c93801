#include "server/master.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/log.h"
#include "base/timestamp.h"
#include "server/notify.h"

/* Times are milliseconds of the monotonic clock. */

/* A worker is killed if it is not ready, or not gone, after so long. */
#define READY_TIME 30000
#define STOP_TIME 10000

/*
 * A worker that ends before this age, or before it is ready, died young.  The
 * first few that do, in a row, are replaced at once; from then on there is a
 * pause before the next, twice as long each time.  A row is over when nobody
 * has died young for ROW_TIME.
 */
#define YOUNG_TIME 1000
#define YOUNG_AT_ONCE 3
#define PAUSE_FIRST 100
#define PAUSE_LONGEST 10000
#define ROW_TIME 30000

#define NEVER INT64_MAX

/* The exit status of a child that could not become the program. */
#define EXIT_NOT_RUN 127

struct worker {
	struct worker *next;
	pid_t pid;
	unsigned generation;
	int ready_fd;	  /* where it says that it is ready; then -1 */
	bool ready;	  /* it has said so */
	bool successor;	  /* it was started while older ones are well */
	bool leaving;	  /* it was told to end */
	int64_t started;  /* when */
	int64_t deadline; /* when it is killed */
};

struct master {
	char *program; /* a copy */
	char *const *settings;
	char **environment; /* the workers', with room for the descriptors */
	size_t descriptors; /* where these are */
	unsigned wanted;
	int signals;	    /* a signalfd */
	struct pollfd *fds; /* for signals, and all that are starting */

	struct worker *workers; /* the newest first */
	unsigned generation;	/* of those who start now: HUPs so far */
	bool rolling;		/* older generations are being replaced */
	bool proven;		/* a worker has been ready, ever */
	bool stopping;
	int exit_status;

	unsigned young; /* how many in a row died young */
	int64_t last_young;
	int64_t pause_until;
};

/* The workers that were not told to end. */
struct tally {
	unsigned ready;
	unsigned starting;
	struct worker
	    *old; /* the oldest that is ready and has to go, or NULL */
};

/* In milliseconds, as poll() has them. */
static int64_t
now(void)
{
	return timestamp_monotonic() / 1000;
}

/* Log *event* about the process *pid*, the master or one of the workers. */
static void
log_process(enum log_level level, const char *event, const char *role,
    pid_t pid, struct log_field field)
{
	log_event(level, event,
	    LOG_FIELDS(log_text("role", role), log_number("pid", pid), field));
}

static struct tally
count(const struct master *m)
{
	struct tally tally = { 0, 0, NULL };

	for (struct worker *w = m->workers; w != NULL; w = w->next) {
		if (w->leaving)
			continue;
		if (!w->ready)
			tally.starting++;
		else
			tally.ready++;
		if (w->ready && w->generation != m->generation)
			tally.old = w;
	}
	return tally;
}

/*
 * How many there should be.  The very first goes ahead: with the processors to
 * itself it answers the sooner.
 */
static unsigned
wanted(const struct master *m)
{
	return m->proven || m->young > 0 ? m->wanted : 1;
}

static void
close_ready_fd(struct worker *w)
{
	if (w->ready_fd >= 0)
		(void)close(w->ready_fd);
	w->ready_fd = -1;
}

/* Let *w* finish what it has in hand, and end. */
static void
dismiss(struct worker *w)
{
	if (w->leaving)
		return;
	w->leaving = true;
	w->deadline = now() + STOP_TIME;
	close_ready_fd(w);
	(void)kill(w->pid, SIGTERM);
}

/* Let them all end, and then return *exit_status* from master_run(). */
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

/* A worker died young, or could not even be born. */
static void
grieve(struct master *m)
{
	int64_t pause = 0;

	/* Those who die together count once, or a large pool would be punished
	 * for its size. */
	if (now() < m->pause_until)
		return;
	if (m->young > 0 && now() - m->last_young > ROW_TIME)
		m->young = 0;
	m->last_young = now();
	m->young++;
	if (m->young > YOUNG_AT_ONCE)
		pause = PAUSE_FIRST;
	for (unsigned i = YOUNG_AT_ONCE + 1;
	     i < m->young && pause < PAUSE_LONGEST; i++)
		pause *= 2;
	if (pause > PAUSE_LONGEST)
		pause = PAUSE_LONGEST;
	m->pause_until = now() + pause;
}

/*
 * Make a file in memory of the settings, at its beginning and open to the
 * program that this process becomes.  Returns -1 if that is not possible.
 */
static int
write_settings(const struct master *m)
{
	int fd = memfd_create("settings", 0);

	for (size_t i = 0; fd >= 0 && m->settings[i] != NULL; i++) {
		size_t size = strlen(m->settings[i]) + 1;

		if (write(fd, m->settings[i], size) != (ssize_t)size)
			return -1;
	}
	return fd >= 0 && lseek(fd, 0, SEEK_SET) == 0 ? fd : -1;
}

/* In the child: become the program, saying on *ready_fd* when it is ready. */
static _Noreturn void
become_worker(
    const struct master *m, int ready_fd, pid_t parent, bool successor)
{
	static char reload[] = "TODO_RELOAD=1";
	char *arguments[] = { m->program, NULL };
	char ready[40], settings[40], log[40];
	int settings_fd, log_fd = log_descriptor();
	sigset_t none;

	/* A killed master takes its workers along, gently: they finish what
	 * they have in hand.  If it has been killed before this was arranged,
	 * somebody else is the parent by now. */
	if (prctl(PR_SET_PDEATHSIG, SIGTERM) != 0 || getppid() != parent)
		_exit(EX_OSERR);

	/* A HUP to all of us means the master. */
	(void)signal(SIGHUP, SIG_IGN);
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);

	if ((settings_fd = write_settings(m)) >= 0 &&
	    fcntl(ready_fd, F_SETFD, 0) == 0) {
		(void)snprintf(
		    ready, sizeof(ready), "TODO_READY_FD=%d", ready_fd);
		(void)snprintf(settings, sizeof(settings),
		    "TODO_SETTINGS_FD=%d", settings_fd);
		size_t count = m->descriptors;

		m->environment[count++] = ready;
		m->environment[count++] = settings;
		if (log_fd >= 0 && fcntl(log_fd, F_SETFD, 0) == 0) {
			(void)snprintf(
			    log, sizeof(log), "TODO_LOG_FD=%d", log_fd);
			m->environment[count++] = log;
		}
		if (successor)
			m->environment[count++] = reload;
		(void)execve(m->program, arguments, m->environment);
	}
	log_process(LOG_LEVEL_ERROR, "worker_not_run", "worker", getpid(),
	    log_text("reason", strerror(errno)));
	_exit(EXIT_NOT_RUN);
}

/* Leave the roll-over where it is, for *reason*. */
static void
end_roll(struct master *m, const char *reason)
{
	if (!m->rolling)
		return;
	m->rolling = false;
	log_event(LOG_LEVEL_ERROR, "reload_failed",
	    LOG_FIELDS(log_text("reason", reason)));
}

/* Start one worker.  Returns false if that is not possible now. */
static bool
start(struct master *m)
{
	bool successor = count(m).old != NULL;
	pid_t self = getpid(), pid = -1;
	int fds[2] = { -1, -1 };
	struct worker *w;

	if ((w = malloc(sizeof(*w))) == NULL || pipe2(fds, O_CLOEXEC) != 0 ||
	    (pid = fork()) < 0) {
		log_event(LOG_LEVEL_ERROR, "worker_not_run",
		    LOG_FIELDS(log_text("reason", strerror(errno))));
		if (fds[0] >= 0) {
			(void)close(fds[0]);
			(void)close(fds[1]);
		}
		free(w);
		end_roll(
		    m, "a new worker cannot be started: the old ones stay");
		grieve(m);
		if (!m->proven && m->workers == NULL)
			stop(m, EXIT_FAILURE);
		return false;
	}
	if (pid == 0)
		become_worker(m, fds[1], self, successor);
	(void)close(fds[1]);
	*w = (struct worker) {
		.next = m->workers,
		.pid = pid,
		.generation = m->generation,
		.ready_fd = fds[0],
		.successor = successor,
		.started = now(),
		.deadline = now() + READY_TIME,
	};
	m->workers = w;
	return true;
}

/* See to it that there are as many workers as wanted, of the right kind. */
static void
tend(struct master *m)
{
	struct tally tally;

	for (struct worker *w = m->workers; w != NULL; w = w->next) {
		if (now() < w->deadline)
			continue;
		log_process(LOG_LEVEL_WARNING, "worker_killed", "worker",
		    w->pid,
		    log_text("reason",
			w->leaving ? "does not end" : "is not ready"));
		(void)kill(w->pid, SIGKILL);
		w->deadline = NEVER;
	}
	if (m->stopping)
		return;

	tally = count(m);
	while (tally.ready + tally.starting < wanted(m) &&
	    now() >= m->pause_until) {
		if (!start(m))
			return;
		tally.starting++;
	}

	if (!m->rolling || tally.starting > 0)
		return;
	if (tally.old == NULL) {
		m->rolling = false;
		log_event(LOG_LEVEL_INFO, "reloaded", NULL);
	} else if (tally.ready > m->wanted) {
		dismiss(tally.old);
		tend(m);
	} else if (tally.ready == m->wanted) {
		(void)start(m);
	}
}

/* When has tend() something to do next, if nothing happens until then? */
static int64_t
next_deadline(const struct master *m)
{
	struct tally tally = count(m);
	int64_t next = NEVER;

	if (!m->stopping && tally.ready + tally.starting < wanted(m))
		next = m->pause_until;
	for (const struct worker *w = m->workers; w != NULL; w = w->next)
		if (w->deadline < next)
			next = w->deadline;
	return next;
}

/* Hear what *w* says on its descriptor. */
static void
hear(struct master *m, struct worker *w)
{
	char byte;

	if (read(w->ready_fd, &byte, 1) == 1) {
		w->ready = true;
		w->deadline = NEVER;
		if (!m->proven)
			notify_ready();
		m->proven = true;
	}
	close_ready_fd(w);
}

/* Tell the log how *w* ended, and what comes of it. */
static void
bury(struct master *m, struct worker *w, int outcome)
{
	static const char refused[] =
	    "the database refused a new worker: the old ones stay";
	bool exited = WIFEXITED(outcome);
	int code = exited ? WEXITSTATUS(outcome) : WTERMSIG(outcome);
	bool expected = w->leaving && (exited ? code == 0 : code == SIGTERM);

	log_process(expected ? LOG_LEVEL_INFO : LOG_LEVEL_WARNING,
	    w->leaving ? "worker_ended" : "worker_died", "worker", w->pid,
	    log_number(exited ? "exit" : "signal", code));
	if (w->leaving)
		return;

	if (w->successor && exited && code == EX_NOPERM && m->rolling) {
		/* One of an earlier reload says nothing of this one. */
		if (w->generation == m->generation)
			end_roll(m, refused);
		return;
	}
	/* One that was ready and ends well was told to, by somebody else. */
	if (!w->ready ||
	    (now() - w->started < YOUNG_TIME && !(exited && code == 0)))
		grieve(m);
	/* What is wrong from the beginning gets no better by trying again. */
	if (!m->proven && exited && code == EX_CONFIG)
		stop(m, EX_CONFIG);
	if (!m->proven && exited && (code == EXIT_NOT_RUN || code == EX_USAGE))
		stop(m, EXIT_FAILURE);
	if (!w->ready && w->generation == m->generation)
		end_roll(m,
		    exited && code == EX_CONFIG
			? "a new worker found its settings wrong: the old "
			  "ones stay"
			: "a new worker did not become ready: the old ones "
			  "stay");
}

/* Collect those that have ended. */
static void
reap(struct master *m)
{
	pid_t pid;
	int outcome;

	while ((pid = waitpid(-1, &outcome, WNOHANG)) > 0) {
		struct worker **link = &m->workers;
		struct worker *w;

		while (*link != NULL && (*link)->pid != pid)
			link = &(*link)->next;
		if ((w = *link) == NULL)
			continue; /* a child from before we were the master */
		*link = w->next;
		bury(m, w, outcome);
		close_ready_fd(w);
		free(w);
	}
}

/* Where the log goes, or NULL if nobody said. */
static const char *
log_target(void)
{
	const char *target = getenv("TODO_LOG");

	return target == NULL || *target == '\0' ? NULL : target;
}

/* Do as the signal *number* says. */
static void
obey(struct master *m, unsigned number)
{
	switch (number) {
	case SIGCHLD:
		reap(m);
		break;
	case SIGHUP:
		if (m->stopping)
			break;
		/* The file of the log may have been moved away. */
		if (log_open(log_target()) != STATUS_OK)
			log_event(LOG_LEVEL_ERROR, "log",
			    LOG_FIELDS(log_text("path", log_target()),
				log_text("reason", strerror(errno)),
				log_text(
				    "consequence", "the log stays as it was")));
		log_event(LOG_LEVEL_INFO, "reload", NULL);
		m->generation++;
		m->rolling = true;
		break;
	default:
		stop(m, EXIT_SUCCESS);
		break;
	}
}

/* Wait until something happens or is due. */
static void
wait_for_news(struct master *m)
{
	int64_t wait = next_deadline(m);
	struct signalfd_siginfo signal;
	nfds_t count = 0;
	struct pollfd *fd = m->fds;

	if (wait != NEVER) {
		wait -= now();
		wait = wait < 0 ? 0 : wait + 1;
	} else {
		wait = -1;
	}

	m->fds[count++] = (struct pollfd) { m->signals, POLLIN, 0 };
	for (const struct worker *w = m->workers; w != NULL; w = w->next)
		if (w->ready_fd >= 0)
			m->fds[count++] = (struct pollfd) { w->ready_fd, POLLIN,
				0 };
	if (poll(m->fds, count, (int)wait) <= 0)
		return;

	/* First who is ready, then who has died: a worker may be both. */
	for (struct worker *w = m->workers; w != NULL; w = w->next)
		if (w->ready_fd >= 0 && (++fd)->revents != 0)
			hear(m, w);
	while (read(m->signals, &signal, sizeof(signal)) == sizeof(signal))
		obey(m, signal.ssi_signo);
}

/* Have the signals that the master obeys arrive at a descriptor. */
static int
open_signals(void)
{
	static const int obeyed[] = { SIGTERM, SIGINT, SIGQUIT, SIGHUP,
		SIGCHLD };
	sigset_t set;

	(void)sigemptyset(&set);
	for (size_t i = 0; i < sizeof(obeyed) / sizeof(obeyed[0]); i++)
		(void)sigaddset(&set, obeyed[i]);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
	/* If whoever started us ignored it, nobody would tell how a worker
	 * ended. */
	(void)signal(SIGCHLD, SIG_DFL);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

/*
 * Take over our own environment: the pointers, with room for the descriptors
 * at the end.  Returns false if there is no memory.
 */
static bool
take_environment(struct master *m)
{
	static const char *const ours[] = { "TODO_READY_FD=",
		"TODO_SETTINGS_FD=", "TODO_LOG_FD=", "TODO_RELOAD=" };
	static const size_t our_count = sizeof(ours) / sizeof(ours[0]);
	size_t count = 0;

	while (environ[count] != NULL)
		count++;
	m->environment = calloc(count + our_count + 1, sizeof(char *));
	if (m->environment == NULL)
		return false;
	for (size_t i = 0; i < count; i++) {
		size_t n = 0;

		while (n < our_count &&
		    strncmp(environ[i], ours[n], strlen(ours[n])) != 0)
			n++;
		if (n == our_count)
			m->environment[m->descriptors++] = environ[i];
	}
	return true;
}

int
master_run(const char *program, unsigned workers, char *const *settings)
{
	struct master m = {
		.settings = settings,
		.wanted = workers,
		.signals = -1,
		.exit_status = EXIT_FAILURE,
	};

	/* A roll-over has one more than wanted, for a while. */
	m.fds = calloc((size_t)workers + 2, sizeof(*m.fds));
	if (m.fds == NULL || (m.program = strdup(program)) == NULL ||
	    !take_environment(&m) || (m.signals = open_signals()) < 0) {
		log_process(LOG_LEVEL_ERROR, "stop", "master", getpid(),
		    log_text("reason", strerror(errno)));
		goto done;
	}

	log_process(LOG_LEVEL_INFO, "start", "master", getpid(),
	    log_number("workers", workers));
	while (tend(&m), !m.stopping || m.workers != NULL)
		wait_for_news(&m);

	log_process(m.exit_status == 0 ? LOG_LEVEL_INFO : LOG_LEVEL_ERROR,
	    "stop", "master", getpid(), log_number("exit", m.exit_status));

done:
	if (m.signals >= 0)
		(void)close(m.signals);
	free(m.environment);
	free(m.program);
	free(m.fds);
	return m.exit_status;
}
