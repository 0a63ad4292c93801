#include "db/option_file.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"

/* Room for a key, cut if it is longer than every key that is known. */
#define KEY_SIZE 32

#define WARNING_SIZE 512

/* The keys that MariaDB Connector/C 3.3 knows. */
static const char *const known_keys[] = { "bind-address", "character-sets-dir",
	"compress", "connect-timeout", "connection", "database", "debug",
	"default-auth", "default-character-set", "disable-local-infile", "host",
	"init-command", "interactive-timeout", "local-infile",
	"max-allowed-packet", "multi-queries", "multi-results",
	"multi-statements", "net-buffer-length", "password", "pipe",
	"plugin-dir", "port", "protocol", "reconnect", "report-data-truncation",
	"restricted-auth", "return-found-rows", "secure-auth",
	"server-public-key", "shared-memory-base-name", "socket", "ssl-ca",
	"ssl-capath", "ssl-cert", "ssl-cipher", "ssl-crl", "ssl-crlpath",
	"ssl-enforce", "ssl-fp", "ssl-fp-list", "ssl-fplist", "ssl-key",
	"ssl-passphrase", "ssl-verify-server-cert", "timeout", "tls-ca",
	"tls-capath", "tls-cert", "tls-cipher", "tls-crl", "tls-crlpath",
	"tls-enforce", "tls-fp", "tls-fplist", "tls-key", "tls-passphrase",
	"tls-verify-peer", "tls-version", "user" };

/* The keys with a number, of which Connector/C reads the leading digits. */
static const char *const number_keys[] = { "connect-timeout",
	"interactive-timeout", "max-allowed-packet", "net-buffer-length",
	"port", "timeout" };

enum group { GROUP_NONE, GROUP_TODO, GROUP_SHARED, GROUP_OTHER };

enum status
option_file_check(const char *path)
{
	enum status status = STATUS_INVALID;
	char line[256];
	FILE *file;

	if ((file = fopen(path, "re")) == NULL)
		return STATUS_INVALID;
	errno = 0;
	while (fgets(line, sizeof(line), file) != NULL) {
		const char *text = line + strspn(line, " \t");

		if (strncmp(text, "[todo]", 6) == 0 ||
		    strncmp(text, "!include", 8) == 0)
			status = STATUS_OK;
	}
	if (ferror(file))
		status = STATUS_INVALID;
	(void)fclose(file);
	return status;
}

/* The group that *line*, "[name]", begins. */
static enum group
group_of(const char *line)
{
	/* Connector/C reads these groups for every program. */
	static const char *const shared[] = { "[client]", "[client-server]",
		"[client-mariadb]" };

	if (strncmp(line, "[todo]", 6) == 0)
		return GROUP_TODO;
	for (size_t i = 0; i < ARRAY_COUNT(shared); i++)
		if (strncmp(line, shared[i], strlen(shared[i])) == 0)
			return GROUP_SHARED;
	return GROUP_OTHER;
}

/*
 * Copy the key of *line* as Connector/C compares it, with "-" for "_", and with
 * "?" for a byte that is not printable.
 */
static void
copy_key(const char *line, size_t length, char key[KEY_SIZE])
{
	if (length > KEY_SIZE - 1)
		length = KEY_SIZE - 1;
	for (size_t i = 0; i < length; i++) {
		key[i] = (char)(line[i] == '_' ? '-' : line[i]);
		if (!isgraph((unsigned char)key[i]))
			key[i] = '?';
	}
	key[length] = '\0';
}

/* Is *value* a number in digits alone, perhaps in quotes? */
static bool
is_number(const char *value)
{
	size_t digits;

	value += strspn(value, " \t\"'");
	digits = strspn(value, "0123456789");
	value += digits;
	value += strspn(value, " \t\r\n\"'");
	return digits > 0 && *value == '\0';
}

/*
 * The problem of *line*, "key" or "key = value", in *group*; NULL if there is
 * none.  Keys of other programs may stand in a shared group.
 */
static const char *
option_problem(const char *line, enum group group, char key[KEY_SIZE])
{
	size_t length = strcspn(line, "= \t\r\n");
	const char *rest = line + length + strspn(line + length, " \t");
	bool known;

	copy_key(line, length, key);
	known = length < KEY_SIZE &&
	    array_has_text(known_keys, ARRAY_COUNT(known_keys), key);
	if (group == GROUP_TODO && !known)
		return "the library does not know this key";
	if (*rest == '=' && !is_number(rest + 1) &&
	    array_has_text(number_keys, ARRAY_COUNT(number_keys), key))
		return "its value is not a number in decimal digits only";
	return NULL;
}

/* The problem of *line* or NULL.  *group* is the group that it stands in. */
static const char *
line_problem(const char *line, enum group *group, char key[KEY_SIZE])
{
	(void)snprintf(key, KEY_SIZE, "group");
	if (*line == '[') {
		*group = group_of(line);
		return strchr(line, ']') != NULL
		    ? NULL
		    : "its name has no closing bracket; the library stops "
		      "reading there";
	}
	if (*line == '\0' || strchr("#;!", *line) != NULL)
		return NULL;
	if (*group == GROUP_NONE)
		return "a key stands before the first group; the library "
		       "stops reading there";
	if (*group == GROUP_OTHER)
		return NULL;
	return option_problem(line, *group, key);
}

unsigned
option_file_lint(
    const char *path, const char *setting, void (*warn)(const char *warning))
{
	char key[KEY_SIZE], warning[WARNING_SIZE];
	enum group group = GROUP_NONE;
	unsigned count = 0;
	char *line = NULL;
	size_t size = 0;
	FILE *file;

	if ((file = fopen(path, "re")) == NULL)
		return 0;
	while (getline(&line, &size, file) >= 0) {
		const char *text = line + strspn(line, " \t\r\n");
		const char *problem = line_problem(text, &group, key);

		if (problem == NULL)
			continue;
		(void)snprintf(warning, sizeof(warning), "%s: %s: %s: %s",
		    setting, key, problem, path);
		warn(warning);
		count++;
	}
	free(line);
	(void)fclose(file);
	return count;
}
