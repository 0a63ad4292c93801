/*
 * Goal: a user is let into the tenant that equals the user's id byte for byte,
 * after one percent-decoding, and into no other; without memory into none.
 */
#include "auth/tenant.h"

#include "auth/auth.h"
#include "full.h"
#include "tap.h"

static const struct current_user alice = {
	.claims = { .user_id = { "Alice-1._~/", 10 } },
};

static enum status
guard(struct arena *arena, const struct current_user *user, const char *segment)
{
	const struct tenant *tenant;
	enum status status;

	status = tenant_guard(arena, user, slice_of(segment), &tenant);
	if (status == STATUS_OK &&
	    !slice_equal(tenant_user_id(tenant), user->claims.user_id))
		return STATUS_INTERNAL;
	return status;
}

static void
test_names(struct arena *arena)
{
	static const struct {
		const char *segment;
		enum status status;
	} table[] = {
		{ "Alice-1._~", STATUS_OK },
		{ "%41lice-1._~", STATUS_OK },
		{ "%41%6c%69%63%65%2D%31%2e%5F%7e", STATUS_OK },
		{ "Alice-1._", STATUS_FORBIDDEN },
		{ "Alice-1._~~", STATUS_FORBIDDEN },
		{ "Alice-1._~/", STATUS_FORBIDDEN },
		{ "Alice-1._~%00", STATUS_FORBIDDEN },
		{ "Alice-1._~%2f", STATUS_FORBIDDEN },
		{ "alice-1._~", STATUS_FORBIDDEN },
		{ "%2541lice-1._~", STATUS_FORBIDDEN },
		{ "%4", STATUS_FORBIDDEN },
		{ "Alice-1._~%", STATUS_FORBIDDEN },
		{ "%zz", STATUS_FORBIDDEN },
		{ "bob", STATUS_FORBIDDEN },
		{ "", STATUS_FORBIDDEN },
		{ NULL, STATUS_FORBIDDEN },
	};
	/* token_verify() accepts no empty user_id. */
	static const struct current_user nobody = {
		.claims = { .user_id = { "", 0 } },
	};

	for (size_t i = 0; i < ARRAY_COUNT(table); i++)
		ok(guard(arena, &alice, table[i].segment) == table[i].status,
		    "\"%s\" is%s the tenant of Alice",
		    table[i].segment == NULL ? "" : table[i].segment,
		    table[i].status == STATUS_OK ? "" : " not");
	ok(guard(arena, &nobody, "") == STATUS_FORBIDDEN,
	    "an empty segment is refused even to an empty user_id");
}

static void
test_memory(void)
{
	for (unsigned left = 0; left < 2; left++) {
		struct arena *full = full_arena(left);

		ok(guard(full, &alice, "Alice-1._%7e") == STATUS_INTERNAL,
		    "with memory for %u of two allocations: no verdict", left);
		arena_free(full);
	}
}

int
main(void)
{
	struct arena *arena;

	if ((arena = arena_new(1 << 20)) == NULL)
		return 1;
	test_names(arena);
	test_memory();
	arena_free(arena);
	return tap_done();
}
