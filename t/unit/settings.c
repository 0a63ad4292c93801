/*
 * Goal: settings mean what Better Auth takes them to mean; what is weak or
 * ambiguous is refused with one line that names the setting and never shows
 * its value; and the secrets are gone from the environment when asked.
 */
#include "server/settings.h"

#include <stdlib.h>
#include <unistd.h>

#include "tap.h"

/* 32 bytes, as few as may be. */
#define SECRET "0123456789abcdef0123456789abcdef"
#define OTHER "ABCDEFGHIJKLMNOPQRSTUVWXYZ-32byt"
#define DEFAULT_SECRET "better-auth-secret-12345678901234567890"

#define NBSP "\xC2\xA0"
#define NEL "\xC2\x85"
#define BOM "\xEF\xBB\xBF"

/* What every environment here has, unless a test says otherwise. */
#define URL "BETTER_AUTH_URL=https://todo.example"
#define DB "TODO_DB_DEFAULTS_FILE=/etc/todo/todo.cnf"

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
	/* What was read stands by itself. */
	for (size_t i = 0; environment[i] != NULL; i++) {
		memset(environment[i], '?', strlen(environment[i]));
		free(environment[i]);
	}
	return status;
}

/* Is the complaint one line that begins with *start*? */
static bool
complains(const char *start)
{
	return memchr(complaint, '\0', sizeof(complaint)) != NULL &&
	    strncmp(complaint, start, strlen(start)) == 0 &&
	    strchr(complaint, '\n') == NULL;
}

static void
secrets_taken(void)
{
	static const struct {
		const char *entry;
		const char *keys[SECRETS_MAX];
		const char *versions[SECRETS_MAX];
	} table[] = {
		{ "BETTER_AUTH_SECRET=" SECRET, { SECRET }, { NULL } },
		{ "BETTER_AUTH_SECRET=" SECRET "=:,", { SECRET "=:," }, { 0 } },
		{ "BETTER_AUTH_SECRET=a " NBSP "b" SECRET,
		    { "a " NBSP "b" SECRET }, { NULL } },
		{ "BETTER_AUTH_SECRET=" DEFAULT_SECRET "1",
		    { DEFAULT_SECRET "1" }, { NULL } },
		/* 11 characters, 33 bytes. */
		{ "BETTER_AUTH_SECRET=€€€€€€€€€€€", { "€€€€€€€€€€€" }, { 0 } },

		{ "BETTER_AUTH_SECRETS=1:" SECRET, { SECRET }, { "1" } },
		{ "BETTER_AUTH_SECRETS=2:" SECRET ",1:" OTHER,
		    { SECRET, OTHER }, { "2", "1" } },
		{ "BETTER_AUTH_SECRETS=4:" SECRET ",3:" OTHER ",2:x" SECRET
		  ",1:y" OTHER,
		    { SECRET, OTHER, "x" SECRET, "y" OTHER },
		    { "4", "3", "2", "1" } },
		{ "BETTER_AUTH_SECRETS=0:" SECRET, { SECRET }, { "0" } },
		{ "BETTER_AUTH_SECRETS=007:" SECRET, { SECRET }, { "7" } },
		{ "BETTER_AUTH_SECRETS=+2:" SECRET, { SECRET }, { "2" } },
		{ "BETTER_AUTH_SECRETS=-0:" SECRET, { SECRET }, { "0" } },
		{ "BETTER_AUTH_SECRETS=2abc:" SECRET, { SECRET }, { "2" } },
		{ "BETTER_AUTH_SECRETS=1.9:" SECRET, { SECRET }, { "1" } },
		{ "BETTER_AUTH_SECRETS=1e3:" SECRET, { SECRET }, { "1" } },
		{ "BETTER_AUTH_SECRETS=0x10:" SECRET, { SECRET }, { "0" } },
		{ "BETTER_AUTH_SECRETS=9007199254740991:" SECRET, { SECRET },
		    { "9007199254740991" } },
		{ "BETTER_AUTH_SECRETS=2:a:b:" SECRET, { "a:b:" SECRET },
		    { "2" } },
		{ "BETTER_AUTH_SECRETS= \t2 : " SECRET "\r\n, 1 :" OTHER " ",
		    { SECRET, OTHER }, { "2", "1" } },
		{ "BETTER_AUTH_SECRETS=" BOM NBSP "2:" NBSP SECRET
		  "\xE3\x80\x80\xE2\x80\xA8",
		    { SECRET }, { "2" } },
		{ "BETTER_AUTH_SECRETS=2" NBSP ":" SECRET " x", { SECRET " x" },
		    { "2" } },
	};

	for (size_t i = 0; i < COUNT(table); i++) {
		const char *const entries[6] = { table[i].entry, URL, DB };
		struct settings *settings;
		bool good = read_entries(entries, &settings) == STATUS_OK;
		size_t count = 0;

		while (count < SECRETS_MAX && table[i].keys[count] != NULL)
			count++;
		good = good && settings->policy.secrets.count == count;
		for (size_t n = 0; good && n < count; n++) {
			struct secret *secret =
			    &settings->policy.secrets.list[n];
			const char *version = table[i].versions[n];

			good = slice_equal(
				   secret->key, slice_of(table[i].keys[n])) &&
			    (secret->version.data == NULL) ==
				(version == NULL) &&
			    slice_equal(secret->version, slice_of(version));
		}
		ok(good, "taken: secret %zu", i);
		settings_free(settings);
	}
}

static void
secrets_refused(void)
{
	static const struct {
		const char *entry;
		const char *complaint;
	} table[] = {
		{ "NOTHING=", "BETTER_AUTH_SECRET: not set" },
		{ "BETTER_AUTH_SECRET", "BETTER_AUTH_SECRET: not set" },
		{ "BETTER_AUTH_SECRET=", "BETTER_AUTH_SECRET: not set" },
		{ "BETTER_AUTH_SECRET_=" SECRET,
		    "BETTER_AUTH_SECRET: not set" },
		{ "AUTH_SECRET=" SECRET, "BETTER_AUTH_SECRET: not set" },
		{ "better_auth_secret=" SECRET, "BETTER_AUTH_SECRET: not set" },
		{ "BETTER_AUTH_SECRETS=", "BETTER_AUTH_SECRET: not set" },
		{ "BETTER_AUTH_SECRET_FILE=", "BETTER_AUTH_SECRET: not set" },

		{ "BETTER_AUTH_SECRET=0123456789abcdef0123456789abcde",
		    "BETTER_AUTH_SECRET: shorter than 32 bytes" },
		{ "BETTER_AUTH_SECRET=" DEFAULT_SECRET,
		    "BETTER_AUTH_SECRET: is Better Auth's" },
		{ "BETTER_AUTH_SECRET= " SECRET, "BETTER_AUTH_SECRET: white" },
		{ "BETTER_AUTH_SECRET=" SECRET " ",
		    "BETTER_AUTH_SECRET: white" },
		{ "BETTER_AUTH_SECRET=" SECRET "\n",
		    "BETTER_AUTH_SECRET: white" },
		{ "BETTER_AUTH_SECRET=" SECRET "\r",
		    "BETTER_AUTH_SECRET: white" },
		{ "BETTER_AUTH_SECRET=\t" SECRET, "BETTER_AUTH_SECRET: white" },
		{ "BETTER_AUTH_SECRET=\x01" SECRET,
		    "BETTER_AUTH_SECRET: white" },
		{ "BETTER_AUTH_SECRET=" SECRET "\x7F",
		    "BETTER_AUTH_SECRET: white" },
		{ "BETTER_AUTH_SECRET=" SECRET "\xC2\x9F",
		    "BETTER_AUTH_SECRET: white" },
		{ "BETTER_AUTH_SECRET=" SECRET NBSP,
		    "BETTER_AUTH_SECRET: white" },
		{ "BETTER_AUTH_SECRET=" NEL SECRET,
		    "BETTER_AUTH_SECRET: white" },
		{ "BETTER_AUTH_SECRET=" SECRET "\xE3\x80\x80",
		    "BETTER_AUTH_SECRET: white" },
		{ "BETTER_AUTH_SECRET=" BOM SECRET,
		    "BETTER_AUTH_SECRET: white" },
		{ "BETTER_AUTH_SECRET=" SECRET "\xFF",
		    "BETTER_AUTH_SECRET: not valid UTF-8" },
		{ "BETTER_AUTH_SECRET=\xC3" SECRET,
		    "BETTER_AUTH_SECRET: not valid UTF-8" },
		{ "BETTER_AUTH_SECRET=" SECRET "\xED\xA0\x80",
		    "BETTER_AUTH_SECRET: not valid UTF-8" },

		{ "BETTER_AUTH_SECRETS= ",
		    "BETTER_AUTH_SECRETS, entry 1: not" },
		{ "BETTER_AUTH_SECRETS=,",
		    "BETTER_AUTH_SECRETS, entry 1: not" },
		{ "BETTER_AUTH_SECRETS=" SECRET,
		    "BETTER_AUTH_SECRETS, entry 1: not" },
		{ "BETTER_AUTH_SECRETS=2:" SECRET ",",
		    "BETTER_AUTH_SECRETS, entry 2: not" },
		{ "BETTER_AUTH_SECRETS=2:" SECRET ",,1:" OTHER,
		    "BETTER_AUTH_SECRETS, entry 2: not" },
		{ "BETTER_AUTH_SECRETS=2:" SECRET "," OTHER,
		    "BETTER_AUTH_SECRETS, entry 2: not" },
		{ "BETTER_AUTH_SECRETS=:" SECRET,
		    "BETTER_AUTH_SECRETS, entry 1: the version" },
		{ "BETTER_AUTH_SECRETS=v2:" SECRET,
		    "BETTER_AUTH_SECRETS, entry 1: the version" },
		{ "BETTER_AUTH_SECRETS=-1:" SECRET,
		    "BETTER_AUTH_SECRETS, entry 1: the version" },
		{ "BETTER_AUTH_SECRETS=+-1:" SECRET,
		    "BETTER_AUTH_SECRETS, entry 1: the version" },
		{ "BETTER_AUTH_SECRETS=+ 1:" SECRET,
		    "BETTER_AUTH_SECRETS, entry 1: the version" },
		{ "BETTER_AUTH_SECRETS=9007199254740992:" SECRET,
		    "BETTER_AUTH_SECRETS, entry 1: the version" },
		{ "BETTER_AUTH_SECRETS=99999999999999999999999999:" SECRET,
		    "BETTER_AUTH_SECRETS, entry 1: the version" },
		{ "BETTER_AUTH_SECRETS=2:" SECRET ",2:" OTHER,
		    "BETTER_AUTH_SECRETS, entry 2: the same version" },
		{ "BETTER_AUTH_SECRETS=2:" SECRET ",02x:" OTHER,
		    "BETTER_AUTH_SECRETS, entry 2: the same version" },
		{ "BETTER_AUTH_SECRETS=2:", "BETTER_AUTH_SECRETS, entry 1: s" },
		{ "BETTER_AUTH_SECRETS=2: ",
		    "BETTER_AUTH_SECRETS, entry 1: s" },
		{ "BETTER_AUTH_SECRETS=2:0123456789abcdef0123456789abcde",
		    "BETTER_AUTH_SECRETS, entry 1: shorter" },
		/* White space that is trimmed does not count. */
		{ "BETTER_AUTH_SECRETS=2:0123456789abcdef0123456789abcde  ",
		    "BETTER_AUTH_SECRETS, entry 1: shorter" },
		{ "BETTER_AUTH_SECRETS=2:" SECRET ",1:short",
		    "BETTER_AUTH_SECRETS, entry 2: shorter" },
		{ "BETTER_AUTH_SECRETS=2:" SECRET ",1:" DEFAULT_SECRET,
		    "BETTER_AUTH_SECRETS, entry 2: is Better Auth's" },
		/* Better Auth does not trim these. */
		{ "BETTER_AUTH_SECRETS=2:" SECRET NEL,
		    "BETTER_AUTH_SECRETS, entry 1: white" },
		{ "BETTER_AUTH_SECRETS=2:\x01" SECRET,
		    "BETTER_AUTH_SECRETS, entry 1: white" },
		{ "BETTER_AUTH_SECRETS=2:" SECRET ",1:\xFF" OTHER,
		    "BETTER_AUTH_SECRETS: not valid UTF-8" },
		{ "BETTER_AUTH_SECRETS=5:" SECRET ",4:" SECRET ",3:" SECRET
		  ",2:" SECRET ",1:" SECRET,
		    "BETTER_AUTH_SECRETS, entry 5: one too many" },
	};

	for (size_t i = 0; i < COUNT(table); i++) {
		const char *const entries[6] = { table[i].entry, URL, DB };
		struct settings *settings;

		ok(read_entries(entries, &settings) == STATUS_INVALID &&
			settings == NULL && complains(table[i].complaint) &&
			strstr(complaint, "0123456789") == NULL &&
			strstr(complaint, "ABCDEF") == NULL,
		    "refused: secret %zu, %s", i, complaint);
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
		{ "empty SECRETS are none",
		    { "BETTER_AUTH_SECRETS=", "BETTER_AUTH_SECRET=" SECRET, URL,
			DB },
		    STATUS_OK, SECRET },
		{ "an empty file name is none",
		    { "BETTER_AUTH_SECRET_FILE=", "BETTER_AUTH_SECRET=" SECRET,
			URL, DB },
		    STATUS_OK, SECRET },
		{ "SECRET and a file",
		    { "BETTER_AUTH_SECRET=" SECRET,
			"BETTER_AUTH_SECRET_FILE=/nonexistent", URL, DB },
		    STATUS_INVALID,
		    "BETTER_AUTH_SECRET: BETTER_AUTH_SECRET_FILE is set too" },
		{ "the first of two entries counts",
		    { "BETTER_AUTH_SECRET=" SECRET, "BETTER_AUTH_SECRET=" OTHER,
			URL, DB },
		    STATUS_OK, SECRET },
	};

	for (size_t i = 0; i < COUNT(table); i++) {
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
		const char *complaint; /* NULL if it will do */
	} table[] = {
		{ "32 bytes", SLICE(SECRET), NULL },
		{ "white space inside", SLICE("a b\nc\t" SECRET), NULL },
		{ "65,536 bytes", { big, 65536 }, NULL },
		{ "65,537 bytes", { big, 65537 }, "longer than 64 KiB" },
		{ "31 bytes", { SECRET, 31 }, "shorter than 32 bytes" },
		{ "nothing", { "", 0 }, "shorter than 32 bytes" },
		{ "a line feed at the end", SLICE(SECRET "\n"),
		    "ends with a line feed, which would be part of the secret: "
		    "write it with printf %s" },
		{ "CR LF at the end", SLICE(SECRET "\r\n"), "ends with" },
		{ "CR at the end", SLICE(SECRET "\r"), "white" },
		{ "a space at the start", SLICE(" " SECRET), "white" },
		{ "a line feed at the start", SLICE("\n" SECRET), "white" },
		{ "a byte order mark", SLICE(BOM SECRET), "white" },
		{ "NUL inside", SLICE(SECRET "\0" SECRET), "holds a NUL" },
		{ "NUL at the end", SLICE(SECRET "\0"), "holds a NUL" },
		{ "Latin-1", SLICE(SECRET "\xE4!"), "not valid UTF-8" },
		{ "the default", SLICE(DEFAULT_SECRET), "is Better Auth's" },
		{ "the rotation format", SLICE("2:" SECRET ",1:" OTHER), NULL },
	};
	const char *entries[6] = { "BETTER_AUTH_SECRET_FILE=/nonexistent/x",
		URL, DB };
	struct settings *settings;
	int file = mkstemp(secret_file);

	if (file < 0) {
		ok(false, "a file to write");
		return;
	}
	close(file);
	memset(big, 'a', sizeof(big));
	for (size_t i = 0; i < COUNT(table); i++) {
		enum status status = read_file(table[i].content, &settings);
		char start[160];

		snprintf(start, sizeof(start),
		    "BETTER_AUTH_SECRET_FILE: %.120s",
		    table[i].complaint == NULL ? "" : table[i].complaint);
		if (table[i].complaint == NULL)
			ok(status == STATUS_OK &&
				settings->policy.secrets.count == 1 &&
				settings->policy.secrets.list[0].version.data ==
				    NULL &&
				slice_equal(
				    settings->policy.secrets.list[0].key,
				    table[i].content),
			    "file taken: %s", table[i].name);
		else
			ok(status == STATUS_INVALID &&
				strncmp(complaint, start, strlen(start)) == 0,
			    "file refused: %s", table[i].name);
		settings_free(settings);
	}
	unlink(secret_file);

	ok(read_entries(entries, &settings) == STATUS_INVALID &&
		complains("BETTER_AUTH_SECRET_FILE: cannot be read: No such") &&
		strstr(complaint, "nonexistent") != NULL,
	    "no such file, with its path");
	entries[0] = "BETTER_AUTH_SECRET_FILE=nonexistent";
	ok(read_entries(entries, &settings) == STATUS_INVALID &&
		complains("BETTER_AUTH_SECRET_FILE: cannot be read: No such") &&
		strstr(complaint, "nonexistent") == NULL,
	    "what is no absolute path may be the secret, and is not told");
	entries[0] = "BETTER_AUTH_SECRET_FILE=/tmp";
	ok(read_entries(entries, &settings) == STATUS_INVALID &&
		complains("BETTER_AUTH_SECRET_FILE: cannot be read: Is a dir"),
	    "a directory");
}

static void
urls(void)
{
	static const struct {
		const char *url;
		const char *origin; /* NULL if it is refused */
	} table[] = {
		{ "https://todo.example", "https://todo.example" },
		{ "https://todo.example/", "https://todo.example" },
		{ "HTTPS://ToDo.Example/Api/Auth?a=b#c",
		    "https://todo.example" },
		{ "https://todo.example?x", "https://todo.example" },
		{ "https://todo.example#x@y", "https://todo.example" },
		{ "https://todo.example\\x", "https://todo.example" },
		{ "https://todo.example:443", "https://todo.example" },
		{ "https://todo.example:00443/", "https://todo.example" },
		{ "https://todo.example:", "https://todo.example" },
		{ "https://todo.example:/x", "https://todo.example" },
		{ "https://todo.example:80", "https://todo.example:80" },
		{ "https://todo.example:8443/x", "https://todo.example:8443" },
		{ "https://todo.example:65535", "https://todo.example:65535" },
		{ "https://todo.example:0", "https://todo.example:0" },
		{ "http://localhost", "http://localhost" },
		{ "http://LOCALHOST:80", "http://localhost" },
		{ "http://localhost:443", "http://localhost:443" },
		{ "http://localhost:03000", "http://localhost:3000" },
		{ "http://127.0.0.1:3000", "http://127.0.0.1:3000" },
		{ "http://1.2.3.4.example", "http://1.2.3.4.example" },
		{ "http://a-b_c.example.", "http://a-b_c.example." },
		{ "http://xn--bcher-kva.example",
		    "http://xn--bcher-kva.example" },
		{ "http://[::1]", "http://[::1]" },
		{ "http://[::1]:80/", "http://[::1]" },
		{ "http://[::1]:8080/", "http://[::1]:8080" },
		{ "http://[2001:DB8:0:0::0001]", "http://[2001:db8::1]" },
		{ "http://u1/path:80@x", "http://u1" },

		{ "todo.example", NULL },
		{ "//todo.example", NULL },
		{ "https:todo.example", NULL },
		{ "https:/todo.example", NULL },
		{ "https//todo.example", NULL },
		{ "ftp://todo.example", NULL },
		{ "httpss://todo.example", NULL },
		{ "javascript://todo.example", NULL },
		{ " https://todo.example", NULL },
		{ "https://todo.example ", NULL },
		{ "https://", NULL },
		{ "https:///", NULL },
		{ "https://:443", NULL },
		{ "https:///todo.example", NULL },
		{ "https://?x", NULL },
		{ "https://user@todo.example", NULL },
		{ "https://user:pass@todo.example/", NULL },
		{ "https://@todo.example", NULL },
		{ "https://todo.example:65536", NULL },
		{ "https://todo.example:99999999999", NULL },
		{ "https://todo.example:-1", NULL },
		{ "https://todo.example:+80", NULL },
		{ "https://todo.example:80a", NULL },
		{ "https://todo.example: 80", NULL },
		{ "https://todo.example:80:80", NULL },
		{ "https://todo example", NULL },
		{ "https://todo.example\n", NULL },
		{ "https://to%64o.example", NULL },
		{ "https://t\xC3\xB6"
		  "do.example",
		    NULL },
		{ "https://todo.example,https://b.example", NULL },
		{ "https://*.example", NULL },
		{ "https://127.1", NULL },
		{ "https://127.0.0.01", NULL },
		{ "https://0x7f.1", NULL },
		{ "https://127.0.0.0x1", NULL },
		{ "https://2130706433", NULL },
		{ "https://1.2.3.4.", NULL },
		{ "https://1.2.3.256", NULL },
		{ "https://[::1", NULL },
		{ "https://::1", NULL },
		{ "https://[]", NULL },
		{ "https://[::1]x", NULL },
		{ "https://[::1]x:80", NULL },
		{ "https://[::1%25lo]", NULL },
		{ "https://[1:2:3:4:5:6:7:8:9]", NULL },
		{ "https://[::ffff:1.2.3.4]", NULL },
		{ "https://[todo.example]", NULL },
		{ "https://[1111:2222:3333:4444:5555:6666:7777:8888:9999:AAAA]",
		    NULL },
	};

	for (size_t i = 0; i < COUNT(table); i++) {
		char entry[256];
		const char *const entries[6] = { "BETTER_AUTH_SECRET=" SECRET,
			entry, DB };
		struct settings *settings;
		enum status status;

		snprintf(
		    entry, sizeof(entry), "BETTER_AUTH_URL=%s", table[i].url);
		status = read_entries(entries, &settings);
		if (table[i].origin != NULL)
			ok(status == STATUS_OK &&
				slice_equal(settings->policy.issuer,
				    slice_of(table[i].origin)) &&
				slice_equal(settings->policy.audience,
				    slice_of(table[i].origin)),
			    "origin: %s", table[i].origin);
		else
			ok(status == STATUS_INVALID &&
				complains("BETTER_AUTH_URL: ") &&
				strstr(complaint, "example") == NULL,
			    "no origin: URL %zu, %s", i, complaint);
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
		{ "they are taken as they are",
		    { "JWT_ISSUER= https://ME/ ", "JWT_AUDIENCE=\xC3\xA4" },
		    " https://ME/ ", "\xC3\xA4" },
		{ "empty ones are none",
		    { URL, "JWT_ISSUER=", "JWT_AUDIENCE=" },
		    "https://todo.example", "https://todo.example" },
		{ "no URL", { NULL }, NULL, "JWT_ISSUER: not set" },
		{ "an empty URL", { "BETTER_AUTH_URL=" }, NULL,
		    "JWT_ISSUER: not set" },
		{ "no issuer", { "JWT_AUDIENCE=you" }, NULL,
		    "JWT_ISSUER: not set" },
		{ "no audience", { "JWT_ISSUER=me" }, NULL,
		    "JWT_AUDIENCE: not set" },
		{ "a wrong URL, needed or not",
		    { "BETTER_AUTH_URL=x", "JWT_ISSUER=me",
			"JWT_AUDIENCE=you" },
		    NULL, "BETTER_AUTH_URL: " },
		{ "issuer not UTF-8", { URL, "JWT_ISSUER=\xFF" }, NULL,
		    "JWT_ISSUER: not valid UTF-8" },
		{ "audience not UTF-8", { URL, "JWT_AUDIENCE=\xFF" }, NULL,
		    "JWT_AUDIENCE: not valid UTF-8" },
	};

	for (size_t i = 0; i < COUNT(table); i++) {
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
		{ "JWT_LEEWAY=0030", 30, 86400 },
		{ "JWT_LEEWAY=301", -1, 0 },
		{ "JWT_LEEWAY=-1", -1, 0 },
		{ "JWT_LEEWAY=+1", -1, 0 },
		{ "JWT_LEEWAY= 1", -1, 0 },
		{ "JWT_LEEWAY=1 ", -1, 0 },
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

	for (size_t i = 0; i < COUNT(table); i++) {
		const char *const entries[6] = { "BETTER_AUTH_SECRET=" SECRET,
			table[i].entry, URL, DB };
		struct settings *settings;
		enum status status = read_entries(entries, &settings);
		char name[32] = { 0 };

		memcpy(name, table[i].entry, strcspn(table[i].entry, "="));
		if (table[i].leeway >= 0)
			ok(status == STATUS_OK &&
				settings->policy.leeway == table[i].leeway &&
				settings->policy.max_lifetime ==
				    table[i].max_lifetime,
			    "number: %s", table[i].entry);
		else
			ok(status == STATUS_INVALID && complains(name) &&
				complaint[strlen(name)] == ':',
			    "no number: %s", table[i].entry);
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
	secrets_taken();
	secrets_refused();
	precedence();
	files();
	urls();
	names();
	numbers();
	paths();
	scrubbing();
	return tap_done();
}
