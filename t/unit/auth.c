/*
 * Goal: of an Authorization field only "Bearer", in any case, one space and
 * what follows is a token; whatever else it holds is no token at all; and want
 * of memory is neither.
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
	/* What is no token of three segments is INVALID for that reason. */
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

	for (size_t i = 0; i < COUNT(table); i++) {
		const char *field = table[i].field;
		enum status status = identify(arena, field, &refusal);

		ok(status == table[i].status &&
			(status == MISSING) == (refusal.reason == NULL),
		    "%s %s", field == NULL ? "no field" : field,
		    table[i].status == MISSING ? "brings no token"
					       : "brings a wrong one");
	}
}

static void
test_memory(void)
{
	struct token_refusal refusal;
	struct arena *full = full_arena(0);

	ok(identify(full, "Bearer x", &refusal) == STATUS_INTERNAL,
	    "no memory is no answer");
	ok(identify(full, "Basic x", &refusal) == MISSING,
	    "and none is needed to see that there is no token");
	arena_free(full);
}

/* nginx lets none through, nor would FastCGI. */
static void
test_nul(struct arena *arena)
{
	const struct current_user *user;
	struct token_refusal refusal;

	ok(auth_identify(arena, &policy, NULL,
	       (struct slice) { "Bearer\0x", 8 }, 0, &refusal,
	       &user) == INVALID,
	    "a NUL is no part of a scheme's name");
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
