/*
 * Goal: however little memory there is left, an answer is whole or it has
 * failed, and the log says what the client is told.
 */

#include "dispatch.h"

#include <stdlib.h>
#include <unistd.h>

#include "log.h"
#include "tap.h"

#define CAP ((size_t)65536)

/* A pool in which *room* bytes are left. */
static struct pool *
pool_with(size_t room)
{
	struct pool *pool = pool_new(CAP);
	size_t left = CAP;

	while (left > room && pool_alloc(pool, 16) != NULL)
		left -= 16;
	return pool;
}

/* The status that the one line of *log* tells, which is then cleared. */
static int
logged(int log)
{
	char line[512];
	ssize_t length = pread(log, line, sizeof(line) - 1, 0);
	const char *at;

	if (length <= 0 || ftruncate(log, 0) != 0)
		return 0;
	line[length] = '\0';
	at = strstr(line, " status=");
	return at == NULL ? 0 : atoi(at + 8);
}

int
main(void)
{
	static const struct settings settings = { 0 };
	static const struct slice success = SLICE("Status: 200 OK\r\n");
	const struct request request = {
		.method = METHOD_GET,
		.target = SLICE("/healthz"),
		.id = SLICE("r1"),
	};
	char path[] = "/tmp/todo-dispatch-XXXXXX";
	int log = mkstemp(path);
	struct db *db = db_new("/nonexistent");
	unsigned good = 0, failed = 0, wrong = 0;

	if (log < 0 || db == NULL || log_open(path) != STATUS_OK)
		return 1;
	(void)unlink(path);
	for (size_t room = 0; room < 8192; room += 16) {
		struct pool *pool = pool_with(room);
		struct buffer out = buffer_in(pool);
		struct slice start;
		int status;

		dispatch(&settings, NULL, db, pool, &request, &out);
		status = logged(log);
		start = (struct slice) { out.data, success.length };
		if (out.failed && status == 500)
			failed++;
		else if (!out.failed && status == 200 &&
		    out.length > success.length && slice_equal(start, success))
			good++;
		else
			wrong++;
		pool_free(pool);
	}
	ok(good > 0, "with room enough the answer is whole: %u", good);
	ok(failed > 0, "with too little it has failed: %u", failed);
	ok(wrong == 0, "and the log says so: %u wrong", wrong);
	db_free(db);
	(void)close(log);
	return tap_done();
}
