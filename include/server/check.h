#ifndef CHECK_H
#define CHECK_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/status.h"
#include "db/db.h"
#include "server/settings.h"

/*
 * After db_connect() has returned *connected*: why would the database answer
 * no request, however often it is tried?  The account or the database is
 * refused, the schema is not there, or the account lacks a right.  NULL if
 * there is no such reason; that the database is away is none.
 */
const char *check_refusal(
    struct db *db, struct arena *arena, enum status connected);

/*
 * Check what can be wrong beyond the form of *settings*, *with_database* by
 * logging in as a worker does, and print what is in force, or one line that
 * says what is wrong.  Returns the exit status: 0, 78 (EX_CONFIG) if something
 * is wrong, 69 (EX_UNAVAILABLE) if the database is away.
 */
int check_settings(const struct settings *settings, bool with_database);

#endif
