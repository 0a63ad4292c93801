#include "server/worker.h"

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/array.h"
#include "base/buffer.h"
#include "base/cache.h"
#include "base/log.h"
#include "base/timestamp.h"
#include "db/db.h"
#include "db/option_file.h"
#include "http/fcgi.h"
#include "server/check.h"
#include "server/dispatch.h"
#include "server/handoff.h"

/*
 * More bytes than any answer takes: 500 of the largest tasks are 4 MiB of JSON,
 * and three times that while it is written.
 */
#define ARENA_CAP ((size_t)16 * 1024 * 1024)

/*
 * After a check of the database, the next one is this much later, in
 * microseconds of the monotonic clock.
 */
#define CHECK_PAUSE_US INT64_C(10000000)

/* Bytes for about 2,000 tokens of usual size. */
#define TOKENS_CAP ((size_t)1280 * 1024)

/* What a worker needs to answer requests. */
struct service {
	const struct settings *settings;
	struct cache *tokens;
	struct arena *arena;
	struct fcgi *fcgi;
	struct db *db;
	sigset_t waiting; /* the signal mask while the worker waits */
	int ready_fd;	  /* for reports to the master, or -1 */
	int64_t check_us; /* no check of the database before this time */
};

static const int stop_signals[] = { SIGTERM, SIGINT, SIGQUIT };

static volatile sig_atomic_t stop_received;

static void
receive_stop(int number)
{
	(void)number;
	stop_received = 1;
}

/*
 * True once a stop signal is pending or was received.  Stop signals stay
 * blocked except while fcgi_wait() sleeps, so none interrupts a request.  If
 * fcgi_wait() finds a connection at once, it does not sleep, and the signal
 * stays pending.
 */
static bool
is_stopping(void)
{
	sigset_t pending;

	if (stop_received || sigpending(&pending) != 0)
		return stop_received != 0;
	for (size_t i = 0; i < ARRAY_COUNT(stop_signals); i++)
		if (sigismember(&pending, stop_signals[i]) == 1)
			return true;
	return false;
}

/* Block the stop signals.  *waiting* is the mask from before, without them. */
static void
block_stop_signals(sigset_t *waiting)
{
	sigset_t stop;

	(void)sigemptyset(&stop);
	for (size_t i = 0; i < ARRAY_COUNT(stop_signals); i++)
		(void)sigaddset(&stop, stop_signals[i]);
	(void)sigprocmask(SIG_BLOCK, &stop, waiting);
	for (size_t i = 0; i < ARRAY_COUNT(stop_signals); i++)
		(void)sigdelset(waiting, stop_signals[i]);
}

static void
handle_stop_signals(void)
{
	const struct sigaction action = { .sa_handler = receive_stop };

	for (size_t i = 0; i < ARRAY_COUNT(stop_signals); i++)
		(void)sigaction(stop_signals[i], &action, NULL);
}

/* Log *event* about this worker. */
static void
log_worker(enum log_level level, const char *event, struct log_field field)
{
	log_event(level, event,
	    LOG_FIELDS(log_text("role", "worker"), log_number("pid", getpid()),
		field));
}

/* Open the listening socket.  Returns the exit status. */
static int
open_listener(struct service *service, const char **reason)
{
	switch (fcgi_new(&service->fcgi)) {
	case STATUS_OK:
		return EX_OK;
	case STATUS_INVALID:
		*reason = "descriptor 0 is not a listening socket: start this "
			  "program by spawn-fcgi";
		return EX_USAGE;
	default:
		*reason = "out of memory";
		return EX_OSERR;
	}
}

/*
 * The reason why this worker, for which db_connect() returned *connected*,
 * would fail where other workers answer; NULL if there is none.
 */
static const char *
find_refusal(struct service *service, enum status connected)
{
	const char *refusal = check_refusal(
	    service->db, service->arena, connected);

	if (refusal != NULL || connected == STATUS_OK)
		return refusal;
	if (handoff_others_serve() &&
	    option_file_lint(service->settings->db_defaults_file,
		"TODO_DB_DEFAULTS_FILE", check_log_warning) > 0)
		return "the database is unreachable, and the option file has "
		       "faults";
	return NULL;
}

/*
 * Connect to the database before the first request needs it.  db_connect() logs
 * why the database is unreachable; the worker can start without it.  Returns
 * the reason not to start, or NULL.
 */
static const char *
connect_database(struct service *service, bool *has_database)
{
	enum status connected = db_connect(service->db);
	const char *refusal;

	if (connected != STATUS_OK)
		log_worker(LOG_LEVEL_WARNING, "start",
		    log_text("reason", "without the database"));
	if (service->ready_fd < 0)
		return NULL;
	refusal = find_refusal(service, connected);
	*has_database = refusal == NULL && db_is_connected(service->db);
	return handoff_is_reload() || handoff_others_serve() ? refusal : NULL;
}

/* Take what *service* needs.  Returns the exit status. */
static int
open_service(struct service *service, bool *has_database, const char **reason)
{
	int exit_status = open_listener(service, reason);

	if (exit_status != EX_OK)
		return exit_status;
	log_worker(
	    LOG_LEVEL_INFO, "start", log_text("version", PACKAGE_VERSION));
	/* After fcgi_new(): libfcgi has a handler for SIGTERM too. */
	handle_stop_signals();
	/* The C library may otherwise take several times as long to look up
	 * the name of a database host as a request may take. */
	(void)setenv("RES_OPTIONS", "timeout:1 attempts:1", 0);

	service->arena = arena_new(ARENA_CAP);
	service->tokens = cache_new(TOKENS_CAP);
	service->db = db_new(service->settings->db_defaults_file);
	if (service->arena == NULL || service->tokens == NULL ||
	    service->db == NULL) {
		*reason = "out of memory";
		return EX_OSERR;
	}
	*reason = connect_database(service, has_database);
	return *reason == NULL ? EX_OK : EX_NOPERM;
}

static void
close_service(struct service *service)
{
	fcgi_free(service->fcgi);
	db_free(service->db);
	cache_free(service->tokens);
	arena_free(service->arena);
}

/* Report the database if a worker that was ready without it has it now. */
static void
report_database(struct service *service)
{
	int64_t now_us;

	if (service->ready_fd < 0 || !db_is_connected(service->db))
		return;
	if ((now_us = timestamp_monotonic()) < service->check_us)
		return;
	service->check_us = now_us + CHECK_PAUSE_US;
	db_allow_time(service->db);
	if (check_refusal(service->db, service->arena, STATUS_OK) == NULL &&
	    db_is_connected(service->db))
		handoff_report(&service->ready_fd, true);
}

/* Answer requests until a stop signal comes. */
static void
serve(struct service *service)
{
	struct arena *arena = service->arena;

	while (!is_stopping()) {
		struct request request;
		struct buffer out = buffer_in(arena);

		if (!fcgi_wait(service->fcgi, &service->waiting))
			continue;
		if (fcgi_accept(service->fcgi, arena, &request) == STATUS_OK) {
			dispatch(service->settings, service->tokens,
			    service->db, arena, &request, &out);
			fcgi_finish(service->fcgi, buffer_slice(&out));
			report_database(service);
		}
		arena_reset(arena);
	}
}

int
worker_run(const struct settings *settings)
{
	struct service service = {
		.settings = settings,
		.ready_fd = handoff_ready_fd(),
	};
	const char *reason = NULL;
	bool has_database = false;
	int exit_status;

	block_stop_signals(&service.waiting);
	/* Other programs reload or reopen logs at SIGHUP: sent to a whole
	 * pool, it must not end a worker. */
	(void)signal(SIGHUP, SIG_IGN);
	exit_status = open_service(&service, &has_database, &reason);
	if (exit_status == EX_OK) {
		log_worker(LOG_LEVEL_INFO, "ready", log_text("reason", NULL));
		handoff_report(&service.ready_fd, has_database);
		serve(&service);
	}
	log_worker(exit_status == EX_OK ? LOG_LEVEL_INFO : LOG_LEVEL_ERROR,
	    "stop", log_text("reason", reason));
	close_service(&service);
	return exit_status;
}
