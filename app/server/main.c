#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/array.h"
#include "base/log.h"
#include "base/text.h"
#include "db/option_file.h"
#include "server/check.h"
#include "server/handoff.h"
#include "server/master.h"
#include "server/router.h"
#include "server/settings.h"
#include "server/worker.h"

#define WORKERS_MAX 1024

/* What the command line says. */
struct command {
	int action;	  /* the letter of an option, or 0: start */
	unsigned workers; /* 0: one worker, without a master */
};

static const char help[] =
    "usage: todo-fcgi           one worker, on the listening socket 0\n"
    "       todo-fcgi -w N      a master that keeps N workers running\n"
    "       todo-fcgi -t        check the settings, log in to the database,\n"
    "                           and print the settings in force\n"
    "       todo-fcgi -T        check the settings, without the database\n"
    "       todo-fcgi -R        print the routes\n"
    "       todo-fcgi -V        print the version\n"
    "       todo-fcgi -h        print this\n"
    "\n"
    "Long options: --workers=N --test --test-settings --routes --version\n"
    "--help\n"
    "\n"
    "Settings, in the environment (and their defaults):\n"
    "  BETTER_AUTH_SECRET       the secret shared with the issuer, or\n"
    "  BETTER_AUTH_SECRET_FILE  the file that holds the secret, or\n"
    "  BETTER_AUTH_SECRETS      version:secret, separated by commas\n"
    "  BETTER_AUTH_URL          the issuer's base URL\n"
    "  JWT_ISSUER               \"iss\" of a token (the URL's origin)\n"
    "  JWT_AUDIENCE             \"aud\" of a token (the URL's origin)\n"
    "  JWT_LEEWAY               seconds that clocks may differ (10)\n"
    "  JWT_MAX_LIFETIME         longest lifetime of a token, seconds (86400)\n"
    "  TODO_DB_DEFAULTS_FILE    a MariaDB option file with a group [todo]\n"
    "  TODO_LOG                 stderr, syslog, or the absolute path of a "
    "file\n";

/*
 * Open the log.  STATUS_INVALID if the form of TODO_LOG is wrong, and
 * STATUS_UNAVAILABLE if the file cannot be opened, with a line that says so in
 * *complaint*.  A worker writes to the log file that its master has open.
 */
static enum status
open_log(char complaint[SETTINGS_COMPLAINT_SIZE])
{
	const char *target = getenv("TODO_LOG");
	int fd = handoff_log_fd();
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
 * Read and check the settings, which a worker has from its master and any other
 * process from the environment.  STATUS_INVALID if a setting is wrong, and
 * STATUS_INTERNAL without memory, with a line that says so in *complaint*.
 */
static enum status
read_settings(
    char complaint[SETTINGS_COMPLAINT_SIZE], struct settings **settings)
{
	char **taken;
	enum status status;

	*settings = NULL;
	status = handoff_take_settings(&taken);
	if (status == STATUS_OK)
		status = settings_read(
		    taken != NULL ? taken : environ, complaint, settings);
	handoff_free_settings(taken);
	if (status == STATUS_INTERNAL)
		(void)snprintf(
		    complaint, SETTINGS_COMPLAINT_SIZE, "out of memory");
	if (status != STATUS_OK)
		return status;

	status = option_file_check((*settings)->db_defaults_file);
	if (status != STATUS_OK)
		(void)snprintf(complaint, SETTINGS_COMPLAINT_SIZE,
		    "TODO_DB_DEFAULTS_FILE: %s: %s",
		    errno != 0 ? strerror(errno)
			       : "the file has no group [todo]",
		    (*settings)->db_defaults_file);
	return status;
}

/* Write *complaint* to the log, and to standard error if the log is not there.
 */
static void
log_complaint(const char *complaint)
{
	if (!log_is_stderr())
		(void)dprintf(STDERR_FILENO, "todo-fcgi: %s\n", complaint);
	log_event(LOG_LEVEL_ERROR, "settings",
	    LOG_FIELDS(log_text("reason", complaint)));
}

/*
 * Log warnings about settings that have the right form.  The master has logged
 * them for its workers.  A worker of a reload must not start if the option file
 * has faults: returns false then.
 */
static bool
check_warnings(const struct settings *settings)
{
	unsigned faults = 0;

	if (!handoff_has_master())
		settings_warn(environ, check_log_warning);
	if (!handoff_has_master() || handoff_is_reload())
		faults = option_file_lint(settings->db_defaults_file,
		    "TODO_DB_DEFAULTS_FILE", check_log_warning);
	return faults == 0 || !handoff_is_reload();
}

/*
 * The path of this program, for the workers.  An absolute path stays as it was
 * given, so that each start follows a symbolic link anew.  NULL, with errno, if
 * the path is unknown.
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

/* Start the master of *workers* workers.  Returns the exit status. */
static int
start_master(const char *called, unsigned workers)
{
	char buffer[4096];
	const char *path = own_path(called, buffer, sizeof(buffer));
	struct handoff handoff = { 0 };
	int exit_status = EX_OSERR;

	if (path != NULL && handoff_init(&handoff, path) == STATUS_OK) {
		settings_scrub(environ);
		exit_status = master_run(&handoff, workers);
	} else {
		log_event(LOG_LEVEL_ERROR, "start",
		    LOG_FIELDS(log_text("role", "master"),
			log_text("reason", strerror(errno))));
	}
	handoff_free(&handoff);
	return exit_status;
}

/* Start a master or a worker.  Returns the exit status. */
static int
start(const char *called, unsigned workers)
{
	char complaint[SETTINGS_COMPLAINT_SIZE];
	enum status status = open_log(complaint);
	struct settings *settings;
	int exit_status;

	/* If the log file cannot be opened, the program starts all the same,
	 * with the default log. */
	if (status != STATUS_OK && log_open(NULL) == STATUS_OK)
		log_complaint(complaint);
	if (status == STATUS_INVALID)
		return EX_CONFIG;
	if ((status = read_settings(complaint, &settings)) != STATUS_OK) {
		log_complaint(complaint);
		settings_free(settings);
		return status == STATUS_INVALID ? EX_CONFIG : EX_OSERR;
	}
	if (!check_warnings(settings)) {
		exit_status = EX_CONFIG;
	} else if (workers > 0) {
		exit_status = start_master(called, workers);
	} else {
		settings_scrub(environ);
		exit_status = worker_run(settings);
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
	int exit_status, created = -1;
	enum status status;

	/* Do not leave a log file behind: the account that runs this check
	 * would own it, and the service could not write to it. */
	if (target != NULL && target[0] == '/')
		created = open(target, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC,
		    S_IRUSR | S_IWUSR);
	status = open_log(complaint);
	if (created >= 0) {
		(void)unlink(target);
		(void)close(created);
	}
	if (status == STATUS_OK)
		status = read_settings(complaint, &settings);
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

/*
 * What must be so before anything else is done.  From exec to here, a signal
 * has the effect that the caller of exec chose.
 */
static void
secure_process(void)
{
	static const int ignored[] = { SIGPIPE, SIGUSR1, SIGUSR2, SIGXFSZ };
	sigset_t reload, timer;
	int fd;

	/* SIGHUP stays pending until this process is a master, which reloads,
	 * or a worker, which ignores it. */
	(void)sigemptyset(&reload);
	(void)sigaddset(&reload, SIGHUP);
	(void)sigprocmask(SIG_BLOCK, &reload, NULL);
	/* Time limits need SIGALRM, which may be blocked since before exec. */
	(void)sigemptyset(&timer);
	(void)sigaddset(&timer, SIGALRM);
	(void)sigprocmask(SIG_UNBLOCK, &timer, NULL);
	for (size_t i = 0; i < ARRAY_COUNT(ignored); i++)
		(void)signal(ignored[i], SIG_IGN);

	/* Open descriptors 0, 1 and 2 if they are closed.  Otherwise the
	 * connection to the database could become descriptor 2, and log lines
	 * would be written to it. */
	do {
		fd = open("/dev/null", O_RDWR);
	} while (fd >= 0 && fd < STDERR_FILENO);
	if (fd > STDERR_FILENO)
		(void)close(fd);

	/* No core dump: memory holds secrets and tokens.  With limit 0 the
	 * kernel writes no file, with limit 1 it does not start a program
	 * that collects core dumps either. */
	if (setrlimit(RLIMIT_CORE, &(struct rlimit) { 1, 1 }) != 0)
		(void)setrlimit(RLIMIT_CORE, &(struct rlimit) { 0, 0 });
}

/* Read the argument of -w.  Returns false if it is not in 1 to WORKERS_MAX. */
static bool
parse_workers(const char *text, unsigned *workers)
{
	uint64_t number;

	if (!text_read_decimal(slice_of(text), &number) || number == 0 ||
	    number > WORKERS_MAX)
		return false;
	*workers = (unsigned)number;
	return true;
}

/* Returns false if the command line is wrong. */
static bool
parse_command(int argc, char *argv[], struct command *command)
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
	int letter;

	while ((letter = getopt_long(argc, argv, "hRtTVw:", options, NULL)) !=
	    -1) {
		if (letter == '?')
			return false;
		if (letter != 'w')
			command->action = letter;
		else if (!parse_workers(optarg, &command->workers))
			return false;
	}
	return optind == argc;
}

int
main(int argc, char *argv[])
{
	struct command command = { 0 };

	secure_process();
	if (!parse_command(argc, argv, &command)) {
		(void)fputs(help, stderr);
		return EX_USAGE;
	}
	switch (command.action) {
	case 'h':
		(void)fputs(help, stdout);
		break;
	case 'R':
		router_print(stdout);
		break;
	case 't':
		return check(true);
	case 'T':
		return check(false);
	case 'V':
		printf("todo-fcgi %s\n", PACKAGE_VERSION);
		break;
	default:
		return start(argv[0], command.workers);
	}
	return fflush(stdout) == 0 ? EX_OK : EX_IOERR;
}
