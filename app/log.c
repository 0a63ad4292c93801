#include "log.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <syslog.h>
#include <unistd.h>

#include "timestamp.h"

/* Lines are written in one write(2) each, so that those of several workers
 * do not mix; PIPE_BUF, below which that holds for pipes, is 4096. */
#define LINE_MAX_LENGTH 4000

/* Milliseconds for whoever reads the lines to go on reading. */
#define PATIENCE 100

/* Longer values are cut. */
#define VALUE_MAX_LENGTH 512

static int descriptor = STDERR_FILENO; /* or -1: syslog */

static const struct {
	const char *name;
	int priority; /* syslog's */
} levels[] = {
	[LOG_LEVEL_INFO] = { "info", LOG_INFO },
	[LOG_LEVEL_WARNING] = { "warning", LOG_WARNING },
	[LOG_LEVEL_ERROR] = { "error", LOG_ERR },
};

struct line {
	char text[LINE_MAX_LENGTH + 1];
	size_t length;
};

/* Is standard error /dev/null, or nothing at all? */
static bool
stderr_is_lost(void)
{
	struct stat st;

	if (fstat(STDERR_FILENO, &st) != 0)
		return true;
	return S_ISCHR(st.st_mode) && st.st_rdev == makedev(1, 3);
}

/* Write to *fd* from now on, or to syslog if it is -1. */
static void
redirect(int fd)
{
	if (descriptor > STDERR_FILENO)
		(void)close(descriptor);
	descriptor = fd;
}

enum status
log_open(const char *target)
{
	if (target == NULL)
		target = stderr_is_lost() ? "syslog" : "stderr";

	if (strcmp(target, "stderr") == 0) {
		redirect(STDERR_FILENO);
	} else if (strcmp(target, "syslog") == 0) {
		openlog("todo-fcgi", LOG_PID, LOG_DAEMON);
		redirect(-1);
	} else if (target[0] == '/') {
		int fd = open(target,
		    O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0640);

		if (fd < 0)
			return STATUS_INVALID;
		redirect(fd);
	} else {
		errno = EINVAL;
		return STATUS_INVALID;
	}
	return STATUS_OK;
}

bool
log_is_stderr(void)
{
	return descriptor == STDERR_FILENO;
}

/* Append *text*; what does not fit is cut, with room left for the newline. */
static void
line_add(struct line *line, const char *text, size_t length)
{
	size_t room = LINE_MAX_LENGTH - 1 - line->length;

	if (length > room)
		length = room;
	memcpy(line->text + line->length, text, length);
	line->length += length;
}

static bool
is_plain(const char *value)
{
	if (*value == '\0')
		return false;
	for (; *value != '\0'; value++)
		if (*value <= ' ' || *value > '~' || *value == '"' ||
		    *value == '\\' || *value == '=')
			return false;
	return true;
}

static void
line_add_value(struct line *line, const char *value)
{
	static const char hex[] = "0123456789abcdef";
	size_t length = strnlen(value, VALUE_MAX_LENGTH);

	if (is_plain(value)) {
		line_add(line, value, length);
		return;
	}
	line_add(line, "\"", 1);
	for (size_t i = 0; i < length; i++) {
		unsigned char c = (unsigned char)value[i];

		if (c == '"' || c == '\\') {
			line_add(line, (char[]) { '\\', (char)c }, 2);
		} else if (c < ' ' || c > '~') {
			line_add(line,
			    (char[]) { '\\', 'x', hex[c >> 4], hex[c & 15] },
			    4);
		} else {
			line_add(line, &value[i], 1);
		}
	}
	line_add(line, "\"", 1);
}

static void
line_add_pair(struct line *line, const char *key, const char *value)
{
	if (line->length > 0)
		line_add(line, " ", 1);
	line_add(line, key, strlen(key));
	line_add(line, "=", 1);
	line_add_value(line, value);
}

/*
 * Can a line be written now?  Whoever stopped reading is waited for once, and
 * from then on not until they have gone on.
 */
static bool
is_writable(void)
{
	static bool stalled;
	struct pollfd fd = { .fd = descriptor, .events = POLLOUT };
	int ready;

	do {
		ready = poll(&fd, 1, stalled ? 0 : PATIENCE);
	} while (ready < 0 && errno == EINTR);
	stalled = ready == 0;
	return ready > 0;
}

/* Write all of the line; a log that cannot be written stops nobody. */
static void
line_write(const struct line *line)
{
	size_t done = 0;

	if (!is_writable())
		return;
	while (done < line->length) {
		ssize_t n = write(
		    descriptor, line->text + done, line->length - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return;
		done += (size_t)n;
	}
}

void
log_event(enum log_level level, const char *event, ...)
{
	char time[TIMESTAMP_LENGTH + 1] = "";
	struct line line;
	va_list pairs;
	const char *key;

	line.length = 0;
	if (descriptor >= 0) {
		timestamp_write(timestamp_now(), time);
		line_add_pair(&line, "time", time);
	}
	line_add_pair(&line, "level", levels[level].name);
	line_add_pair(&line, "event", event);
	va_start(pairs, event);
	while ((key = va_arg(pairs, const char *)) != NULL) {
		const char *value = va_arg(pairs, const char *);

		if (value != NULL)
			line_add_pair(&line, key, value);
	}
	va_end(pairs);

	if (descriptor < 0) {
		line.text[line.length] = '\0';
		syslog(levels[level].priority, "%s", line.text);
		return;
	}
	line.text[line.length++] = '\n';
	line_write(&line);
}
