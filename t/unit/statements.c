/*
 * Not a test: prints every statement on tasks, one a line, its name, a tab and
 * its text, for the test that reads the plans.
 */

#include <stdio.h>
#include <stdlib.h>

#include "pool.h"
#include "task_store.h"

static void
print(const char *name, struct slice text)
{
	printf("%s\t%.*s\n", name, (int)text.length, text.data);
}

int
main(void)
{
	struct pool *pool;
	enum status status;

	if ((pool = pool_new(1024 * 1024)) == NULL)
		return EXIT_FAILURE;
	status = task_store_statements(pool, print);
	pool_free(pool);
	return status == STATUS_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}
