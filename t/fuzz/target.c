/*
 * Goal: no method, target and header fields that a user with a valid token
 * sends reach another tenant or lead to a 500 or an incomplete answer.
 *
 * Input: one line each for method, target, If-Match, If-None-Match,
 * Idempotency-Key and Content-Type.
 */

#include "fuzz.h"
#include "http/entity_tag.h"

/* True if *target* begins with /api/alice/, escaped or not; decided without
 * request.c. */
static bool
is_own(const char *target, size_t length)
{
	static const char own[] = "/api/" FUZZ_USER "/";
	size_t at = 0;

	for (const char *wanted = own; *wanted != '\0'; wanted++) {
		unsigned byte;

		if (at >= length)
			return false;
		byte = (unsigned char)target[at++];
		if (byte == '%' && at + 2 <= length) {
			char digits[3] = { target[at], target[at + 1], '\0' };

			byte = (unsigned)strtoul(digits, NULL, 16);
			at += 2;
		}
		if (byte != (unsigned char)*wanted)
			return false;
	}
	return true;
}

/* Does *field* hold *text*? */
static bool
holds(struct slice field, const char *text)
{
	return field.length > 0 &&
	    memmem(field.data, field.length, text, strlen(text)) != NULL;
}

#define LINES 6

/*
 * Split *input* into *lines*; the last one goes on to the end.  Each line has
 * an allocation of its own, with a NUL at the end, so that sanitizers find
 * reads after it.
 */
static void
read_lines(struct arena *arena, struct slice input, struct slice lines[LINES])
{
	for (size_t i = 0; i < LINES && input.length > 0; i++) {
		struct slice line;

		if (i == LINES - 1 || !slice_take_until(&input, '\n', &line))
			line = slice_take(&input, input.length);
		if (line.length == 0)
			continue;
		line.length = strnlen(line.data, line.length);
		if ((lines[i].data = arena_copy(arena, line)) != NULL)
			lines[i].length = line.length;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice lines[LINES] = { 0 };
	struct arena *arena = fuzz_arena();
	struct buffer out = buffer_in(arena);
	struct request request;
	unsigned status;

	read_lines(arena, (struct slice) { (const char *)data, size }, lines);
	request = (struct request) {
		.method = request_method(lines[0]),
		.target = lines[1],
		.authorization = slice_of(fuzz_authorization()),
		.content_type = lines[5],
		.if_match = lines[2],
		.if_none_match = lines[3],
		.idempotency_key = lines[4],
		.id = SLICE("0"),
		.body = SLICE("{\"title\":\"t\",\"completed\":true}"),
	};
	dispatch(
	    &fuzz_settings, fuzz_tokens(), fuzz_db(), arena, &request, &out);
	status = fuzz_status(&out);
	never(status == 401);
	never(status == 503 && !is_own(lines[1].data, lines[1].length) &&
	    memcmp(lines[1].data, "/readyz", 7) != 0);
	never(status == 200 && memcmp(lines[1].data, "/api/me", 7) != 0 &&
	    memcmp(lines[1].data, "/healthz", 8) != 0);
	never(status == 201);

	/* Without a database the program does not read the entity tags. */
	for (size_t i = 2; i < 4; i++) {
		struct slice field = lines[i], tag;

		while (entity_tag_next(&field, &tag))
			never(tag.length < 2 || tag.data[0] != '"' ||
			    tag.data[tag.length - 1] != '"');
	}
	arena_reset(arena);
	return 0;
}
