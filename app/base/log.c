#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/time.h>
#include <sys/un.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "base/text.h"
#include "base/timestamp.h"

/*
 * Each line is one write(2), so that lines of several workers do not mix.  For
 * pipes this holds up to PIPE_BUF bytes, which is 4096.
 */
#define LINE_MAX_LENGTH 4000

/* The longest wait for the reader of the log. */
#define WAIT_MS 100

/* Longer values are cut. */
#define VALUE_MAX_LENGTH 512

/* The socket of the system's log daemon. */
#define SYSLOG_PATH "/dev/log"

/*
 * The kinds of logs, which differ in how a write is kept from waiting for the
 * reader: a socket takes MSG_DONTWAIT, a write to a file does not wait, and a
 * timer interrupts a write to anything else, such as a pipe or a terminal.
 */
enum sink { SINK_FILE, SINK_SOCKET, SINK_OTHER, SINK_SYSLOG };

static enum sink sink = SINK_OTHER;
static int descriptor = STDERR_FILENO; /* SINK_SYSLOG: a socket, or -1 */
static bool to_journal;	  /* lines begin with their priority, as "<6>" */
static bool line_is_open; /* only the beginning of the last line was written */
static bool silent;
static int64_t lost; /* lines lost since a line was last written */

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

/* Is standard error /dev/null or closed? */
static bool
stderr_is_lost(void)
{
	struct stat st;

	if (fstat(STDERR_FILENO, &st) != 0)
		return true;
	return S_ISCHR(st.st_mode) && st.st_rdev == makedev(1, 3);
}

/*
 * Is standard error the journal?  JOURNAL_STREAM has the device and inode of
 * the journal's stream (systemd.exec(5)), which standard error may no longer
 * be.
 */
static bool
stderr_is_journal(void)
{
	const char *text = getenv("JOURNAL_STREAM");
	char expected[64];
	struct stat st;

	if (text == NULL || fstat(STDERR_FILENO, &st) != 0)
		return false;
	(void)snprintf(expected, sizeof(expected), "%llu:%llu",
	    (unsigned long long)st.st_dev, (unsigned long long)st.st_ino);
	return strcmp(text, expected) == 0;
}

/* Does nothing: the signal alone interrupts a write. */
static void
interrupt(int number)
{
	(void)number;
}

/* Write to *fd* from now on.  SINK_OTHER: find out what kind *fd* is. */
static void
redirect(int fd, enum sink kind)
{
	struct sigaction interrupter = { .sa_handler = interrupt };
	struct stat st;

	if (descriptor > STDERR_FILENO && descriptor != fd)
		(void)close(descriptor);
	descriptor = fd;
	sink = kind;
	to_journal = fd == STDERR_FILENO && stderr_is_journal();
	line_is_open = false;
	if (sink != SINK_OTHER)
		return;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
		sink = SINK_FILE;
	else if (fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode))
		sink = SINK_SOCKET;
	else
		(void)sigaction(SIGALRM, &interrupter, NULL);
}

enum status
log_open(const char *target)
{
	/* O_NONBLOCK is for a FIFO or a device.  A FIFO without a reader is
	 * opened for reading too, and then takes lines until it is full. */
	static const int flags = O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY |
	    O_NONBLOCK;
	int fd;

	if (target == NULL)
		target = stderr_is_lost() ? "syslog" : "stderr";

	if (strcmp(target, "stderr") == 0) {
		redirect(STDERR_FILENO, SINK_OTHER);
	} else if (strcmp(target, "syslog") == 0) {
		redirect(-1, SINK_SYSLOG);
	} else if (target[0] == '/') {
		fd = open(target, O_WRONLY | flags, 0640);
		if (fd < 0 && errno == ENXIO)
			fd = open(target, O_RDWR | flags, 0640);
		if (fd < 0)
			return STATUS_INVALID;
		redirect(fd, SINK_OTHER);
	} else {
		errno = EINVAL;
		return STATUS_INVALID;
	}
	return STATUS_OK;
}

void
log_inherit(int fd)
{
	(void)fcntl(fd, F_SETFD, FD_CLOEXEC);
	redirect(fd, SINK_OTHER);
}

int
log_descriptor(void)
{
	return sink == SINK_SYSLOG || descriptor <= STDERR_FILENO ? -1
								  : descriptor;
}

bool
log_is_stderr(void)
{
	return descriptor == STDERR_FILENO;
}

void
log_silence(void)
{
	silent = true;
}

/* Append *text*, cut to what fits, with room left for the newline. */
static void
line_add(struct line *line, const char *text, size_t length)
{
	size_t room = LINE_MAX_LENGTH - 1 - line->length;

	if (length > room)
		length = room;
	memcpy(line->text + line->length, text, length);
	line->length += length;
}

/* Can *value* be written without quotes? */
static bool
is_plain(struct slice value)
{
	for (size_t i = 0; i < value.length; i++) {
		char c = value.data[i];

		if (c <= ' ' || c > '~' || c == '"' || c == '\\' || c == '=')
			return false;
	}
	return value.length > 0;
}

static void
line_add_text(struct line *line, struct slice value)
{
	bool plain = is_plain(value);

	if (value.length > VALUE_MAX_LENGTH)
		value.length = VALUE_MAX_LENGTH;
	if (plain) {
		line_add(line, value.data, value.length);
		return;
	}
	line_add(line, "\"", 1);
	for (size_t i = 0; i < value.length; i++) {
		unsigned char c = (unsigned char)value.data[i];

		if (c == '"' || c == '\\') {
			line_add(line, (char[]) { '\\', (char)c }, 2);
		} else if (c < ' ' || c > '~') {
			line_add(line,
			    (char[]) { '\\', 'x', text_hex_digit(c >> 4),
				text_hex_digit(c) },
			    4);
		} else {
			line_add(line, &value.data[i], 1);
		}
	}
	line_add(line, "\"", 1);
}

static void
line_add_number(struct line *line, int64_t number)
{
	char buffer[TEXT_DECIMAL_SIZE];
	uint64_t absolute = (uint64_t)number;
	struct slice digits;

	if (number < 0) {
		line_add(line, "-", 1);
		absolute = 0 - absolute;
	}
	digits = text_write_decimal(absolute, buffer);
	line_add(line, digits.data, digits.length);
}

static void
line_add_field(struct line *line, struct log_field field)
{
	if (!field.is_number && field.text.data == NULL)
		return;
	if (line->length > 0)
		line_add(line, " ", 1);
	line_add(line, field.key, strlen(field.key));
	line_add(line, "=", 1);
	if (field.is_number)
		line_add_number(line, field.number);
	else
		line_add_text(line, field.text);
}

/*
 * Can a line be written now?  Waits for the reader once; if the reader did not
 * read, later calls do not wait until a line could be written again.
 */
static bool
is_writable(void)
{
	static bool is_stalled;
	struct pollfd fd = { .fd = descriptor, .events = POLLOUT };
	int ready;

	do {
		ready = poll(&fd, 1, is_stalled ? 0 : WAIT_MS);
	} while (ready < 0 && errno == EINTR);
	is_stalled = ready == 0;
	return ready > 0;
}

/* Start or stop the timer that interrupts a write. */
static void
set_timer(bool on)
{
	/* Periodic: the first signal may come before write() is called. */
	const struct timeval time = { 0, on ? WAIT_MS * 1000 : 0 };

	(void)setitimer(ITIMER_REAL, &(struct itimerval) { time, time }, NULL);
}

/* Write to a file, socket, pipe or terminal.  Returns write()'s result. */
static ssize_t
write_some(const char *text, size_t length)
{
	ssize_t n;

	if (sink == SINK_SOCKET)
		return send(
		    descriptor, text, length, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (sink == SINK_FILE)
		return write(descriptor, text, length);
	/* Other processes may have filled it since is_writable(). */
	set_timer(true);
	n = write(descriptor, text, length);
	set_timer(false);
	return n;
}

/* Write *line*.  Returns false if the line or its end is lost. */
static bool
line_write(const struct line *line)
{
	ssize_t n;

	if (!is_writable())
		return false;
	/* End a line that was cut, so that it does not contain this one. */
	if (line_is_open && write_some("\n", 1) != 1)
		return false;
	n = write_some(line->text, line->length);
	line_is_open = n > 0 && (size_t)n < line->length;
	return n == (ssize_t)line->length;
}

/* Connect to the log daemon. */
static bool
connect_syslog(void)
{
	static const struct sockaddr_un address = {
		.sun_family = AF_UNIX,
		.sun_path = SYSLOG_PATH,
	};

	if (descriptor >= 0)
		(void)close(descriptor);
	descriptor = socket(
	    AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (descriptor < 0)
		return false;
	if (connect(descriptor, (const struct sockaddr *)&address,
		sizeof(address)) == 0)
		return true;
	(void)close(descriptor);
	descriptor = -1;
	return false;
}

/*
 * Send *line* to the log daemon, in the format of syslog(3), which is not used
 * because it waits for a daemon that does not read.  Returns false if the line
 * is lost.
 */
static bool
line_send(const struct line *line, int priority)
{
	char text[LINE_MAX_LENGTH + 80], time[32] = "";
	struct tm tm;
	time_t now = (time_t)(timestamp_now() / 1000000);
	int length;

	if (localtime_r(&now, &tm) != NULL)
		(void)strftime(time, sizeof(time), "%b %e %T", &tm);
	length = snprintf(text, sizeof(text), "<%d>%s todo-fcgi[%ld]: %.*s",
	    LOG_DAEMON | priority, time, (long)getpid(), (int)line->length,
	    line->text);
	for (int tries = 0; tries < 2; tries++) {
		if (descriptor < 0 && !connect_syslog())
			return false;
		if (send(descriptor, text, (size_t)length,
			MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
			return true;
		if (errno == EAGAIN || errno == ENOBUFS || errno == EMSGSIZE)
			return false;
		/* The daemon was restarted. */
		(void)close(descriptor);
		descriptor = -1;
	}
	return false;
}

/* Write or send *line*.  Returns false if the line is lost. */
static bool
line_end(struct line *line, enum log_level level)
{
	if (sink == SINK_SYSLOG)
		return line_send(line, levels[level].priority);
	line->text[line->length++] = '\n';
	return line_write(line);
}

/* Log how many lines were lost, after one could be written again. */
static void
log_lost(void)
{
	int64_t count = lost;

	lost = 0;
	log_event(
	    LOG_LEVEL_WARNING, "log", LOG_FIELDS(log_number("lost", count)));
	if (lost > 0)
		lost = count;
}

void
log_event(
    enum log_level level, const char *event, const struct log_field *fields)
{
	char time[TIMESTAMP_LENGTH + 1] = "";
	struct line line;

	if (silent)
		return;
	line.length = 0;
	if (to_journal) {
		line_add(&line,
		    (char[]) { '<', (char)('0' + levels[level].priority), '>' },
		    3);
	}
	if (sink != SINK_SYSLOG) {
		timestamp_write(timestamp_now(), time);
		line_add(&line, "time=", 5);
		line_add(&line, time, strlen(time));
	}
	line_add_field(&line, log_text("level", levels[level].name));
	line_add_field(&line, log_text("event", event));
	for (; fields != NULL && fields->key != NULL; fields++)
		line_add_field(&line, *fields);

	if (!line_end(&line, level))
		lost++;
	else if (lost > 0)
		log_lost();
}
