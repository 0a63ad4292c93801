#ifndef SCHEMA_H
#define SCHEMA_H

#include "base/arena.h"
#include "base/status.h"
#include "db/db.h"

/* The migration of sql/ that this program needs; later ones do not hurt. */
#define SCHEMA_VERSION 1

/*
 * STATUS_OK if the database has applied SCHEMA_VERSION; STATUS_NONE if it
 * has not; else as db_run().
 */
enum status schema_check(struct db *db, struct arena *arena) MUST_CHECK;

/* What there is to know of the database, each text cut to fit. */
struct schema_facts {
	char database[65]; /* "" if none is chosen */
	char user[130];	   /* the account, as the server knows it */
	char server[160];  /* its host name and version */
	int64_t version;   /* the newest migration */
	int64_t time;	   /* its clock, microseconds since 1970 */
};

/* Ask for *facts*, with memory of *arena*.  Statuses as db_run()'s. */
enum status schema_describe(
    struct db *db, struct arena *arena, struct schema_facts *facts) MUST_CHECK;

/*
 * May the account read, insert, change and delete tasks?  Statuses as
 * db_run()'s; db_refused() tells of a right that the account lacks.
 */
enum status schema_check_grants(struct db *db, struct arena *arena) MUST_CHECK;

#endif
