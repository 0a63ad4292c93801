/*
 * Goal: each setting is found, checked and kept; a wrong one is refused with
 * one line that names it and shows no part of its value; and the secrets are
 * gone from the environment when asked.  (What a secret and an origin can be:
 * secrets.c and origin.c.)
 */
#include "server/settings.h"

#include <stdlib.h>
#include <unistd.h>

#include "tap.h"

#define SECRET "0123456789abcdef0123456789abcdef"
#define OTHER "ABCDEFGHIJKLMNOPQRSTUVWXYZ-32byt"

/* What every environment here has, unless a test says otherwise. */
#define URL "BETTER_AUTH_URL=https://todo.example"
#define DB "TODO_DB_DEFAULTS_FILE=/etc/todo/todo.cnf"

#define UTF8 ": is not valid UTF-8, or has U+FFFD in it"
#define ENDS ": has white space or a control character at its beginning or end"

static char complaint[SETTINGS_COMPLAINT_SIZE];

/* Read the settings from up to six entries, ended by NULL. */
static enum status
read_entries(const char *const entries[6], struct settings **settings)
{
	char *environment[7] = { NULL };
	enum status status;

	for (size_t i = 0; i < 6 && entries[i] != NULL; i++)
		environment[i] = strdup(entries[i]);
	*settings = NULL;
	memset(complaint, 'x', sizeof(complaint));
	status = settings_read(environment, complaint, settings);
	/* The settings are copies. */
	for (size_t i = 0; environment[i] != NULL; i++) {
		memset(environment[i], '?', strlen(environment[i]));
		free(environment[i]);
	}
	return status;
}

/* True if the complaint is *line*. */
static bool
complains(const char *line)
{
	return memchr(complaint, '\0', sizeof(complaint)) != NULL &&
	    strcmp(complaint, line) == 0;
}

/* Whatever is read, the whole complaint about it. */
static void
complaints(void)
{
	static const struct {
		const char *entry;
		const char *complaint;
	} table[] = {
		{ "NOTHING=",
		    "BETTER_AUTH_SECRET: not set, nor is "
		    "BETTER_AUTH_SECRET_FILE or BETTER_AUTH_SECRETS" },
		{ "BETTER_AUTH_SECRET=0123456789abcdef0123456789abcde",
		    "BETTER_AUTH_SECRET: has 31 bytes, at least 32 are "
		    "needed" },
		{ "BETTER_AUTH_SECRET=better-auth-secret-12345678901234567890",
		    "BETTER_AUTH_SECRET: is Better Auth's built-in default, "
		    "which everybody knows" },
		{ "BETTER_AUTH_SECRET=" SECRET "\n",
		    "BETTER_AUTH_SECRET" ENDS },
		{ "BETTER_AUTH_SECRET=" SECRET "\xFF",
		    "BETTER_AUTH_SECRET" UTF8 },
		{ "BETTER_AUTH_SECRETS=" SECRET,
		    "BETTER_AUTH_SECRETS, entry 1: is not "
		    "<version>:<secret>" },
		{ "BETTER_AUTH_SECRETS=2:" SECRET ",x:" OTHER,
		    "BETTER_AUTH_SECRETS, entry 2: version is not a number "
		    "from 0 to 9007199254740991 in plain decimal digits" },
		{ "BETTER_AUTH_SECRETS=2:" SECRET ",1:short",
		    "BETTER_AUTH_SECRETS, entry 2: has 5 bytes, at least 32 "
		    "are needed" },
		{ "BETTER_AUTH_SECRETS=1:,2:,3:,4:,5:",
		    "BETTER_AUTH_SECRETS: has 5 entries, at most 4 are "
		    "allowed" },
		{ "BETTER_AUTH_SECRETS=2:" SECRET " ",
		    "BETTER_AUTH_SECRETS" ENDS },
		{ "BETTER_AUTH_SECRETS=2:" SECRET ",1:\xFF" OTHER,
		    "BETTER_AUTH_SECRETS" UTF8 },
		{ "BETTER_AUTH_SECRET_FILE=" SECRET,
		    "BETTER_AUTH_SECRET_FILE: is not an absolute path" },
		{ "BETTER_AUTH_SECRET_FILE=/nonexistent/x",
		    "BETTER_AUTH_SECRET_FILE: cannot be read: No such file or "
		    "directory: /nonexistent/x" },
		{ "BETTER_AUTH_SECRET_FILE=/tmp",
		    "BETTER_AUTH_SECRET_FILE: cannot be read: Is a directory: "
		    "/tmp" },
	};
	static const char *const not_set[] = { "BETTER_AUTH_SECRET",
		"BETTER_AUTH_SECRET=", "BETTER_AUTH_SECRET_=" SECRET,
		"AUTH_SECRET=" SECRET, "better_auth_secret=" SECRET,
		"BETTER_AUTH_SECRETS=", "BETTER_AUTH_SECRET_FILE=" };

	for (size_t i = 0; i < ARRAY_COUNT(table); i++) {
		const char *const entries[6] = { table[i].entry, URL, DB };
		struct settings *settings;

		ok(read_entries(entries, &settings) == STATUS_INVALID &&
			settings == NULL && complains(table[i].complaint),
		    "%s", complaint);
	}
	for (size_t i = 0; i < ARRAY_COUNT(not_set); i++) {
		const char *const entries[6] = { not_set[i], URL, DB };
		struct settings *settings;

		ok(read_entries(entries, &settings) == STATUS_INVALID &&
			complains(table[0].complaint),
		    "sets no secret: %s", not_set[i]);
	}
}

/* Each setting is refused for the same flaws in its text. */
static void
texts(void)
{
	static const char *const names[] = { "BETTER_AUTH_SECRET",
		"BETTER_AUTH_SECRETS", "BETTER_AUTH_SECRET_FILE",
		"BETTER_AUTH_URL", "JWT_ISSUER", "JWT_AUDIENCE", "JWT_LEEWAY",
		"JWT_MAX_LIFETIME", "TODO_DB_DEFAULTS_FILE" };
	static const struct {
		const char *value;
		const char *problem;
	} table[] = {
		{ "60\xFF", UTF8 },
		{ "60\xEF\xBF\xBD", UTF8 },
		{ " 60", ENDS },
		{ "60 ", ENDS },
		{ "60\n", ENDS },
		{ "\x7F"
		  "60",
		    ENDS },
		{ "60\xC2\x85", ENDS },
		{ "\xEF\xBB\xBF"
		  "60",
		    ENDS },
	};

	for (size_t n = 0; n < ARRAY_COUNT(names); n++) {
		for (size_t i = 0; i < ARRAY_COUNT(table); i++) {
			char entry[64], expected[128];
			bool secret = strstr(names[n], "SECRET") != NULL;
			const char *const entries[6] = { entry,
				secret ? URL : "BETTER_AUTH_SECRET=" SECRET,
				URL, DB };
			struct settings *settings;

			snprintf(entry, sizeof(entry), "%s=%s", names[n],
			    table[i].value);
			snprintf(expected, sizeof(expected), "%s%s", names[n],
			    table[i].problem);
			ok(read_entries(entries, &settings) == STATUS_INVALID &&
				complains(expected),
			    "%zu: %s", i, complaint);
			settings_free(settings);
		}
	}
}

static void
precedence(void)
{
	static const struct {
		const char *name;
		const char *entries[6];
		enum status status;
		const char *key; /* or the complaint */
	} table[] = {
		{ "SECRETS before SECRET",
		    { "BETTER_AUTH_SECRET=" OTHER,
			"BETTER_AUTH_SECRETS=1:" SECRET, URL, DB },
		    STATUS_OK, SECRET },
		{ "SECRETS before a SECRET that would not do",
		    { "BETTER_AUTH_SECRET=short",
			"BETTER_AUTH_SECRETS=1:" SECRET, URL, DB },
		    STATUS_OK, SECRET },
		{ "SECRETS before a file",
		    { "BETTER_AUTH_SECRET_FILE=/nonexistent",
			"BETTER_AUTH_SECRETS=1:" SECRET, URL, DB },
		    STATUS_OK, SECRET },
		{ "SECRETS before both",
		    { "BETTER_AUTH_SECRET_FILE=/nonexistent",
			"BETTER_AUTH_SECRET=" OTHER,
			"BETTER_AUTH_SECRETS=1:" SECRET, URL, DB },
		    STATUS_OK, SECRET },
		{ "empty SECRETS count as not set",
		    { "BETTER_AUTH_SECRETS=", "BETTER_AUTH_SECRET=" SECRET, URL,
			DB },
		    STATUS_OK, SECRET },
		{ "an empty file name counts as not set",
		    { "BETTER_AUTH_SECRET_FILE=", "BETTER_AUTH_SECRET=" SECRET,
			URL, DB },
		    STATUS_OK, SECRET },
		{ "SECRET and a file",
		    { "BETTER_AUTH_SECRET=" SECRET,
			"BETTER_AUTH_SECRET_FILE=/nonexistent", URL, DB },
		    STATUS_INVALID,
		    "BETTER_AUTH_SECRET: BETTER_AUTH_SECRET_FILE is set too: "
		    "set only one of them" },
		{ "the first of two entries counts",
		    { "BETTER_AUTH_SECRET=" SECRET, "BETTER_AUTH_SECRET=" OTHER,
			URL, DB },
		    STATUS_OK, SECRET },
	};

	for (size_t i = 0; i < ARRAY_COUNT(table); i++) {
		struct settings *settings;
		enum status status = read_entries(table[i].entries, &settings);

		ok(status == table[i].status &&
			(status == STATUS_OK
				? slice_equal(
				      settings->policy.secrets.list[0].key,
				      slice_of(table[i].key)) &&
				    complaint[0] == '\0'
				: complains(table[i].key)),
		    "%s", table[i].name);
		settings_free(settings);
	}
}

static char secret_file[] = "/tmp/todo-settings-XXXXXX";

/* Read settings whose secret file holds *content*. */
static enum status
read_file(struct slice content, struct settings **settings)
{
	char entry[128];
	const char *const entries[6] = { entry, URL, DB };
	FILE *file = fopen(secret_file, "w");

	if (file == NULL)
		return STATUS_UNAVAILABLE;
	fwrite(content.data, 1, content.length, file);
	fclose(file);
	snprintf(
	    entry, sizeof(entry), "BETTER_AUTH_SECRET_FILE=%s", secret_file);
	return read_entries(entries, settings);
}

static void
files(void)
{
	static char big[65537];
	static const struct {
		const char *name;
		struct slice content;
		const char *problem; /* NULL: accepted */
	} table[] = {
		{ "32 bytes", SLICE(SECRET), NULL },
		{ "white space inside", SLICE("a b\nc\t" SECRET), NULL },
		{ "65,536 bytes", { big, 65536 }, NULL },
		{ "the form of versions", SLICE("2:" SECRET ",1:" OTHER),
		    NULL },
		{ "65,537 bytes", { big, 65537 }, "has more than 65536 bytes" },
		{ "nothing", { "", 0 }, "has 0 bytes, at least 32 are needed" },
		{ "a line feed at the end", SLICE(SECRET "\n"),
		    "ends with a line feed, which would be part of the secret: "
		    "write the file with printf %s" },
		{ "a byte order mark", SLICE("\xEF\xBB\xBF" SECRET),
		    "has white space or a control character at its beginning "
		    "or end" },
		{ "NUL inside", SLICE(SECRET "\0" SECRET), "has a NUL byte" },
		{ "Latin-1", SLICE(SECRET "\xE4!"),
		    "is not valid UTF-8, or has U+FFFD in it" },
	};
	struct settings *settings;
	int file = mkstemp(secret_file);

	if (file < 0) {
		ok(false, "a file to write");
		return;
	}
	close(file);
	memset(big, 'a', sizeof(big));
	for (size_t i = 0; i < ARRAY_COUNT(table); i++) {
		enum status status = read_file(table[i].content, &settings);
		char line[160];

		snprintf(line, sizeof(line), "BETTER_AUTH_SECRET_FILE: %s",
		    table[i].problem == NULL ? "" : table[i].problem);
		if (table[i].problem == NULL)
			ok(status == STATUS_OK &&
				settings->policy.secrets.count == 1 &&
				settings->policy.secrets.list[0].version.data ==
				    NULL &&
				slice_equal(
				    settings->policy.secrets.list[0].key,
				    table[i].content),
			    "file accepted: %s", table[i].name);
		else
			ok(status == STATUS_INVALID && complains(line),
			    "file refused: %s", table[i].name);
		settings_free(settings);
	}
	unlink(secret_file);
}

static void
urls(void)
{
	static const struct {
		const char *entry;
		const char *origin; /* or the complaint */
		bool good;
	} table[] = {
		{ URL, "https://todo.example", true },
		{ "BETTER_AUTH_URL=HTTPS://Todo.Example:443/api/auth",
		    "https://todo.example", true },
		{ "BETTER_AUTH_URL=http://localhost:3000",
		    "http://localhost:3000", true },
		{ "BETTER_AUTH_URL=todo.example",
		    "BETTER_AUTH_URL: does not begin with https:// or http://",
		    false },
		{ "BETTER_AUTH_URL=https://todo.example:99999",
		    "BETTER_AUTH_URL: port is not a number from 1 to 65535 in "
		    "plain decimal digits",
		    false },
	};

	for (size_t i = 0; i < ARRAY_COUNT(table); i++) {
		const char *const entries[6] = { "BETTER_AUTH_SECRET=" SECRET,
			table[i].entry, DB };
		struct settings *settings;
		enum status status = read_entries(entries, &settings);
		struct slice origin = slice_of(table[i].origin);

		if (table[i].good)
			ok(status == STATUS_OK &&
				slice_equal(settings->policy.issuer, origin) &&
				slice_equal(settings->policy.audience, origin),
			    "issuer and audience are %s", table[i].origin);
		else
			ok(status == STATUS_INVALID &&
				complains(table[i].origin),
			    "%s", complaint);
		settings_free(settings);
	}
}

static void
names(void)
{
	static const struct {
		const char *name;
		const char *entries[4];
		const char *issuer, *audience; /* or NULL and the complaint */
	} table[] = {
		{ "issuer overrides", { URL, "JWT_ISSUER=me" }, "me",
		    "https://todo.example" },
		{ "audience overrides", { URL, "JWT_AUDIENCE=you" },
		    "https://todo.example", "you" },
		{ "both override", { URL, "JWT_ISSUER=me", "JWT_AUDIENCE=you" },
		    "me", "you" },
		{ "both, and no URL", { "JWT_ISSUER=me", "JWT_AUDIENCE=you" },
		    "me", "you" },
		{ "they are used byte for byte",
		    { "JWT_ISSUER=https://ME/ :443", "JWT_AUDIENCE=\xC3\xA4" },
		    "https://ME/ :443", "\xC3\xA4" },
		{ "empty ones count as not set",
		    { URL, "JWT_ISSUER=", "JWT_AUDIENCE=" },
		    "https://todo.example", "https://todo.example" },
		{ "no URL", { NULL }, NULL,
		    "JWT_ISSUER: not set, nor is BETTER_AUTH_URL" },
		{ "an empty URL", { "BETTER_AUTH_URL=" }, NULL,

		    "JWT_ISSUER: not set, nor is BETTER_AUTH_URL" },
		{ "no issuer", { "JWT_AUDIENCE=you" }, NULL,

		    "JWT_ISSUER: not set, nor is BETTER_AUTH_URL" },
		{ "no audience", { "JWT_ISSUER=me" }, NULL,

		    "JWT_AUDIENCE: not set, nor is BETTER_AUTH_URL" },
		{ "a wrong URL, needed or not",
		    { "BETTER_AUTH_URL=x", "JWT_ISSUER=me",
			"JWT_AUDIENCE=you" },
		    NULL,
		    "BETTER_AUTH_URL: does not begin with https:// or "
		    "http://" },
	};

	for (size_t i = 0; i < ARRAY_COUNT(table); i++) {
		const char *entries[6] = { "BETTER_AUTH_SECRET=" SECRET, DB };
		struct settings *settings;
		enum status status;

		for (size_t n = 0; n < 4; n++)
			entries[2 + n] = table[i].entries[n];
		status = read_entries(entries, &settings);
		if (table[i].issuer != NULL)
			ok(status == STATUS_OK &&
				slice_equal(settings->policy.issuer,
				    slice_of(table[i].issuer)) &&
				slice_equal(settings->policy.audience,
				    slice_of(table[i].audience)),
			    "names: %s", table[i].name);
		else
			ok(status == STATUS_INVALID &&
				complains(table[i].audience),
			    "names: %s", table[i].name);
		settings_free(settings);
	}
}

static void
numbers(void)
{
	static const struct {
		const char *entry;
		int64_t leeway, max_lifetime; /* leeway -1: refused */
	} table[] = {
		{ "NOTHING=", 10, 86400 },
		{ "JWT_LEEWAY=", 10, 86400 },
		{ "JWT_LEEWAY=0", 0, 86400 },
		{ "JWT_LEEWAY=300", 300, 86400 },
		{ "JWT_LEEWAY=0030", -1, 0 },
		{ "JWT_LEEWAY=00", -1, 0 },
		{ "JWT_LEEWAY=301", -1, 0 },
		{ "JWT_LEEWAY=-1", -1, 0 },
		{ "JWT_LEEWAY=+1", -1, 0 },
		{ "JWT_LEEWAY=1s", -1, 0 },
		{ "JWT_LEEWAY=0x1", -1, 0 },
		{ "JWT_LEEWAY=1.0", -1, 0 },
		{ "JWT_LEEWAY=x", -1, 0 },
		{ "JWT_LEEWAY=18446744073709551616", -1, 0 },
		{ "JWT_LEEWAY=99999999999999999999999999999999999999", -1, 0 },
		{ "JWT_MAX_LIFETIME=", 10, 86400 },
		{ "JWT_MAX_LIFETIME=60", 10, 60 },
		{ "JWT_MAX_LIFETIME=86400", 10, 86400 },
		{ "JWT_MAX_LIFETIME=59", -1, 0 },
		{ "JWT_MAX_LIFETIME=0", -1, 0 },
		{ "JWT_MAX_LIFETIME=86401", -1, 0 },
		{ "JWT_MAX_LIFETIME=1e4", -1, 0 },
		{ "JWT_MAX_LIFETIME=24h", -1, 0 },
		{ "JWT_MAX_LIFETIME=18446744073709555216", -1, 0 },
	};

	for (size_t i = 0; i < ARRAY_COUNT(table); i++) {
		const char *const entries[6] = { "BETTER_AUTH_SECRET=" SECRET,
			table[i].entry, URL, DB };
		struct settings *settings;
		enum status status = read_entries(entries, &settings);
		const char *problem = strncmp(
					  table[i].entry, "JWT_LEEWAY", 10) == 0
		    ? "JWT_LEEWAY: is not a number of seconds from 0 to 300 "
		      "in plain decimal digits"
		    : "JWT_MAX_LIFETIME: is not a number of seconds from 60 "
		      "to 86400 in plain decimal digits";

		if (table[i].leeway >= 0)
			ok(status == STATUS_OK &&
				settings->policy.leeway == table[i].leeway &&
				settings->policy.max_lifetime ==
				    table[i].max_lifetime,
			    "accepted: %s", table[i].entry);
		else
			ok(status == STATUS_INVALID && complains(problem),
			    "refused: %s", table[i].entry);
		settings_free(settings);
	}
}

static void
paths(void)
{
	const char *entries[6] = { "BETTER_AUTH_SECRET=" SECRET, URL };
	struct settings *settings;

	ok(read_entries(entries, &settings) == STATUS_INVALID &&
		complains("TODO_DB_DEFAULTS_FILE: not set"),
	    "no option file");
	entries[2] = "TODO_DB_DEFAULTS_FILE=";
	ok(read_entries(entries, &settings) == STATUS_INVALID &&
		complains("TODO_DB_DEFAULTS_FILE: not set"),
	    "an empty option file");
	entries[2] = DB;
	ok(read_entries(entries, &settings) == STATUS_OK &&
		strcmp(settings->db_defaults_file, "/etc/todo/todo.cnf") == 0,
	    "an option file");
	settings_free(settings);
	settings_free(NULL);
}

static char warned[SETTINGS_COMPLAINT_SIZE];
static unsigned warnings;

static void
take_warning(const char *warning)
{
	snprintf(warned, sizeof(warned), "%s", warning);
	warnings++;
}

static void
misspelt(void)
{
	static const struct {
		const char *entry;
		const char *warning; /* NULL: none */
	} table[] = {
		{ "JWT_ISUER=x",
		    "JWT_ISUER: no setting has this name; did you mean "
		    "JWT_ISSUER?" },
		{ "BETTER_AUTH_SERCET=x",
		    "BETTER_AUTH_SERCET: no setting has this name; did you "
		    "mean BETTER_AUTH_SECRET?" },
		{ "TODO_LOGS",
		    "TODO_LOGS: no setting has this name; did you mean "
		    "TODO_LOG?" },
		{ "TODO_DATABASE=x",
		    "TODO_DATABASE: no setting has this name" },
		{ "JWT_=", "JWT_: no setting has this name" },
		{ "JWT_ISSUER=x", NULL },
		{ "TODO_READY_FD=3", NULL },
		{ "BETTER_AUTH_TELEMETRY=0", NULL },
		{ "TOKEN_LIFETIME=60", NULL },
		{ "PATH=/bin", NULL },
		{ "TODO_A_NAME_OF_64_BYTES_OR_MORE_IS_NOT_LIKE_ANY_SETTING_"
		  "THERE_"
		  "IS=",
		    NULL },
	};

	for (size_t i = 0; i < ARRAY_COUNT(table); i++) {
		char entry[128];
		char *const environment[] = { entry, NULL };

		snprintf(entry, sizeof(entry), "%s", table[i].entry);
		warnings = 0;
		settings_warn(environment, take_warning);
		if (table[i].warning == NULL)
			ok(warnings == 0, "no warning for %s", entry);
		else
			ok(warnings == 1 &&
				strcmp(warned, table[i].warning) == 0,
			    "%s", table[i].warning);
	}
}

static void
scrubbing(void)
{
	char secret[] = "BETTER_AUTH_SECRET=" SECRET;
	char again[] = "BETTER_AUTH_SECRET=" OTHER;
	char secrets[] = "BETTER_AUTH_SECRETS=1:" SECRET;
	char other[] = "AUTH_SECRET=" SECRET;
	char file[] = "BETTER_AUTH_SECRET_FILE=/run/secret";
	char longer[] = "MY_AUTH_SECRET=stays";
	char bare[] = "BETTER_AUTH_SECRET";
	char empty[] = "BETTER_AUTH_SECRET=";
	char *environment[] = { secret, secrets, bare, other, file, longer,
		empty, again, NULL };
	unsigned left = 0;

	settings_scrub(environment);
	for (size_t i = sizeof("BETTER_AUTH_SECRET=") - 1; i < sizeof(secret);
	     i++)
		left += secret[i] != '\0';
	for (size_t i = sizeof("BETTER_AUTH_SECRETS=") - 1; i < sizeof(secrets);
	     i++)
		left += secrets[i] != '\0';
	ok(left == 0, "no byte of a secret is left");
	ok(strcmp(secret, "BETTER_AUTH_SECRET=") == 0 &&
		strcmp(secrets, "BETTER_AUTH_SECRETS=") == 0,
	    "their names stay");
	ok(strcmp(again, "BETTER_AUTH_SECRET=") == 0, "each time it is there");
	ok(strcmp(other, "AUTH_SECRET=") == 0, "AUTH_SECRET too");
	ok(strcmp(file, "BETTER_AUTH_SECRET_FILE=/run/secret") == 0 &&
		strcmp(longer, "MY_AUTH_SECRET=stays") == 0 &&
		strcmp(bare, "BETTER_AUTH_SECRET") == 0,
	    "and nothing else is touched");
}

int
main(void)
{
	complaints();
	texts();
	precedence();
	files();
	urls();
	names();
	numbers();
	paths();
	misspelt();
	scrubbing();
	return tap_done();
}
