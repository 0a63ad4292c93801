#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buffer.h"
#include "base/cache.h"
#include "base/log.h"
#include "db/db.h"
#include "db/option_file.h"
#include "http/fcgi.h"
#include "http/request.h"
#include "server/check.h"
#include "server/dispatch.h"
#include "server/master.h"
#include "server/router.h"
#include "server/settings.h"

/* More than any answer takes: 500 of the largest tasks are 4 MiB of JSON, and
 * three times that while it is written. */
#define ARENA_CAP ((size_t)16 * 1024 * 1024)

/* Some 2,000 tokens of usual size. */
#define TOKENS_CAP ((size_t)1280 * 1024)

#define WORKERS_MAX 1024

/* The signals that end a worker, once the request in hand is answered. */
static const int stops[] = { SIGTERM, SIGINT, SIGQUIT };

static volatile sig_atomic_t stopping;

static void
stop(int number)
{
	(void)number;
	stopping = 1;
}

/*
 * Has one of *stops* come?  They are blocked all the time but in fcgi_wait(),
 * so that they break off nothing, and none comes unseen between looking here
 * and going to sleep.  Where a connection is there already it does not go to
 * sleep, and lets none in.
 */
static bool
told_to_stop(void)
{
	sigset_t pending;

	if (stopping || sigpending(&pending) != 0)
		return stopping != 0;
	for (size_t i = 0; i < sizeof(stops) / sizeof(stops[0]); i++)
		if (sigismember(&pending, stops[i]) == 1)
			return true;
	return false;
}

/* Answer requests until told to stop. */
static void
serve(const struct settings *settings, struct cache *tokens, struct db *db,
    struct arena *arena, struct fcgi *fcgi, const sigset_t *waiting)
{
	while (!told_to_stop()) {
		struct request request;
		struct buffer out = buffer_in(arena);

		if (!fcgi_wait(fcgi, waiting))
			continue;
		if (fcgi_accept(fcgi, arena, &request) == STATUS_OK) {
			dispatch(settings, tokens, db, arena, &request, &out);
			fcgi_finish(fcgi, buffer_slice(&out));
		}
		arena_reset(arena);
	}
}

/*
 * The number of a descriptor that the master has for us, which is in the
 * environment variable *name*; *st* is what it is.  -1 if there is none.
 */
static int
descriptor_named(const char *name, struct stat *st)
{
	const char *text = getenv(name);
	long fd = text == NULL ? -1 : strtol(text, NULL, 10);

	if (fd <= STDERR_FILENO || fd > INT_MAX || fstat((int)fd, st) != 0)
		return -1;
	return (int)fd;
}

/* Tell the master, if there is one, that this worker answers from now on. */
static void
tell_ready(void)
{
	struct stat st;
	int fd = descriptor_named("TODO_READY_FD", &st);

	/* Not that a stray variable has us write to something else. */
	if (fd < 0 || !S_ISFIFO(st.st_mode))
		return;
	if (write(fd, "", 1) != 1)
		log_event(LOG_LEVEL_WARNING, "ready",
		    LOG_FIELDS(log_text("reason", strerror(errno))));
	(void)close(fd);
}

/* Log *event* about this worker. */
static void
log_worker(enum log_level level, const char *event, struct log_field field)
{
	log_event(level, event,
	    LOG_FIELDS(log_text("role", "worker"), log_number("pid", getpid()),
		field));
}

/* Be a worker.  Returns the exit status. */
static int
work(const struct settings *settings)
{
	struct sigaction stopper = { .sa_handler = stop };
	const char *reason = "out of memory";
	int exit_status = EX_OSERR;
	struct cache *tokens = NULL;
	struct arena *arena = NULL;
	struct fcgi *fcgi = NULL;
	struct db *db = NULL;
	const char *refusal;
	enum status connected;
	sigset_t working, waiting;

	(void)sigemptyset(&working);
	for (size_t i = 0; i < sizeof(stops) / sizeof(stops[0]); i++)
		(void)sigaddset(&working, stops[i]);
	(void)sigprocmask(SIG_BLOCK, &working, &waiting);
	/* Signals that other programs take for a reload or for reopening logs
	 * must not end a worker when they are sent to a whole pool. */
	(void)signal(SIGHUP, SIG_IGN);

	switch (fcgi_new(&fcgi)) {
	case STATUS_OK:
		break;
	case STATUS_INVALID:
		reason = "descriptor 0 is no listening socket: start this "
			 "program by spawn-fcgi";
		exit_status = EX_USAGE;
		goto done;
	default:
		goto done;
	}
	log_worker(
	    LOG_LEVEL_INFO, "start", log_text("version", PACKAGE_VERSION));

	/*
	 * Only now, for libfcgi has a handler for TERM too.
	 */
	for (size_t i = 0; i < sizeof(stops) / sizeof(stops[0]); i++) {
		(void)sigaction(stops[i], &stopper, NULL);
		(void)sigdelset(&waiting, stops[i]);
	}

	if ((arena = arena_new(ARENA_CAP)) == NULL ||
	    (tokens = cache_new(TOKENS_CAP)) == NULL ||
	    (db = db_new(settings->db_defaults_file)) == NULL)
		goto done;
	/* To look up the name of a database host, the C library may otherwise
	 * take several times what a request has. */
	(void)setenv("RES_OPTIONS", "timeout:1 attempts:1", 0);
	/* The first request need not wait for it; and if the database is away
	 * that has been logged, and everything else works. */
	if ((connected = db_connect(db)) != STATUS_OK)
		log_worker(LOG_LEVEL_WARNING, "start",
		    log_text("reason", "without the database"));
	/* Whoever would take the place of a worker that may be well must be
	 * able to answer requests. */
	if (getenv("TODO_RELOAD") != NULL &&
	    (refusal = check_refusal(db, arena, connected)) != NULL) {
		reason = refusal;
		exit_status = EX_NOPERM;
		goto done;
	}

	log_worker(LOG_LEVEL_INFO, "ready", log_text("reason", NULL));
	tell_ready();
	serve(settings, tokens, db, arena, fcgi, &waiting);
	reason = NULL;
	exit_status = EX_OK;

done:
	log_worker(reason == NULL ? LOG_LEVEL_INFO : LOG_LEVEL_ERROR, "stop",
	    log_text("reason", reason));
	fcgi_free(fcgi);
	db_free(db);
	cache_free(tokens);
	arena_free(arena);
	return exit_status;
}

/* End *environment*, a list on the heap, which may be NULL. */
static void
free_environment(char **environment)
{
	if (environment == NULL)
		return;
	settings_scrub(environment);
	for (size_t i = 0; environment[i] != NULL; i++)
		free(environment[i]);
	free(environment);
}

/* Copy *environment* to the heap.  Returns NULL if there is no memory. */
static char **
copy_environment(char *const *environment)
{
	size_t count = 0;
	char **copy;

	while (environment[count] != NULL)
		count++;
	if ((copy = calloc(count + 1, sizeof(*copy))) == NULL)
		return NULL;
	for (size_t i = 0; i < count; i++) {
		if ((copy[i] = strdup(environment[i])) == NULL) {
			free_environment(copy);
			return NULL;
		}
	}
	return copy;
}

/*
 * Copy to the heap the settings that the master has for us (see master.h);
 * *settings* is NULL if there is no master.  STATUS_INTERNAL if there is no
 * memory.
 */
static enum status
receive_settings(char ***settings)
{
	struct stat st;
	int fd = descriptor_named("TODO_SETTINGS_FD", &st);
	size_t size, count = 0, start = 0;
	char **strings;
	char *bytes;

	*settings = NULL;
	if (fd < 0 || !S_ISREG(st.st_mode) || st.st_size == 0)
		return STATUS_OK;
	size = (size_t)st.st_size;
	bytes = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
	(void)close(fd);
	if (bytes == MAP_FAILED)
		return STATUS_INTERNAL;

	for (size_t i = 0; i < size; i++)
		count += bytes[i] == '\0';
	if ((strings = calloc(count + 1, sizeof(*strings))) != NULL) {
		for (size_t i = 0; i < count; i++) {
			strings[i] = bytes + start;
			start += strlen(strings[i]) + 1;
		}
		*settings = copy_environment(strings);
		free(strings);
	}
	(void)munmap(bytes, size);
	return *settings == NULL ? STATUS_INTERNAL : STATUS_OK;
}

/*
 * The path of this program, for the workers: as we were called, so that a
 * symbolic link is followed anew at each start, or else as the kernel has it.
 */
static const char *
own_path(const char *called, char *buffer, size_t size)
{
	ssize_t length;

	if (called != NULL && called[0] == '/' && access(called, X_OK) == 0)
		return called;
	length = readlink("/proc/self/exe", buffer, size - 1);
	if (length <= 0 || (size_t)length >= size - 1)
		return NULL;
	buffer[length] = '\0';
	return buffer;
}

/* Be the master of *workers* workers.  Returns the exit status. */
static int
supervise(const char *called, unsigned workers)
{
	char buffer[4096];
	const char *path;
	char **copy;
	int exit_status;

	if ((path = own_path(called, buffer, sizeof(buffer))) == NULL ||
	    (copy = copy_environment(environ)) == NULL) {
		log_event(LOG_LEVEL_ERROR, "start",
		    LOG_FIELDS(log_text("role", "master"),
			log_text("reason", strerror(errno))));
		return EX_OSERR;
	}
	settings_scrub(environ);
	exit_status = master_run(path, workers, copy);
	free_environment(copy);
	return exit_status;
}

/*
 * Open the log, or say in *complaint* what is wrong with TODO_LOG:
 * STATUS_INVALID if its form is, STATUS_UNAVAILABLE if the file cannot be
 * opened.  A log file that the master has open is taken over from there, so
 * that a worker writes to it whoever owns the file by now.
 */
static enum status
prepare_log(char complaint[SETTINGS_COMPLAINT_SIZE])
{
	const char *target = getenv("TODO_LOG");
	struct stat st;
	int fd = descriptor_named("TODO_LOG_FD", &st);
	bool is_path;

	if (target != NULL && *target == '\0')
		target = NULL;
	is_path = target != NULL && target[0] == '/';
	if (is_path && fd >= 0) {
		log_inherit(fd);
		return STATUS_OK;
	}
	if (log_open(target) == STATUS_OK)
		return STATUS_OK;
	(void)snprintf(complaint, SETTINGS_COMPLAINT_SIZE, "TODO_LOG: %s: %s",
	    is_path ? strerror(errno)
		    : "neither stderr, syslog nor an absolute path",
	    target == NULL ? "" : target);
	return is_path ? STATUS_UNAVAILABLE : STATUS_INVALID;
}

/*
 * Read the settings, the master's or those of the environment, and check them.
 * If one is wrong, STATUS_INVALID, *complaint* is a line that names it.
 */
static enum status
prepare(char complaint[SETTINGS_COMPLAINT_SIZE], struct settings **settings)
{
	char **received;
	enum status status;

	*settings = NULL;
	status = receive_settings(&received);
	if (status == STATUS_OK)
		status = settings_read(
		    received != NULL ? received : environ, complaint, settings);
	free_environment(received);
	if (status == STATUS_INTERNAL)
		(void)snprintf(
		    complaint, SETTINGS_COMPLAINT_SIZE, "out of memory");
	if (status == STATUS_OK &&
	    (status = option_file_check((*settings)->db_defaults_file)) !=
		STATUS_OK)
		(void)snprintf(complaint, SETTINGS_COMPLAINT_SIZE,
		    "TODO_DB_DEFAULTS_FILE: %s: %s",
		    errno != 0 ? strerror(errno)
			       : "the file has no group [todo]",
		    (*settings)->db_defaults_file);
	return status;
}

/* Log a *warning* about the settings. */
static void
log_warning(const char *warning)
{
	log_event(LOG_LEVEL_WARNING, "settings",
	    LOG_FIELDS(log_text("reason", warning)));
}

/* Tell of *complaint* where people look first, and in the log. */
static void
tell_complaint(const char *complaint)
{
	if (!log_is_stderr())
		(void)dprintf(STDERR_FILENO, "todo-fcgi: %s\n", complaint);
	log_event(LOG_LEVEL_ERROR, "settings",
	    LOG_FIELDS(log_text("reason", complaint)));
}

/* Read the settings and start.  Returns the exit status. */
static int
start(const char *called, unsigned workers)
{
	char complaint[SETTINGS_COMPLAINT_SIZE];
	enum status log_status = prepare_log(complaint), status;
	struct settings *settings;
	unsigned warnings = 0;
	int exit_status;

	/* A log that cannot be opened stops nobody: its lines go where they
	 * go by default. */
	if (log_status != STATUS_OK && log_open(NULL) == STATUS_OK)
		tell_complaint(complaint);
	if (log_status == STATUS_INVALID)
		return EX_CONFIG;
	if ((status = prepare(complaint, &settings)) != STATUS_OK) {
		tell_complaint(complaint);
		return status == STATUS_INVALID ? EX_CONFIG : EX_OSERR;
	}
	/* What the master has said, its workers need not; but whoever would
	 * take the place of a worker that may be well takes no option file
	 * that the library reads otherwise than it is meant. */
	if (getenv("TODO_SETTINGS_FD") == NULL)
		settings_warn(environ, log_warning);
	if (getenv("TODO_SETTINGS_FD") == NULL || getenv("TODO_RELOAD") != NULL)
		warnings = option_file_lint(settings->db_defaults_file,
		    "TODO_DB_DEFAULTS_FILE", log_warning);
	if (getenv("TODO_RELOAD") != NULL && warnings > 0) {
		exit_status = EX_CONFIG;
	} else if (workers > 0) {
		exit_status = supervise(called, workers);
	} else {
		settings_scrub(environ);
		exit_status = work(settings);
	}
	settings_free(settings);
	return exit_status;
}

/* Check the settings, and *with_database* log in.  Returns the exit status. */
static int
check(bool with_database)
{
	char complaint[SETTINGS_COMPLAINT_SIZE];
	const char *target = getenv("TODO_LOG");
	struct settings *settings = NULL;
	int exit_status, made = -1;
	enum status status;

	/* A log file that is made here would be owned by whoever checks, and
	 * not be open to whoever runs the service. */
	if (target != NULL && target[0] == '/')
		made = open(target, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC,
		    S_IRUSR | S_IWUSR);
	status = prepare_log(complaint);
	if (made >= 0) {
		(void)unlink(target);
		(void)close(made);
	}
	if (status == STATUS_OK)
		status = prepare(complaint, &settings);
	log_silence();
	if (status != STATUS_OK) {
		(void)fprintf(stderr, "todo-fcgi: %s\n", complaint);
		exit_status = status == STATUS_INTERNAL ? EX_OSERR : EX_CONFIG;
	} else {
		exit_status = check_settings(settings, with_database);
	}
	settings_free(settings);
	return exit_status;
}

static const char help[] =
    "usage: todo-fcgi           one worker, on the listening socket 0\n"
    "       todo-fcgi -w N      N workers, replaced when they die\n"
    "       todo-fcgi -t        check the settings, log in to the database,\n"
    "                           and print what is in force\n"
    "       todo-fcgi -T        check the settings, without the database\n"
    "       todo-fcgi -R        print the routes\n"
    "       todo-fcgi -V        print the version\n"
    "       todo-fcgi -h        print this\n"
    "\n"
    "Long options: --workers=N --test --test-settings --routes --version\n"
    "--help\n"
    "\n"
    "Settings, in the environment:\n"
    "  BETTER_AUTH_SECRET       the secret shared with the issuer, or\n"
    "  BETTER_AUTH_SECRET_FILE  the file that holds the secret, or\n"
    "  BETTER_AUTH_SECRETS      version:secret, separated by commas\n"
    "  BETTER_AUTH_URL          the issuer's base URL\n"
    "  JWT_ISSUER               \"iss\" of a token (default: origin of that)\n"
    "  JWT_AUDIENCE             \"aud\" of a token (default: the same origin)\n"
    "  JWT_LEEWAY               seconds that clocks may differ by (10)\n"
    "  JWT_MAX_LIFETIME         longest life of a token in seconds (86400)\n"
    "  TODO_DB_DEFAULTS_FILE    a MariaDB option file with a group [todo]\n"
    "  TODO_LOG                 stderr, syslog, or the absolute path of a "
    "file\n";

static int
usage(void)
{
	(void)fputs(help, stderr);
	return EX_USAGE;
}

/*
 * What must be so before anything else is done.  From exec to here a signal
 * still has the effect that it had in the process that called exec.
 */
static void
secure_process(void)
{
	static const int ignored[] = { SIGPIPE, SIGUSR1, SIGUSR2, SIGXFSZ };
	sigset_t reload, timer;
	int fd;

	/* HUP waits until it is known who is to have it: the master obeys it,
	 * a worker ignores it. */
	(void)sigemptyset(&reload);
	(void)sigaddset(&reload, SIGHUP);
	(void)sigprocmask(SIG_BLOCK, &reload, NULL);
	/* Time limits rely on ALRM, which may have been blocked before exec. */
	(void)sigemptyset(&timer);
	(void)sigaddset(&timer, SIGALRM);
	(void)sigprocmask(SIG_UNBLOCK, &timer, NULL);
	for (size_t i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++)
		(void)signal(ignored[i], SIG_IGN);

	/* Else the first connection to the database could become descriptor
	 * 2, and have the log. */
	do {
		fd = open("/dev/null", O_RDWR);
	} while (fd >= 0 && fd < STDERR_FILENO);
	if (fd > STDERR_FILENO)
		(void)close(fd);

	/* Secrets and tokens are in our memory: no copy of it anywhere.  To
	 * the kernel 0 means no file, but 1 no file and no pipe either. */
	if (setrlimit(RLIMIT_CORE, &(struct rlimit) { 1, 1 }) != 0)
		(void)setrlimit(RLIMIT_CORE, &(struct rlimit) { 0, 0 });
}

int
main(int argc, char *argv[])
{
	static const struct option options[] = {
		{ "help", no_argument, NULL, 'h' },
		{ "routes", no_argument, NULL, 'R' },
		{ "test", no_argument, NULL, 't' },
		{ "test-settings", no_argument, NULL, 'T' },
		{ "version", no_argument, NULL, 'V' },
		{ "workers", required_argument, NULL, 'w' },
		{ NULL, 0, NULL, 0 },
	};
	unsigned long workers = 0;
	int option, task = 0;
	char *end;

	secure_process();
	while ((option = getopt_long(argc, argv, "hRtTVw:", options, NULL)) !=
	    -1) {
		switch (option) {
		case 'h':
		case 'R':
		case 't':
		case 'T':
		case 'V':
			task = option;
			break;
		case 'w':
			errno = 0;
			workers = strtoul(optarg, &end, 10);
			if (optarg[0] < '0' || optarg[0] > '9' ||
			    *end != '\0' || errno != 0 || workers == 0 ||
			    workers > WORKERS_MAX)
				return usage();
			break;
		default:
			return usage();
		}
	}
	if (optind != argc)
		return usage();

	switch (task) {
	case 0:
		return start(argv[0], (unsigned)workers);
	case 't':
	case 'T':
		return check(task == 't');
	case 'R':
		router_print(stdout);
		break;
	case 'V':
		printf("todo-fcgi %s\n", PACKAGE_VERSION);
		break;
	default:
		(void)fputs(help, stdout);
		break;
	}
	return fflush(stdout) == 0 ? EX_OK : EX_IOERR;
}
