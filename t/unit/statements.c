/*
 * Not a test: prints each statement on tasks, one on a line, as its name, a tab
 * and its text, for the tests that read the statements and their plans.
 */

#include <stdio.h>
#include <stdlib.h>

#include "auth/auth.h"
#include "auth/tenant.h"
#include "base/arena.h"
#include "task/task_sql.h"

static void
print(const char *name, struct slice text)
{
	printf("%s\t%.*s\n", name, (int)text.length, text.data);
}

int
main(void)
{
	static const struct current_user user = {
		.claims = { .user_id = SLICE("u") },
	};
	const struct tenant *tenant;
	struct arena *arena;
	enum status status;

	if ((arena = arena_new(1024 * 1024)) == NULL)
		return EXIT_FAILURE;
	status = tenant_guard(arena, &user, SLICE("u"), &tenant);
	if (status == STATUS_OK)
		status = task_sql_each(arena, tenant, print);
	arena_free(arena);
	return status == STATUS_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}
