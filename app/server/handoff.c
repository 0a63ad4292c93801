#include "server/handoff.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/array.h"
#include "base/log.h"

#define SETTINGS_FD "TODO_SETTINGS_FD"
#define LOG_FD "TODO_LOG_FD"
#define READY_FD "TODO_READY_FD"
#define RELOAD "TODO_RELOAD"
#define OTHERS_SERVE "TODO_OTHERS_SERVE"

static const char *const names[] = { SETTINGS_FD, LOG_FD, READY_FD, RELOAD,
	OTHERS_SERVE };

#define REPORT_DATABASE 'D'
#define REPORT_NO_DATABASE '-'

/* Room for "NAME=number". */
#define VARIABLE_SIZE 40

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
			handoff_free_settings(copy);
			return NULL;
		}
	}
	return copy;
}

void
handoff_free_settings(char **settings)
{
	if (settings == NULL)
		return;
	for (size_t i = 0; settings[i] != NULL; i++) {
		explicit_bzero(settings[i], strlen(settings[i]));
		free(settings[i]);
	}
	free(settings);
}

bool
handoff_is_variable(const char *entry)
{
	for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
		size_t length = strlen(names[i]);

		if (strncmp(entry, names[i], length) == 0 &&
		    entry[length] == '=')
			return true;
	}
	return false;
}

/* --- the master's end ----------------------------------------------------- */

/*
 * Take over the pointers of our environment, except variables that are set
 * here, with room for those.  Returns false if there is no memory.
 */
static bool
take_environment(struct handoff *handoff)
{
	size_t count = 0;

	while (environ[count] != NULL)
		count++;
	handoff->environment = calloc(
	    count + ARRAY_COUNT(names) + 1, sizeof(char *));
	if (handoff->environment == NULL)
		return false;
	for (size_t i = 0; i < count; i++)
		if (!handoff_is_variable(environ[i]))
			handoff->environment[handoff->environment_count++] =
			    environ[i];
	return true;
}

enum status
handoff_init(struct handoff *handoff, const char *program)
{
	*handoff = (struct handoff) {
		.program = strdup(program),
		.settings = copy_environment(environ),
	};
	if (handoff->program == NULL || handoff->settings == NULL ||
	    !take_environment(handoff))
		return STATUS_INTERNAL;
	return STATUS_OK;
}

void
handoff_free(struct handoff *handoff)
{
	handoff_free_settings(handoff->settings);
	free(handoff->environment);
	free(handoff->program);
}

/*
 * Write the settings into a file in memory, which stays open when this process
 * becomes the worker.  Returns -1 if that fails.
 */
static int
write_settings(char *const *settings)
{
	int fd = memfd_create("settings", 0);

	for (size_t i = 0; fd >= 0 && settings[i] != NULL; i++) {
		size_t size = strlen(settings[i]) + 1;

		if (write(fd, settings[i], size) != (ssize_t)size)
			return -1;
	}
	return fd >= 0 && lseek(fd, 0, SEEK_SET) == 0 ? fd : -1;
}

/*
 * Write "NAME=*fd*" into *variable*, and keep *fd* open when this process
 * becomes the worker.  Returns false if that fails.
 */
static bool
hand_over(const char *name, int fd, char variable[VARIABLE_SIZE])
{
	(void)snprintf(variable, VARIABLE_SIZE, "%s=%d", name, fd);
	return fd >= 0 && fcntl(fd, F_SETFD, 0) == 0;
}

void
handoff_exec(const struct handoff *handoff, const struct handoff_start *start)
{
	static char reload[] = RELOAD "=1", others_serve[] = OTHERS_SERVE "=1";
	char *arguments[] = { handoff->program, NULL };
	char **next = handoff->environment + handoff->environment_count;
	char ready[VARIABLE_SIZE], settings[VARIABLE_SIZE], log[VARIABLE_SIZE];

	if (!hand_over(READY_FD, start->ready_fd, ready) ||
	    !hand_over(
		SETTINGS_FD, write_settings(handoff->settings), settings))
		return;
	*next++ = ready;
	*next++ = settings;
	if (hand_over(LOG_FD, log_descriptor(), log))
		*next++ = log;
	if (start->reload)
		*next++ = reload;
	if (start->others_serve)
		*next++ = others_serve;
	(void)execve(handoff->program, arguments, handoff->environment);
}

bool
handoff_read_report(int ready_fd, bool *has_database)
{
	char byte;

	if (read(ready_fd, &byte, 1) != 1)
		return false;
	*has_database = byte == REPORT_DATABASE;
	return true;
}

/* --- the worker's end ----------------------------------------------------- */

/*
 * The descriptor whose number is in the variable *name*, with what it is in
 * *st*; -1 if there is none.
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

bool
handoff_has_master(void)
{
	return getenv(SETTINGS_FD) != NULL;
}

bool
handoff_is_reload(void)
{
	return getenv(RELOAD) != NULL;
}

bool
handoff_others_serve(void)
{
	return getenv(OTHERS_SERVE) != NULL;
}

int
handoff_log_fd(void)
{
	struct stat st;

	return descriptor_named(LOG_FD, &st);
}

/* Copy the *size* bytes of *text*, strings with a NUL at the end of each. */
static char **
copy_strings(char *text, size_t size)
{
	size_t count = 0, start = 0;
	char **strings, **copy;

	for (size_t i = 0; i < size; i++)
		count += text[i] == '\0';
	if ((strings = calloc(count + 1, sizeof(*strings))) == NULL)
		return NULL;
	for (size_t i = 0; i < count; i++) {
		strings[i] = text + start;
		start += strlen(strings[i]) + 1;
	}
	copy = copy_environment(strings);
	free(strings);
	return copy;
}

enum status
handoff_take_settings(char ***settings)
{
	struct stat st;
	int fd = descriptor_named(SETTINGS_FD, &st);
	size_t size;
	char *text;

	*settings = NULL;
	if (fd < 0 || !S_ISREG(st.st_mode) || st.st_size == 0)
		return STATUS_OK;
	size = (size_t)st.st_size;
	text = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
	(void)close(fd);
	if (text == MAP_FAILED)
		return STATUS_INTERNAL;
	*settings = copy_strings(text, size);
	(void)munmap(text, size);
	return *settings == NULL ? STATUS_INTERNAL : STATUS_OK;
}

int
handoff_ready_fd(void)
{
	struct stat st;
	int fd = descriptor_named(READY_FD, &st);

	/* A stray variable must not make us write to something else. */
	return fd >= 0 && S_ISFIFO(st.st_mode) ? fd : -1;
}

void
handoff_report(int *ready_fd, bool has_database)
{
	const char byte = has_database ? REPORT_DATABASE : REPORT_NO_DATABASE;
	bool is_sent;

	if (*ready_fd < 0)
		return;
	is_sent = write(*ready_fd, &byte, 1) == 1;
	/* EPIPE: the master no longer waits, because it has sent TERM. */
	if (!is_sent && errno != EPIPE)
		log_event(LOG_LEVEL_WARNING, "ready",
		    LOG_FIELDS(log_text("reason", strerror(errno))));
	if (is_sent && !has_database)
		return;
	(void)close(*ready_fd);
	*ready_fd = -1;
}
