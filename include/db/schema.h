#ifndef SCHEMA_H
#define SCHEMA_H

#include "base/arena.h"
#include "base/status.h"
#include "db/db.h"

/* The newest migration in sql/ that this program needs. */
#define SCHEMA_VERSION 1

/*
 * STATUS_OK if the database has applied migration SCHEMA_VERSION or a later
 * one; STATUS_NONE if not; otherwise as db_run().
 */
enum status schema_check(struct db *db, struct arena *arena) MUST_CHECK;

/* Facts about the database; longer texts are cut. */
struct schema_facts {
	char database[65]; /* "" if none is chosen */
	char user[130];	   /* the account, as the server knows it */
	char server[160];  /* its host name and version */
	int64_t version;   /* the newest migration */
	int64_t time;	   /* its clock, microseconds since 1970 */
};

/* Read *facts*, with memory of *arena*.  Statuses as db_run(). */
enum status schema_describe(
    struct db *db, struct arena *arena, struct schema_facts *facts) MUST_CHECK;

/*
 * STATUS_OK if the account may read, insert, change and delete tasks; else as
 * db_run(), and db_refused() is true if it may not.
 */
enum status schema_check_grants(struct db *db, struct arena *arena) MUST_CHECK;

#endif
