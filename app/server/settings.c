#include "server/settings.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buffer.h"
#include "base/utf8.h"

/* More than all settings can take: the kernel bounds one to 128 KiB. */
#define ARENA_SIZE ((size_t)4194304)

#define SECRET_LENGTH_MIN 32

/* What Better Auth uses if it is told none: everybody knows it. */
static const struct slice default_secret = {
	"better-auth-secret-12345678901234567890", 39
};

/* A version is a number of JavaScript's: Number.MAX_SAFE_INTEGER. */
#define VERSION_MAX UINT64_C(9007199254740991)

/* The settings and the arena that they, and this, are in. */
struct owned {
	struct settings settings;
	struct arena *arena;
};

/* The settings being read. */
struct reading {
	char *const *environment;
	char *complaint;
	struct arena *arena;
	struct settings *settings;
};

/* What the program reads. */
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

/* What the master hands to a worker. */
static const char *const handed_names[] = { "TODO_LOG_FD", "TODO_READY_FD",
	"TODO_RELOAD", "TODO_SETTINGS_FD" };

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static enum status
complain(const struct reading *reading, const char *name, const char *problem)
{
	(void)snprintf(reading->complaint, SETTINGS_COMPLAINT_SIZE, "%s: %s",
	    name, problem);
	return STATUS_INVALID;
}

/* The value in *entry*, "NAME=value", or NULL if that is not *name*'s. */
static char *
value_in(char *entry, const char *name)
{
	size_t length = strlen(name);

	if (strncmp(entry, name, length) != 0 || entry[length] != '=')
		return NULL;
	return entry + length + 1;
}

/* The setting *name*; an empty one is none, as Better Auth has it too. */
static struct slice
lookup(const struct reading *reading, const char *name)
{
	for (size_t i = 0; reading->environment[i] != NULL; i++) {
		const char *value = value_in(reading->environment[i], name);

		if (value != NULL)
			return slice_of(*value == '\0' ? NULL : value);
	}
	return (struct slice) { 0 };
}

/* Copy *text* into *copy*, which is the settings'. */
static enum status
keep(const struct reading *reading, struct slice text, struct slice *copy)
{
	copy->data = arena_copy(reading->arena, text);
	copy->length = text.length;
	return copy->data == NULL ? STATUS_INTERNAL : STATUS_OK;
}

/* ---------------------------------------------------------------- secrets */

/* Memory that is cleared before it is given back. */
struct cleared {
	size_t size;
	char bytes[];
};

static void
clear(void *object)
{
	struct cleared *memory = object;

	explicit_bzero(memory->bytes, memory->size);
}

static char *
cleared_alloc(struct arena *arena, size_t size)
{
	struct cleared *memory;

	if ((memory = arena_alloc(arena, sizeof(*memory) + size)) == NULL)
		return NULL;
	memory->size = size;
	if (arena_defer(arena, clear, memory) != STATUS_OK)
		return NULL;
	return memory->bytes;
}

/*
 * The first and the last code point of *text*, which is valid UTF-8, and the
 * *rest* without it.  False if the text is empty.
 */
static bool
first_point(struct slice text, uint32_t *point, struct slice *rest)
{
	*rest = text;
	return utf8_next(rest, point);
}

static bool
last_point(struct slice text, uint32_t *point, struct slice *rest)
{
	struct slice last = { NULL, 0 };

	*rest = text;
	while (rest->length > 0) {
		rest->length--;
		last = (struct slice) { text.data + rest->length,
			text.length - rest->length };
		if (utf8_next(&last, point))
			return true;
	}
	return false;
}

/* What JavaScript's String.trim() takes off. */
static bool
script_space(uint32_t point)
{
	return point == 0xFEFF || (point != 0x85 && utf8_white_space(point));
}

static struct slice
script_trim(struct slice text)
{
	struct slice rest;
	uint32_t point;

	while (first_point(text, &point, &rest) && script_space(point))
		text = rest;
	while (last_point(text, &point, &rest) && script_space(point))
		text = rest;
	return text;
}

/* White space or a control character, to any taste. */
static bool
bad_end(uint32_t point)
{
	return point < 0x20 || (point >= 0x7F && point <= 0x9F) ||
	    utf8_white_space(point) || script_space(point);
}

/* Judge *key*, keep it, and add it to the secrets. */
static enum status
add_secret(const struct reading *reading, const char *name, struct slice key,
    struct slice version)
{
	struct token_policy *policy = &reading->settings->policy;
	struct secret *secret = &policy->secrets.list[policy->secrets.count];
	struct slice rest;
	uint32_t point;
	char *copy;

	if (!utf8_valid(key))
		return complain(reading, name, "not valid UTF-8");
	if ((first_point(key, &point, &rest) && bad_end(point)) ||
	    (last_point(key, &point, &rest) && bad_end(point)))
		return complain(reading, name,
		    "white space or a control "
		    "character at either end");
	if (key.length < SECRET_LENGTH_MIN)
		return complain(reading, name, "shorter than 32 bytes");
	if (key.length > SECRETS_LENGTH_MAX)
		return complain(reading, name, "longer than 64 KiB");
	if (slice_equal(key, default_secret))
		return complain(reading, name,
		    "is Better Auth's built-in "
		    "default, which everybody knows");

	if ((copy = cleared_alloc(reading->arena, key.length)) == NULL)
		return STATUS_INTERNAL;
	memcpy(copy, key.data, key.length);
	secret->key = (struct slice) { copy, key.length };
	secret->version = version;
	policy->secrets.count++;
	return STATUS_OK;
}

/*
 * Read the number that *text* begins with, as JavaScript's parseInt() does:
 * whatever follows it is ignored.
 */
static bool
parse_version(struct slice text, uint64_t *version)
{
	bool negative = text.length > 0 && text.data[0] == '-';
	size_t i = negative || (text.length > 0 && text.data[0] == '+');

	*version = 0;
	if (i >= text.length || text.data[i] < '0' || text.data[i] > '9')
		return false;
	for (; i < text.length && text.data[i] >= '0' && text.data[i] <= '9';
	     i++) {
		*version = *version * 10 + (uint64_t)(text.data[i] - '0');
		if (*version > VERSION_MAX)
			return false;
	}
	return !negative || *version == 0;
}

/* One entry of BETTER_AUTH_SECRETS, "version:secret". */
static enum status
read_entry(const struct reading *reading, unsigned position, struct slice entry)
{
	const struct token_policy *policy = &reading->settings->policy;
	const char *colon;
	char name[64];
	struct buffer digits = buffer_in(reading->arena);
	uint64_t version;

	(void)snprintf(
	    name, sizeof(name), "BETTER_AUTH_SECRETS, entry %u", position);
	if (policy->secrets.count == SECRETS_MAX)
		return complain(
		    reading, name, "one too many, at most 4 may be");
	entry = script_trim(entry);
	if (entry.length == 0 ||
	    (colon = memchr(entry.data, ':', entry.length)) == NULL)
		return complain(reading, name, "not <version>:<secret>");
	if (!parse_version(
		(struct slice) { entry.data, (size_t)(colon - entry.data) },
		&version))
		return complain(reading, name,
		    "the version before the colon "
		    "is not a number from 0 to 9007199254740991");

	buffer_add_unsigned(&digits, version);
	if (digits.failed)
		return STATUS_INTERNAL;
	for (size_t i = 0; i < policy->secrets.count; i++) {
		if (slice_equal(
			policy->secrets.list[i].version, buffer_slice(&digits)))
			return complain(reading, name,
			    "the same version as in an entry before it");
	}

	entry.length -= (size_t)(colon + 1 - entry.data);
	entry.data = colon + 1;
	return add_secret(
	    reading, name, script_trim(entry), buffer_slice(&digits));
}

/*
 * BETTER_AUTH_SECRETS, as parseSecretsEnv() of Better Auth 1.7 reads it: split
 * at commas, each entry trimmed, split at its first colon, the rest trimmed.
 */
static enum status
read_secrets(const struct reading *reading, struct slice secrets)
{
	unsigned position = 1;
	const char *comma;
	enum status status;

	if (!utf8_valid(secrets))
		return complain(
		    reading, "BETTER_AUTH_SECRETS", "not valid UTF-8");
	while ((comma = memchr(secrets.data, ',', secrets.length)) != NULL) {
		struct slice entry = { secrets.data,
			(size_t)(comma - secrets.data) };

		status = read_entry(reading, position++, entry);
		if (status != STATUS_OK)
			return status;
		secrets.length -= entry.length + 1;
		secrets.data = comma + 1;
	}
	return read_entry(reading, position, secrets);
}

/* Read *size* bytes, or all there are, and say how many in *length*. */
static enum status
read_bytes(const char *path, char *bytes, size_t size, size_t *length)
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
	size_t size = SECRETS_LENGTH_MAX + 1, length;
	char problem[SETTINGS_COMPLAINT_SIZE - 32];
	char *bytes;

	if ((bytes = cleared_alloc(reading->arena, size)) == NULL)
		return STATUS_INTERNAL;
	if (read_bytes(path, bytes, size, &length) != STATUS_OK) {
		/* Not whatever stands there: it may be the secret itself. */
		(void)snprintf(problem, sizeof(problem),
		    "cannot be read: %s: %s", strerror(errno),
		    path[0] == '/' ? path : "not an absolute path");
		return complain(reading, name, problem);
	}
	if (memchr(bytes, '\0', length) != NULL)
		return complain(reading, name, "holds a NUL byte");
	if (length > 0 && bytes[length - 1] == '\n')
		return complain(reading, name,
		    "ends with a line feed, which "
		    "would be part of the secret: write it with printf %s");
	return add_secret(reading, name, (struct slice) { bytes, length },
	    (struct slice) { 0 });
}

static enum status
read_keys(const struct reading *reading)
{
	struct slice secrets = lookup(reading, "BETTER_AUTH_SECRETS");
	struct slice secret = lookup(reading, "BETTER_AUTH_SECRET");
	struct slice file = lookup(reading, "BETTER_AUTH_SECRET_FILE");

	reading->settings->secret_source = secrets.data != NULL
	    ? "BETTER_AUTH_SECRETS"
	    : file.data != NULL ? "BETTER_AUTH_SECRET_FILE"
				: "BETTER_AUTH_SECRET";
	if (secrets.data != NULL)
		return read_secrets(reading, secrets);
	if (secret.data != NULL && file.data != NULL)
		return complain(reading, "BETTER_AUTH_SECRET",
		    "BETTER_AUTH_SECRET_FILE is set too, and one must go");
	if (secret.data != NULL)
		return add_secret(reading, "BETTER_AUTH_SECRET", secret,
		    (struct slice) { 0 });
	if (file.data != NULL)
		return read_secret_file(reading, file.data);
	return complain(reading, "BETTER_AUTH_SECRET",
	    "not set, nor is "
	    "BETTER_AUTH_SECRET_FILE or BETTER_AUTH_SECRETS");
}

/* -------------------------------------------------- issuer and audience */

static char
lower(char c)
{
	return (char)(c >= 'A' && c <= 'Z' ? c | 0x20 : c);
}

static bool
is_digits(struct slice text)
{
	for (size_t i = 0; i < text.length; i++) {
		if (text.data[i] < '0' || text.data[i] > '9')
			return false;
	}
	return text.length > 0;
}

/* Take "name://" off *url*. */
static bool
take_scheme(struct slice *url, struct slice scheme)
{
	struct slice head = { url->data, scheme.length };

	if (url->length < scheme.length || !slice_equal_nocase(head, scheme))
		return false;
	url->data += scheme.length;
	url->length -= scheme.length;
	return true;
}

/* Write an IPv6 address as a URL has it, RFC 5952 in brackets. */
static bool
write_ipv6(struct buffer *origin, struct slice host)
{
	char text[INET6_ADDRSTRLEN];
	struct in6_addr address;

	if (host.length < 2 || host.length - 2 >= sizeof(text) ||
	    host.data[host.length - 1] != ']')
		return false;
	memcpy(text, host.data + 1, host.length - 2);
	text[host.length - 2] = '\0';
	if (inet_pton(AF_INET6, text, &address) != 1 ||
	    inet_ntop(AF_INET6, &address, text, sizeof(text)) == NULL)
		return false;
	/* Here browsers and inet_ntop() part; nobody serves from there. */
	if (strchr(text, '.') != NULL)
		return false;
	buffer_add_char(origin, '[');
	buffer_add_text(origin, text);
	buffer_add_char(origin, ']');
	return true;
}

/*
 * Write a name or an IPv4 address.  Whatever a browser would rewrite by more
 * than case (127.1, 0x7f.1, letters past ASCII) is refused.
 */
static bool
write_name(struct buffer *origin, struct slice host)
{
	struct slice label = { host.data, 0 };
	char text[INET_ADDRSTRLEN];
	struct in_addr address;

	for (size_t i = 0; i < host.length; i++) {
		char c = lower(host.data[i]);

		if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') &&
		    c != '-' && c != '.' && c != '_')
			return false;
		buffer_add_char(origin, c);
		label.length++;
		if (c == '.' && i + 1 < host.length)
			label = (struct slice) { host.data + i + 1, 0 };
	}

	/* A last label that is a number makes it an address. */
	if (label.length > 0 && label.data[label.length - 1] == '.')
		label.length--;
	if (!is_digits(label) &&
	    !(label.length >= 2 && label.data[0] == '0' &&
		lower(label.data[1]) == 'x'))
		return host.length > 0;
	if (host.length >= sizeof(text))
		return false;
	memcpy(text, host.data, host.length);
	text[host.length] = '\0';
	return inet_pton(AF_INET, text, &address) == 1;
}

/* Write ":port" unless it is *standard*.  An empty one is none. */
static bool
write_port(struct buffer *origin, struct slice port, unsigned standard)
{
	unsigned number = 0;

	if (port.length == 0)
		return true;
	if (!is_digits(port))
		return false;
	for (size_t i = 0; i < port.length; i++) {
		number = number * 10 + (unsigned)(port.data[i] - '0');
		if (number > 65535)
			return false;
	}
	if (number != standard) {
		buffer_add_char(origin, ':');
		buffer_add_unsigned(origin, number);
	}
	return true;
}

/*
 * Write the origin of *url* as the URL Standard serializes it, which is how
 * Better Auth comes to its own: scheme and host in lower case, and the port if
 * it is not the scheme's.
 */
static enum status
read_origin(
    const struct reading *reading, struct slice url, struct slice *origin)
{
	static const char name[] = "BETTER_AUTH_URL";
	struct buffer out = buffer_in(reading->arena);
	struct slice host, port = { NULL, 0 };
	unsigned standard;
	bool good;

	if (take_scheme(&url, SLICE("https://"))) {
		buffer_add_text(&out, "https://");
		standard = 443;
	} else if (take_scheme(&url, SLICE("http://"))) {
		buffer_add_text(&out, "http://");
		standard = 80;
	} else
		return complain(
		    reading, name, "does not begin with https:// or http://");

	host = (struct slice) { url.data, strcspn(url.data, "/?#\\") };
	if (memchr(host.data, '@', host.length) != NULL)
		return complain(reading, name, "holds a user or password");
	for (size_t i = host.length; i-- > 0 && host.data[i] != ']';) {
		if (host.data[i] != ':')
			continue;
		port = (struct slice) { host.data + i + 1,
			host.length - i - 1 };
		host.length = i;
		break;
	}

	good = host.length > 0 && host.data[0] == '[' ? write_ipv6(&out, host)
						      : write_name(&out, host);
	if (!good)
		return complain(reading, name,
		    "its host is not a name, "
		    "an IPv4 or an IPv6 address in plain ASCII");
	if (!write_port(&out, port, standard))
		return complain(reading, name,
		    "its port is not a number "
		    "from 0 to 65535");
	if (out.failed)
		return STATUS_INTERNAL;
	*origin = buffer_slice(&out);
	return STATUS_OK;
}

/* Read *name*, which is *otherwise* if it is not set. */
static enum status
read_name(const struct reading *reading, const char *name,
    struct slice otherwise, struct slice *value)
{
	struct slice text = lookup(reading, name);

	if (text.data == NULL && otherwise.data == NULL)
		return complain(
		    reading, name, "not set, nor is BETTER_AUTH_URL");
	if (!utf8_valid(text))
		return complain(reading, name, "not valid UTF-8");
	return keep(reading, text.data != NULL ? text : otherwise, value);
}

static enum status
read_names(const struct reading *reading)
{
	struct token_policy *policy = &reading->settings->policy;
	struct slice url = lookup(reading, "BETTER_AUTH_URL");
	struct slice origin = { NULL, 0 };
	enum status status = STATUS_OK;

	if (url.data != NULL)
		status = read_origin(reading, url, &origin);
	if (status == STATUS_OK)
		status = read_name(
		    reading, "JWT_ISSUER", origin, &policy->issuer);
	if (status == STATUS_OK)
		status = read_name(
		    reading, "JWT_AUDIENCE", origin, &policy->audience);
	return status;
}

/* --------------------------------------------------------------- the rest */

/* Read *name*, in seconds; *value* stays as it is if it is not set. */
static enum status
read_seconds(const struct reading *reading, const char *name, int64_t min,
    int64_t max, int64_t *value)
{
	struct slice text = lookup(reading, name);
	char problem[128];
	int64_t number = 0;

	if (text.data == NULL)
		return STATUS_OK;
	(void)snprintf(problem, sizeof(problem),
	    "not a whole number of seconds from %lld to %lld", (long long)min,
	    (long long)max);
	if (!is_digits(text))
		return complain(reading, name, problem);
	for (size_t i = 0; i < text.length && number <= max; i++)
		number = number * 10 + (text.data[i] - '0');
	if (number < min || number > max)
		return complain(reading, name, problem);
	*value = number;
	return STATUS_OK;
}

static enum status
read_database(const struct reading *reading)
{
	static const char name[] = "TODO_DB_DEFAULTS_FILE";
	struct slice file = lookup(reading, name);
	struct slice copy;

	if (file.data == NULL)
		return complain(reading, name, "not set");
	if (keep(reading, file, &copy) != STATUS_OK)
		return STATUS_INTERNAL;
	reading->settings->db_defaults_file = copy.data;
	return STATUS_OK;
}

static enum status
read_all(const struct reading *reading)
{
	struct token_policy *policy = &reading->settings->policy;
	enum status status;

	policy->leeway = 10;
	policy->max_lifetime = 86400;
	if ((status = read_keys(reading)) != STATUS_OK ||
	    (status = read_names(reading)) != STATUS_OK ||
	    (status = read_seconds(reading, "JWT_LEEWAY", 0, 300,
		 &policy->leeway)) != STATUS_OK ||
	    (status = read_seconds(reading, "JWT_MAX_LIFETIME", 60, 86400,
		 &policy->max_lifetime)) != STATUS_OK)
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

/* Can *a* be made of *b* by at most two insertions, deletions or changes? */
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

static bool
is_among(const char *name, const char *const *names, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(name, names[i]) == 0)
			return true;
	return false;
}

void
settings_warn(char *const *environment, void (*warn)(const char *warning))
{
	char name[64], warning[SETTINGS_COMPLAINT_SIZE];

	for (size_t i = 0; environment[i] != NULL; i++) {
		size_t length = strcspn(environment[i], "=");
		const char *near = NULL;

		if (length >= sizeof(name))
			continue;
		memcpy(name, environment[i], length);
		name[length] = '\0';
		if (is_among(name, own_names, COUNT(own_names)) ||
		    is_among(name, handed_names, COUNT(handed_names)))
			continue;
		for (size_t n = 0; n < COUNT(own_names) && near == NULL; n++)
			if (is_near(name, own_names[n], 2))
				near = own_names[n];
		if (near == NULL && strncmp(name, "JWT_", 4) != 0 &&
		    strncmp(name, "TODO_", 5) != 0)
			continue;
		(void)snprintf(warning, sizeof(warning),
		    "%s: no setting has this name%s%s", name,
		    near == NULL ? "" : "; is meant: ",
		    near == NULL ? "" : near);
		warn(warning);
	}
}

void
settings_scrub(char **environment)
{
	static const char *const names[] = {
		"BETTER_AUTH_SECRETS", "BETTER_AUTH_SECRET",
		"AUTH_SECRET", /* which Better Auth would take for want of it */
		"ISSUER_DATABASE", /* has a password; the issuer may share the
				    * file of settings */
	};

	for (size_t i = 0; environment[i] != NULL; i++) {
		for (size_t n = 0; n < sizeof(names) / sizeof(names[0]); n++) {
			char *value = value_in(environment[i], names[n]);

			if (value != NULL)
				explicit_bzero(value, strlen(value));
		}
	}
}
