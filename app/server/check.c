#include "server/check.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/log.h"
#include "base/timestamp.h"
#include "db/option_file.h"
#include "db/schema.h"

/* The clocks of the two machines may differ by this, in microseconds. */
#define CLOCK_TOLERANCE_US INT64_C(5000000)

/* Bytes for the statements of check_database(). */
#define ARENA_CAP ((size_t)64 * 1024)

const char *
check_refusal(struct db *db, struct arena *arena, enum status connected)
{
	enum status status = connected;

	if (status == STATUS_OK)
		status = schema_check(db, arena);
	if (status == STATUS_NONE)
		return "the schema is missing or too old: run sql/migrate";
	if (status != STATUS_OK && db_refused(db))
		return "the database refuses the account or a setting of the "
		       "option file";
	if (status == STATUS_OK &&
	    schema_check_grants(db, arena) != STATUS_OK && db_refused(db))
		return "the account lacks a right";
	return NULL;
}

void
check_log_warning(const char *warning)
{
	log_event(LOG_LEVEL_WARNING, "settings",
	    LOG_FIELDS(log_text("reason", warning)));
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

/* Log in, and print database, account and server.  Returns the exit status. */
static int
check_database(struct db *db, struct arena *arena)
{
	struct schema_facts facts;
	enum status status = db_connect(db);
	const char *refusal = check_refusal(db, arena, status);
	int64_t difference_us;

	if (refusal != NULL)
		return complain(refusal, db_reason(db), EX_CONFIG);
	if (status == STATUS_OK)
		status = schema_describe(db, arena, &facts);
	if (status != STATUS_OK)
		return complain("unreachable", db_reason(db), EX_UNAVAILABLE);

	printf("%-10s%s, schema version %" PRId64 "\n", "database",
	    facts.database, facts.version);
	printf("%-10s%s\n", "user", facts.user);
	printf("%-10s%s\n", "server", facts.server);
	difference_us = facts.time - timestamp_now();
	if (llabs(difference_us) > CLOCK_TOLERANCE_US)
		(void)fprintf(stderr,
		    "todo-fcgi: warning: the clock of the database server is "
		    "%lld s %s the clock of this machine\n",
		    llabs(difference_us) / 1000000,
		    difference_us < 0 ? "behind" : "ahead of");
	return EX_OK;
}

/* Print the first fault of the option file; one line is enough. */
static void
print_first_fault(const char *fault)
{
	static bool was_printed;

	if (!was_printed)
		(void)fprintf(stderr, "todo-fcgi: %s\n", fault);
	was_printed = true;
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
	if (option_file_lint(settings->db_defaults_file,
		"TODO_DB_DEFAULTS_FILE", print_first_fault) > 0)
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
