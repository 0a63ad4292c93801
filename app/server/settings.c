#include "server/settings.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/array.h"
#include "base/text.h"
#include "http/origin.h"
#include "server/handoff.h"

/* Enough for all settings: the kernel allows 128 KiB for each. */
#define ARENA_SIZE ((size_t)4194304)

#define LEEWAY_DEFAULT 10
#define LEEWAY_MAX 300
#define LIFETIME_MIN 60
#define LIFETIME_MAX 86400

/* The settings and the arena that they, and this, are in. */
struct owned {
	struct settings settings;
	struct arena *arena;
};

/* The settings while they are read. */
struct reading {
	char *const *environment;
	char *complaint;
	struct arena *arena;
	struct settings *settings;
};

/* The settings. */
static const char *const own_names[] = {
	"BETTER_AUTH_SECRET",
	"BETTER_AUTH_SECRETS",
	"BETTER_AUTH_SECRET_FILE",
	"BETTER_AUTH_URL",
	"JWT_AUDIENCE",
	"JWT_ISSUER",
	"JWT_LEEWAY",
	"JWT_MAX_LIFETIME",
	"TODO_DB_DEFAULTS_FILE",
	"TODO_LOG",
};

/* *name* or *problem* is NULL if there was no memory to print it. */
static enum status
complain(const struct reading *reading, const char *name, const char *problem)
{
	if (name == NULL || problem == NULL)
		return STATUS_INTERNAL;
	(void)snprintf(reading->complaint, SETTINGS_COMPLAINT_SIZE, "%s: %s",
	    name, problem);
	return STATUS_INVALID;
}

/* The value in *entry*, "NAME=value"; NULL if NAME is not *name*. */
static char *
value_in(char *entry, const char *name)
{
	size_t length = strlen(name);

	if (strncmp(entry, name, length) != 0 || entry[length] != '=')
		return NULL;
	return entry + length + 1;
}

/*
 * Find the setting *name* in the environment.  *text* has data NULL if it is
 * not set; an empty one counts as not set.
 */
static enum status
find(const struct reading *reading, const char *name, struct slice *text)
{
	const char *value = NULL, *problem;

	for (size_t i = 0; reading->environment[i] != NULL && value == NULL;
	     i++)
		value = value_in(reading->environment[i], name);
	*text = slice_of(value == NULL || *value == '\0' ? NULL : value);
	if ((problem = text_problem(*text)) != NULL)
		return complain(reading, name, problem);
	return STATUS_OK;
}

/* Copy *text* into *copy*, which the settings own. */
static enum status
keep(const struct reading *reading, struct slice text, struct slice *copy)
{
	copy->data = arena_copy(reading->arena, text);
	copy->length = text.length;
	return copy->data == NULL ? STATUS_INTERNAL : STATUS_OK;
}

/* ---------------------------------------------------------------- secrets */

static enum status
read_versions(const struct reading *reading, struct slice text)
{
	static const char name[] = "BETTER_AUTH_SECRETS";
	const char *problem;
	size_t entry;
	enum status status = secrets_read_versions(reading->arena, text, &entry,
	    &problem, &reading->settings->policy.secrets);

	if (status != STATUS_INVALID)
		return status;
	return complain(reading,
	    entry == 0
		? name
		: arena_printf(reading->arena, "%s, entry %zu", name, entry),
	    problem);
}

static enum status
read_single(const struct reading *reading, const char *name, struct slice text)
{
	const char *problem;
	enum status status = secrets_read_single(
	    reading->arena, text, &problem, &reading->settings->policy.secrets);

	return status == STATUS_INVALID ? complain(reading, name, problem)
					: status;
}

/*
 * Read the file *path* into *bytes*, at most *size*, and give the *length* of
 * what was read.  STATUS_INVALID, with errno set, if the file cannot be read.
 */
static enum status
read_file(const char *path, char *bytes, size_t size, size_t *length)
{
	ssize_t count = 1;
	int file, error;

	if ((file = open(path, O_RDONLY | O_CLOEXEC)) < 0)
		return STATUS_INVALID;
	for (*length = 0; *length < size && count != 0;) {
		count = read(file, bytes + *length, size - *length);
		if (count < 0 && errno == EINTR)
			continue;
		if (count < 0)
			break;
		*length += (size_t)count;
	}
	error = errno;
	(void)close(file);
	errno = error;
	return count < 0 ? STATUS_INVALID : STATUS_OK;
}

static enum status
read_secret_file(const struct reading *reading, const char *path)
{
	static const char name[] = "BETTER_AUTH_SECRET_FILE";
	/* One byte more shows that a file is too long. */
	char bytes[SECRETS_LENGTH_MAX + 1];
	size_t length;
	enum status status;

	/* A text that is not a path may be the secret, and is not told. */
	if (path[0] != '/')
		return complain(reading, name, "is not an absolute path");
	if (read_file(path, bytes, sizeof(bytes), &length) == STATUS_OK)
		status = read_single(
		    reading, name, (struct slice) { bytes, length });
	else
		status = complain(reading, name,
		    arena_printf(reading->arena, "cannot be read: %s: %s",
			strerror(errno), path));
	explicit_bzero(bytes, sizeof(bytes));
	return status;
}

/* Read the one secret, from its setting or from a file. */
static enum status
read_secret(const struct reading *reading)
{
	static const char name[] = "BETTER_AUTH_SECRET";
	struct slice secret, file;
	enum status status = find(reading, name, &secret);

	if (status == STATUS_OK)
		status = find(reading, "BETTER_AUTH_SECRET_FILE", &file);
	if (status != STATUS_OK)
		return status;
	if (secret.data != NULL && file.data != NULL)
		return complain(reading, name,
		    "BETTER_AUTH_SECRET_FILE is set too: "
		    "set only one of them");
	if (secret.data != NULL) {
		reading->settings->secret_source = name;
		return read_single(reading, name, secret);
	}
	if (file.data != NULL) {
		reading->settings->secret_source = "BETTER_AUTH_SECRET_FILE";
		return read_secret_file(reading, file.data);
	}
	return complain(reading, name,
	    "not set, nor is "
	    "BETTER_AUTH_SECRET_FILE or BETTER_AUTH_SECRETS");
}

static enum status
read_secrets(const struct reading *reading)
{
	static const char name[] = "BETTER_AUTH_SECRETS";
	struct slice versions;
	enum status status = find(reading, name, &versions);

	if (status != STATUS_OK)
		return status;
	if (versions.data == NULL)
		return read_secret(reading);
	reading->settings->secret_source = name;
	return read_versions(reading, versions);
}

/* -------------------------------------------------- issuer and audience */

/* Read BETTER_AUTH_URL; *origin* has data NULL if it is not set. */
static enum status
read_origin(const struct reading *reading, struct slice *origin)
{
	static const char name[] = "BETTER_AUTH_URL";
	const char *problem;
	struct slice url;
	enum status status = find(reading, name, &url);

	*origin = (struct slice) { NULL, 0 };
	if (status != STATUS_OK || url.data == NULL)
		return status;
	status = origin_read(reading->arena, url, &problem, origin);
	return status == STATUS_INVALID ? complain(reading, name, problem)
					: status;
}

/* Read *name*, or take *origin* if it is not set. */
static enum status
read_name(const struct reading *reading, const char *name, struct slice origin,
    struct slice *value)
{
	struct slice text;
	enum status status = find(reading, name, &text);

	if (status != STATUS_OK)
		return status;
	if (text.data == NULL && origin.data == NULL)
		return complain(
		    reading, name, "not set, nor is BETTER_AUTH_URL");
	return keep(reading, text.data != NULL ? text : origin, value);
}

static enum status
read_names(const struct reading *reading)
{
	struct token_policy *policy = &reading->settings->policy;
	struct slice origin;
	enum status status = read_origin(reading, &origin);

	if (status == STATUS_OK)
		status = read_name(
		    reading, "JWT_ISSUER", origin, &policy->issuer);
	if (status == STATUS_OK)
		status = read_name(
		    reading, "JWT_AUDIENCE", origin, &policy->audience);
	return status;
}

/* --------------------------------------------------------------- the rest */

/* Read *name*, in seconds; leave *value* as it is if *name* is not set. */
static enum status
read_seconds(const struct reading *reading, const char *name, unsigned min,
    unsigned max, int64_t *value)
{
	struct slice text;
	uint64_t number;
	enum status status = find(reading, name, &text);

	if (status != STATUS_OK || text.data == NULL)
		return status;
	if (!text_read_number(text, min, max, &number))
		return complain(reading, name,
		    arena_printf(reading->arena,
			"is not a number of seconds from %u to %u "
			"in plain decimal digits",
			min, max));
	*value = (int64_t)number;
	return STATUS_OK;
}

static enum status
read_lifetimes(const struct reading *reading)
{
	struct token_policy *policy = &reading->settings->policy;
	enum status status;

	policy->leeway = LEEWAY_DEFAULT;
	policy->max_lifetime = LIFETIME_MAX;
	status = read_seconds(
	    reading, "JWT_LEEWAY", 0, LEEWAY_MAX, &policy->leeway);
	if (status == STATUS_OK)
		status = read_seconds(reading, "JWT_MAX_LIFETIME", LIFETIME_MIN,
		    LIFETIME_MAX, &policy->max_lifetime);
	return status;
}

static enum status
read_database(const struct reading *reading)
{
	static const char name[] = "TODO_DB_DEFAULTS_FILE";
	struct slice file, copy;
	enum status status = find(reading, name, &file);

	if (status != STATUS_OK)
		return status;
	if (file.data == NULL)
		return complain(reading, name, "not set");
	if ((status = keep(reading, file, &copy)) == STATUS_OK)
		reading->settings->db_defaults_file = copy.data;
	return status;
}

static enum status
read_all(const struct reading *reading)
{
	enum status status;

	if ((status = read_secrets(reading)) != STATUS_OK ||
	    (status = read_names(reading)) != STATUS_OK ||
	    (status = read_lifetimes(reading)) != STATUS_OK)
		return status;
	return read_database(reading);
}

enum status
settings_read(char *const *environment, char complaint[SETTINGS_COMPLAINT_SIZE],
    struct settings **settings)
{
	struct arena *arena = arena_new(ARENA_SIZE);
	struct owned *owned;
	struct reading reading;
	enum status status;

	complaint[0] = '\0';
	if (arena == NULL ||
	    (owned = arena_alloc(arena, sizeof(*owned))) == NULL) {
		arena_free(arena);
		return STATUS_INTERNAL;
	}
	*owned = (struct owned) { .arena = arena };
	reading = (struct reading) {
		.environment = environment,
		.complaint = complaint,
		.arena = arena,
		.settings = &owned->settings,
	};
	if ((status = read_all(&reading)) != STATUS_OK) {
		arena_free(arena);
		return status;
	}
	*settings = &owned->settings;
	return STATUS_OK;
}

void
settings_free(struct settings *settings)
{
	struct owned *owned = (struct owned *)settings;

	if (owned != NULL)
		arena_free(owned->arena);
}

/* True if at most *edits* insertions, deletions or changes make *b* of *a*. */
static bool
is_near(const char *a, const char *b, unsigned edits)
{
	while (*a != '\0' && *a == *b) {
		a++;
		b++;
	}
	if (*a == '\0' && *b == '\0')
		return true;
	if (edits == 0)
		return false;
	edits--;
	return (*a != '\0' && is_near(a + 1, b, edits)) ||
	    (*b != '\0' && is_near(a, b + 1, edits)) ||
	    (*a != '\0' && *b != '\0' && is_near(a + 1, b + 1, edits));
}

/* The setting that the misspelt *name* may stand for, or NULL. */
static const char *
nearest_name(const char *name)
{
	for (size_t i = 0; i < ARRAY_COUNT(own_names); i++) {
		if (is_near(name, own_names[i], 2))
			return own_names[i];
	}
	return NULL;
}

void
settings_warn(char *const *environment, void (*warn)(const char *warning))
{
	char name[64], warning[SETTINGS_COMPLAINT_SIZE];

	for (size_t i = 0; environment[i] != NULL; i++) {
		size_t length = strcspn(environment[i], "=");
		const char *near;

		if (length >= sizeof(name))
			continue;
		memcpy(name, environment[i], length);
		name[length] = '\0';
		if (array_has_text(own_names, ARRAY_COUNT(own_names), name) ||
		    handoff_is_variable(environment[i]))
			continue;
		near = nearest_name(name);
		if (near == NULL && strncmp(name, "JWT_", 4) != 0 &&
		    strncmp(name, "TODO_", 5) != 0)
			continue;
		(void)snprintf(warning, sizeof(warning),
		    "%s: no setting has this name%s%s%s", name,
		    near == NULL ? "" : "; did you mean ",
		    near == NULL ? "" : near, near == NULL ? "" : "?");
		warn(warning);
	}
}

void
settings_scrub(char **environment)
{
	static const char *const names[] = {
		"BETTER_AUTH_SECRETS",
		"BETTER_AUTH_SECRET",
		/* Better Auth reads AUTH_SECRET if its own is not set. */
		"AUTH_SECRET",
		/* The issuer's, with a password; one file may serve both. */
		"ISSUER_DATABASE",
	};

	for (size_t i = 0; environment[i] != NULL; i++) {
		for (size_t n = 0; n < ARRAY_COUNT(names); n++) {
			char *value = value_in(environment[i], names[n]);

			if (value != NULL)
				explicit_bzero(value, strlen(value));
		}
	}
}
