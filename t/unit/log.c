/*
 * Goal: each event is one line, whatever its values hold, and the line reaches
 * the log that the operator chose or, by default, the log of the platform.
 */

#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <syslog.h>
#include <unistd.h>

#include "tap.h"

/* The last message to syslog, which a test must not write to. */
static char sent[8192];
static int sent_flags;

int
connect(int fd, const struct sockaddr *address, socklen_t size)
{
	const struct sockaddr_un *to = (const void *)address;

	(void)fd;
	(void)size;
	if (strcmp(to->sun_path, "/dev/log") != 0)
		abort();
	return 0;
}

ssize_t
send(int fd, const void *bytes, size_t length, int flags)
{
	(void)fd;
	if (length >= sizeof(sent))
		abort();
	sent_flags = flags;
	memcpy(sent, bytes, length);
	sent[length] = '\0';
	return (ssize_t)length;
}

/* Is the last message *text*, with *priority* and the name of the program? */
static bool
was_sent(int priority, const char *text)
{
	char head[16], name[48];
	const char *found;

	(void)snprintf(head, sizeof(head), "<%d>", LOG_DAEMON | priority);
	(void)snprintf(name, sizeof(name), " todo-fcgi[%ld]: ", (long)getpid());
	found = strstr(sent, name);
	return strncmp(sent, head, strlen(head)) == 0 && found != NULL &&
	    found - sent == (ptrdiff_t)strlen(head) + 15 &&
	    strcmp(found + strlen(name), text) == 0;
}

static char folder[] = "/tmp/todo-log-XXXXXX";
static char path[64], moved[64];

/* Return the content of the file *name*. */
static const char *
slurp(const char *name)
{
	static char text[8192];
	int file = open(name, O_RDONLY);
	ssize_t length = file < 0 ? -1 : read(file, text, sizeof(text) - 1);

	(void)close(file);
	text[length < 0 ? 0 : length] = '\0';
	return text;
}

/* Is *line* a time and *rest*, which ends with the only line feed? */
static bool
is_line(const char *line, const char *rest)
{
	return strncmp(line, "time=20", 7) == 0 && strlen(line) > 33 &&
	    strcmp(line + 33, rest) == 0;
}

static void
clear(void)
{
	if (truncate(path, 0) != 0)
		abort();
}

/* Make the file *name* standard error; NULL: close standard error. */
static void
standard_error(const char *name)
{
	(void)close(STDERR_FILENO);
	if (name != NULL &&
	    open(name, O_WRONLY | O_CREAT | O_APPEND, 0600) != STDERR_FILENO)
		abort();
}

static void
where(void)
{
	struct stat st;

	standard_error(path);
	ok(log_open(NULL) == STATUS_OK && log_is_stderr(),
	    "the default log is standard error");
	log_event(LOG_LEVEL_INFO, "one", NULL);
	ok(is_line(slurp(path), "level=info event=one\n"),
	    "standard error gets the line");

	standard_error("/dev/null");
	ok(log_open(NULL) == STATUS_OK && !log_is_stderr(),
	    "if standard error is /dev/null, the default log is another");
	log_event(LOG_LEVEL_INFO, "two", LOG_FIELDS(log_text("key", "value")));
	ok(was_sent(LOG_INFO, "level=info event=two key=value"),
	    "the default log is then syslog, and lines have no time");
	ok((sent_flags & MSG_DONTWAIT) != 0, "sending to syslog does not wait");
	log_event(LOG_LEVEL_WARNING, "two", NULL);
	ok(was_sent(LOG_WARNING, "level=warning event=two"),
	    "syslog gets the priority of a warning");
	log_event(LOG_LEVEL_ERROR, "two", LOG_FIELDS(log_text("key", "%s%n")));
	ok(was_sent(LOG_ERR, "level=error event=two key=%s%n"),
	    "syslog gets the priority of an error, and a value is no format");
	ok(log_open("stderr") == STATUS_OK && log_is_stderr(),
	    "TODO_LOG=stderr is standard error, even /dev/null");
	standard_error(NULL);
	ok(log_open(NULL) == STATUS_OK && !log_is_stderr(),
	    "if standard error is closed, the default log is another");

	/* Otherwise the next file would become descriptor 2. */
	standard_error("/dev/null");
	ok(log_open(path) == STATUS_OK && !log_is_stderr(), "a file is opened");
	log_event(LOG_LEVEL_INFO, "three", NULL);
	ok(strstr(slurp(path), "event=one") != NULL &&
		strstr(slurp(path), "event=three") != NULL,
	    "lines are appended to the file");
	if (rename(path, moved) != 0)
		abort();
	log_event(LOG_LEVEL_INFO, "four", NULL);
	ok(strstr(slurp(moved), "event=four") != NULL,
	    "after a rename, lines go to the renamed file");
	ok(log_open("log") == STATUS_INVALID && errno == EINVAL,
	    "a relative path is refused");
	ok(log_open("/nonexistent/log") == STATUS_INVALID && errno == ENOENT,
	    "a path in a missing folder is refused");
	log_event(LOG_LEVEL_INFO, "five", NULL);
	ok(strstr(slurp(moved), "event=five") != NULL,
	    "after a refusal the log is the one from before");
	ok(log_open(path) == STATUS_OK, "the path is opened again");
	log_event(LOG_LEVEL_INFO, "six", NULL);
	ok(is_line(slurp(path), "level=info event=six\n"),
	    "lines go to the new file");
	ok(stat(path, &st) == 0 && (st.st_mode & 07777) == 0640,
	    "the mode of the new file is 0640");
}

static void
what(void)
{
	static const struct {
		const char *value, *written;
	} table[] = {
		{ "plain", "plain" },
		{ "/api/{user_id}/tasks", "/api/{user_id}/tasks" },
		{ "", "\"\"" },
		{ "two words", "\"two words\"" },
		{ "a=b", "\"a=b\"" },
		{ "\"\\", "\"\\\"\\\\\"" },
		{ "x\n", "\"x\\x0a\"" },
		{ "\r\t\x1b[31m\x7f", "\"\\x0d\\x09\\x1b[31m\\x7f\"" },
		{ "\xc3\xa9\xff", "\"\\xc3\\xa9\\xff\"" },
	};
	static char longest[6000];
	char wanted[128];
	const char *line;

	for (size_t i = 0; i < ARRAY_COUNT(table); i++) {
		clear();
		log_event(LOG_LEVEL_ERROR, "e",
		    LOG_FIELDS(log_text("left out", NULL),
			log_text("key", table[i].value),
			log_number("after", 1)));
		(void)snprintf(wanted, sizeof(wanted),
		    "level=error event=e key=%s after=1\n", table[i].written);
		ok(is_line(slurp(path), wanted), "value %zu", i);
	}

	clear();
	memset(longest, 'x', sizeof(longest) - 1);
	log_event(LOG_LEVEL_INFO, "e",
	    LOG_FIELDS(log_text("key", longest), log_text("after", "1")));
	line = slurp(path);
	ok(strstr(line, "xxx after=1\n") != NULL && strlen(line) < 600,
	    "a value of 5,999 bytes is cut");
	clear();
	memset(longest, '\n', sizeof(longest) - 1);
	log_event(LOG_LEVEL_INFO, "e",
	    LOG_FIELDS(log_text("a", longest), log_text("b", longest),
		log_text("c", longest), log_text("d", longest)));
	line = slurp(path);
	ok(strlen(line) <= 4000 && strchr(line, '\n') == strchr(line, '\0') - 1,
	    "a line of four such values is cut, and ends with a line feed");
}

/* Slices end at their length, and may hold a NUL; numbers are signed. */
static void
types(void)
{
	static const struct {
		struct log_field field;
		const char *written;
	} table[] = {
		{ { .key = "key", .text = { "value and more", 5 } },
		    "key=value" },
		{ { .key = "key", .text = { "a\0b", 3 } }, "key=\"a\\x00b\"" },
		{ { .key = "key", .text = { "", 0 } }, "key=\"\"" },
		{ { .key = "key", .is_number = true }, "key=0" },
		{ { .key = "key", .number = -10, .is_number = true },
		    "key=-10" },
		{ { .key = "key", .number = INT64_MAX, .is_number = true },
		    "key=9223372036854775807" },
		{ { .key = "key", .number = INT64_MIN, .is_number = true },
		    "key=-9223372036854775808" },
	};
	char wanted[128];

	for (size_t i = 0; i < ARRAY_COUNT(table); i++) {
		clear();
		log_event(LOG_LEVEL_INFO, "e", LOG_FIELDS(table[i].field));
		(void)snprintf(wanted, sizeof(wanted),
		    "level=info event=e %s\n", table[i].written);
		ok(is_line(slurp(path), wanted), "field %zu", i);
	}
	clear();
	log_event(LOG_LEVEL_INFO, "e",
	    LOG_FIELDS(log_slice("none", (struct slice) { NULL, 0 }),
		log_slice("slice", SLICE("a b")), log_number("number", 20)));
	ok(is_line(slurp(path), "level=info event=e slice=\"a b\" number=20\n"),
	    "a slice without data is left out");
}

int
main(void)
{
	if (mkdtemp(folder) == NULL)
		return 1;
	(void)snprintf(path, sizeof(path), "%s/log", folder);
	(void)snprintf(moved, sizeof(moved), "%s/moved", folder);
	where();
	what();
	types();
	(void)unlink(path);
	(void)unlink(moved);
	(void)rmdir(folder);
	return tap_done();
}
