/*
 * Not a test: prints every statement on tasks, one a line, its name, a tab and
 * its text, for the test that reads the plans.
 */

#include <stdio.h>
#include <stdlib.h>

#include "base/arena.h"
#include "task/task_store.h"

static void
print(const char *name, struct slice text)
{
	printf("%s\t%.*s\n", name, (int)text.length, text.data);
}

int
main(void)
{
	struct arena *arena;
	enum status status;

	if ((arena = arena_new(1024 * 1024)) == NULL)
		return EXIT_FAILURE;
	status = task_store_statements(arena, print);
	arena_free(arena);
	return status == STATUS_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}
