#ifndef SCHEMA_H
#define SCHEMA_H

#include "db.h"
#include "pool.h"
#include "status.h"

/* The migration of sql/ that this program needs; later ones do not hurt. */
#define SCHEMA_VERSION 1

/*
 * STATUS_OK if the database has applied SCHEMA_VERSION; STATUS_NOT_FOUND if it
 * has not; else as db_run().
 */
enum status schema_check(struct db *db, struct pool *pool) MUST_CHECK;

#endif
