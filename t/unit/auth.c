/*
 * Goal: an Authorization field has a token if it begins with "Bearer", in any
 * case, and no longer name of a scheme; any other field is answered "missing".
 * Without memory there is no answer.
 */
#include "auth/auth.h"

#include "full.h"
#include "tap.h"

#define MISSING STATUS_TOKEN_MISSING
#define INVALID STATUS_TOKEN_INVALID

static const struct token_policy policy = {
	.secrets.list = { { .key = { "0123456789abcdef0123456789abcdef",
				32 } } },
	.secrets.count = 1,
};

static enum status
identify(struct arena *arena, const char *field, struct token_refusal *refusal)
{
	const struct current_user *user;

	*refusal = (struct token_refusal) { NULL, NULL };
	return auth_identify(
	    arena, &policy, NULL, slice_of(field), 0, refusal, &user);
}

static void
test_fields(struct arena *arena)
{
	/* INVALID: a token was found, which is not one of three segments. */
	static const struct {
		const char *field;
		enum status status;
	} table[] = {
		{ NULL, MISSING },
		{ "", MISSING },
		{ " \t ", MISSING },
		{ "Beare", MISSING },
		{ "Basic eA==", MISSING },
		{ "Bearer", INVALID },
		{ "Bearer ", INVALID },
		{ " \tBearer\t ", INVALID },
		{ "Bearer x", INVALID },
		{ "bEARER x", INVALID },
		{ "Bearer  x", INVALID },
		{ "Bearer\tx", INVALID },
		{ "Bearer=x", INVALID },
		{ "Bearer\"x", INVALID },
		{ "Bearer:x", INVALID },
		{ "Bearer@x", INVALID },
		{ "Bearer[x", INVALID },
		{ "Bearer{x", INVALID },
		{ "Bearer\xe9", INVALID },
		{ "Bearers x", MISSING },
		{ "BearerA x", MISSING },
		{ "BearerZ x", MISSING },
		{ "Bearera x", MISSING },
		{ "Bearerz x", MISSING },
		{ "Bearer0 x", MISSING },
		{ "Bearer9 x", MISSING },
		{ "Bearer-x", MISSING },
		{ "Bearer~x", MISSING },
		{ "Bearer!x", MISSING },
	};
	struct token_refusal refusal;

	for (size_t i = 0; i < ARRAY_COUNT(table); i++) {
		const char *field = table[i].field;
		enum status status = identify(arena, field, &refusal);

		ok(status == table[i].status &&
			(status == MISSING) == (refusal.reason == NULL),
		    "%s: %s", field == NULL ? "no field" : field,
		    table[i].status == MISSING ? "no token" : "a wrong token");
	}
}

static void
test_memory(void)
{
	struct token_refusal refusal;
	struct arena *full = full_arena(0);

	ok(identify(full, "Bearer x", &refusal) == STATUS_INTERNAL,
	    "without memory there is no verdict on a token");
	ok(identify(full, "Basic x", &refusal) == MISSING,
	    "a missing token takes no memory to see");
	arena_free(full);
}

/* Neither nginx nor FastCGI lets a NUL through. */
static void
test_nul(struct arena *arena)
{
	const struct current_user *user;
	struct token_refusal refusal;

	ok(auth_identify(arena, &policy, NULL,
	       (struct slice) { "Bearer\0x", 8 }, 0, &refusal,
	       &user) == INVALID,
	    "a NUL ends the name of the scheme");
}

int
main(void)
{
	struct arena *arena;

	if ((arena = arena_new(1 << 20)) == NULL)
		return 1;
	test_fields(arena);
	test_memory();
	test_nul(arena);
	arena_free(arena);
	return tap_done();
}
