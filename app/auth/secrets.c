#include "auth/secrets.h"

#include "base/crypto.h"
#include "base/text.h"

/* JavaScript's Number.MAX_SAFE_INTEGER: the issuer keeps versions as numbers.
 */
#define VERSION_MAX 9007199254740991

/* What Better Auth uses if it is given no secret. */
static const struct slice default_secret = {
	"better-auth-secret-12345678901234567890", 39
};

/* Memory that is overwritten before the arena gives it back. */
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
copy_cleared(struct arena *arena, struct slice text)
{
	struct cleared *memory;

	if ((memory = arena_alloc(arena, sizeof(*memory) + text.length)) ==
	    NULL)
		return NULL;
	memory->size = text.length;
	memcpy(memory->bytes, text.data, text.length);
	if (arena_defer(arena, clear, memory) != STATUS_OK)
		return NULL;
	return memory->bytes;
}

static enum status
refuse(const char **problem, const char *text)
{
	*problem = text;
	return text == NULL ? STATUS_INTERNAL : STATUS_INVALID;
}

static enum status
check_key(struct arena *arena, struct slice key, const char **problem)
{
	if (key.length > SECRETS_LENGTH_MAX)
		return refuse(problem,
		    "has more than " TEXT_OF(SECRETS_LENGTH_MAX) " bytes");
	if (key.length > 0 && memchr(key.data, '\0', key.length) != NULL)
		return refuse(problem, "has a NUL byte");
	if (key.length > 0 && key.data[key.length - 1] == '\n')
		return refuse(problem,
		    "ends with a line feed, which would be part of the "
		    "secret: write the file with printf %s");
	if ((*problem = text_problem(key)) != NULL)
		return STATUS_INVALID;
	if (key.length < SECRETS_LENGTH_MIN)
		return refuse(problem,
		    arena_printf(arena,
			"has %zu bytes, at "
			"least " TEXT_OF(SECRETS_LENGTH_MIN) " are needed",
			key.length));
	if (slice_equal(key, default_secret))
		return refuse(problem,
		    "is Better Auth's built-in default, which everybody knows");
	return STATUS_OK;
}

/* Add *key* to *secrets*, which have room for it. */
static enum status
add_secret(struct arena *arena, struct slice key, struct slice version,
    const char **problem, struct secrets *secrets)
{
	enum status status = check_key(arena, key, problem);
	char *copy;

	if (status != STATUS_OK)
		return status;
	if ((copy = copy_cleared(arena, key)) == NULL)
		return STATUS_INTERNAL;
	secrets->list[secrets->count++] = (struct secret) {
		.key = { copy, key.length },
		.version = version,
	};
	return STATUS_OK;
}

enum status
secrets_read_single(struct arena *arena, struct slice text,
    const char **problem, struct secrets *secrets)
{
	secrets->count = 0;
	return add_secret(
	    arena, text, (struct slice) { NULL, 0 }, problem, secrets);
}

/* Add *entry*, "VERSION:SECRET", to *secrets*. */
static enum status
add_entry(struct arena *arena, struct slice entry, const char **problem,
    struct secrets *secrets)
{
	struct slice version;
	uint64_t number;

	if (!slice_take_until(&entry, ':', &version))
		return refuse(problem, "is not <version>:<secret>");
	if (!text_read_number(version, 0, VERSION_MAX, &number))
		return refuse(problem,
		    "version is not a number from 0 "
		    "to " TEXT_OF(VERSION_MAX) " in plain decimal digits");
	for (size_t i = 0; i < secrets->count; i++) {
		if (slice_equal(secrets->list[i].version, version))
			return refuse(problem,
			    arena_printf(arena,
				"has the same version as entry %zu", i + 1));
	}
	if ((version.data = arena_copy(arena, version)) == NULL)
		return STATUS_INTERNAL;
	return add_secret(arena, entry, version, problem, secrets);
}

static size_t
count_entries(struct slice text)
{
	size_t count = 1;
	struct slice entry;

	while (slice_take_until(&text, ',', &entry))
		count++;
	return count;
}

enum status
secrets_read_versions(struct arena *arena, struct slice text, size_t *entry,
    const char **problem, struct secrets *secrets)
{
	size_t count = count_entries(text);
	enum status status = STATUS_OK;

	*entry = 0;
	secrets->count = 0;
	if (count > SECRETS_MAX)
		return refuse(problem,
		    arena_printf(arena,
			"has %zu entries, at "
			"most " TEXT_OF(SECRETS_MAX) " are allowed",
			count));
	while (status == STATUS_OK && *entry < count) {
		struct slice current = text;

		if (++*entry < count)
			(void)slice_take_until(&text, ',', &current);
		status = add_entry(arena, current, problem, secrets);
	}
	return status;
}

enum status
secrets_seal(struct arena *arena, const struct secrets *secrets,
    struct slice context, struct slice plain, struct slice *box)
{
	return crypto_seal(arena, secrets->list[0].key, context, plain, box);
}

enum status
secrets_open(struct arena *arena, const struct secrets *secrets,
    struct slice context, struct slice box, struct slice *plain)
{
	enum status status = STATUS_INVALID;

	for (size_t i = 0; status == STATUS_INVALID && i < secrets->count; i++)
		status = crypto_open(
		    arena, secrets->list[i].key, context, box, plain);
	return status;
}
