/*
 * Not a test: prints every statement on tasks, one a line, its name, a tab and
 * its text, for the test that reads the plans.
 */

#include <stdio.h>
#include <stdlib.h>

#include "pool.h"
#include "task_store.h"

int
main(void)
{
	struct pool *pool;
	const char *name, *sql;

	if ((pool = pool_new(1024 * 1024)) == NULL)
		return EXIT_FAILURE;
	for (unsigned i = 0;
	     task_store_statement(pool, i, &name, &sql) == STATUS_OK; i++)
		printf("%s\t%s\n", name, sql);
	pool_free(pool);
	return EXIT_SUCCESS;
}
