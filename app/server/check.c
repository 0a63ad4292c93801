#include "server/check.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/timestamp.h"
#include "db/schema.h"

/* How far the clocks of the two machines may be apart, in microseconds. */
#define CLOCK_TOLERANCE INT64_C(5000000)

/* Room for the statements that are run here. */
#define ARENA_CAP ((size_t)64 * 1024)

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

const char *
check_refusal(struct db *db, struct arena *arena, enum status connected)
{
	enum status status = connected;

	if (status == STATUS_OK)
		status = schema_check(db, arena);
	if (status == STATUS_NONE)
		return "the schema is missing or too old: run sql/migrate";
	if (status != STATUS_OK && db_refused(db))
		return "the database refuses what the option file says";
	if (status == STATUS_OK &&
	    schema_check_grants(db, arena) != STATUS_OK && db_refused(db))
		return "the account lacks a right";
	return NULL;
}

/* The keys that MariaDB Connector/C 3.3 knows. */
static const char *const option_keys[] = { "bind-address", "character-sets-dir",
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

/* Those whose value is a number, of which the library reads the digits. */
static const char *const number_keys[] = { "connect-timeout",
	"interactive-timeout", "max-allowed-packet", "net-buffer-length",
	"port", "timeout" };

static bool
is_among(const char *key, const char *const *keys, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(key, keys[i]) == 0)
			return true;
	return false;
}

/*
 * What is wrong with *line*, "key" or "key = value"?  NULL: nothing.  In a
 * group that is *shared* with other programs, a key may be one of theirs.
 */
static const char *
judge_option(const char *line, bool shared, char key[32])
{
	size_t length = strcspn(line, "= \t\r\n");
	const char *value = line + length + strspn(line + length, " \t");

	(void)snprintf(key, 32, "%.*s", (int)(length < 31 ? length : 31), line);
	for (char *c = key; *c != '\0'; c++) {
		if (*c == '_')
			*c = '-';
		if (!isgraph((unsigned char)*c))
			*c = '?';
	}
	if (!shared &&
	    (length > 31 || !is_among(key, option_keys, COUNT(option_keys))))
		return "the library does not know this key";
	if (!is_among(key, number_keys, COUNT(number_keys)) || *value != '=')
		return NULL;
	value += 1 + strspn(value + 1, " \t\"'");
	length = strspn(value, "0123456789");
	value += length;
	value += strspn(value, " \t\r\n\"'");
	if (length == 0 || *value != '\0')
		return "its value is not a number in digits alone";
	return NULL;
}

unsigned
check_option_file(const char *path, void (*warn)(const char *warning))
{
	unsigned warnings = 0;
	char key[32], warning[SETTINGS_COMPLAINT_SIZE];
	char *line = NULL;
	bool grouped = false, ours = false, shared = false;
	size_t size = 0;
	FILE *file;

	if ((file = fopen(path, "re")) == NULL)
		return 0;
	while (getline(&line, &size, file) >= 0) {
		const char *text = line + strspn(line, " \t\r\n");
		const char *problem;

		if (*text == '[') {
			grouped = true;
			ours = strncmp(text, "[todo]", 6) == 0;
			/* The library reads these for every program. */
			shared = strncmp(text, "[client]", 8) == 0 ||
			    strncmp(text, "[client-server]", 15) == 0 ||
			    strncmp(text, "[client-mariadb]", 16) == 0;
		}
		(void)snprintf(key, sizeof(key), "group");
		if (*text == '[' && strchr(text, ']') == NULL)
			problem = "its name has no end, where the library "
				  "stops reading";
		else if (strchr("[#;!", *text) != NULL) /* or it is empty */
			problem = NULL;
		else if (!grouped)
			problem = "a key stands before the first group, where "
				  "the library stops reading";
		else
			problem = ours || shared
			    ? judge_option(text, shared, key)
			    : NULL;
		if (problem == NULL)
			continue;
		(void)snprintf(warning, sizeof(warning),
		    "TODO_DB_DEFAULTS_FILE: %s: %s: %s", key, problem, path);
		warn(warning);
		warnings++;
	}
	free(line);
	(void)fclose(file);
	return warnings;
}

/* Print *value*, with control characters shown as "?". */
static void
print_value(const char *name, struct slice value)
{
	printf("%-10s", name);
	for (size_t i = 0; i < value.length; i++)
		putchar(iscntrl((unsigned char)value.data[i]) ? '?'
							      : value.data[i]);
	putchar('\n');
}

static void
print_settings(const struct settings *settings)
{
	const struct token_policy *policy = &settings->policy;

	print_value("issuer", policy->issuer);
	print_value("audience", policy->audience);
	for (size_t i = 0; i < policy->secrets.count; i++) {
		struct slice version = policy->secrets.list[i].version;

		printf("%-10s%s%s%.*s, %zu bytes\n", "secret",
		    settings->secret_source,
		    version.data == NULL ? "" : ", version ",
		    (int)version.length,
		    version.data == NULL ? "" : version.data,
		    policy->secrets.list[i].key.length);
	}
	printf("%-10sleeway %" PRId64 " s, longest life %" PRId64 " s\n",
	    "tokens", policy->leeway, policy->max_lifetime);
	print_value("options", slice_of(settings->db_defaults_file));
}

static int
complain(const char *problem, const char *reason, int exit_status)
{
	(void)fprintf(stderr, "todo-fcgi: database: %s%s%s\n", problem,
	    *reason == '\0' ? "" : ": ", reason);
	return exit_status;
}

/* Log in, look around, and print what was found.  Returns the exit status. */
static int
check_database(struct db *db, struct arena *arena)
{
	struct schema_facts facts;
	enum status status = db_connect(db);
	const char *refusal = check_refusal(db, arena, status);
	int64_t apart;

	if (refusal != NULL)
		return complain(refusal, db_reason(db), EX_CONFIG);
	if (status == STATUS_OK)
		status = schema_describe(db, arena, &facts);
	if (status != STATUS_OK)
		return complain("away", db_reason(db), EX_UNAVAILABLE);

	printf("%-10s%s, schema version %" PRId64 "\n", "database",
	    facts.database, facts.version);
	printf("%-10s%s\n", "user", facts.user);
	printf("%-10s%s\n", "server", facts.server);
	apart = facts.time - timestamp_now();
	if (apart < -CLOCK_TOLERANCE || apart > CLOCK_TOLERANCE)
		(void)fprintf(stderr,
		    "todo-fcgi: warning: the clock of the database server is "
		    "%" PRId64 " s off ours\n",
		    apart / 1000000);
	return EX_OK;
}

static bool option_complaint;

/* Of what is wrong in the option file, one line is told. */
static void
complain_option(const char *warning)
{
	if (!option_complaint)
		(void)fprintf(stderr, "todo-fcgi: %s\n", warning);
	option_complaint = true;
}

static void
print_warning(const char *warning)
{
	(void)fprintf(stderr, "todo-fcgi: warning: %s\n", warning);
}

int
check_settings(const struct settings *settings, bool with_database)
{
	int exit_status = EX_OK;
	struct arena *arena;
	struct db *db;

	settings_warn(environ, print_warning);
	if (check_option_file(settings->db_defaults_file, complain_option) > 0)
		return EX_CONFIG;
	if (with_database) {
		arena = arena_new(ARENA_CAP);
		db = db_new(settings->db_defaults_file);
		if (arena == NULL || db == NULL) {
			exit_status = EX_OSERR;
		} else {
			print_settings(settings);
			exit_status = check_database(db, arena);
		}
		db_free(db);
		arena_free(arena);
	}
	if (exit_status == EX_OK)
		printf("todo-fcgi: the settings are right\n");
	return fflush(stdout) == 0 ? exit_status : EX_IOERR;
}
