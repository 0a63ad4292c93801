#ifndef CHECK_H
#define CHECK_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/status.h"
#include "db/db.h"
#include "server/settings.h"

/*
 * After db_connect() has returned *connected*: the reason why the database will
 * not answer requests, however often a worker tries.  It refuses the account,
 * the database or a setting, the schema is missing, or the account lacks a
 * right.  NULL if there is no such reason; an unreachable database is none.
 */
const char *check_refusal(
    struct db *db, struct arena *arena, enum status connected);

/* Log *warning*, which is about a setting or the option file. */
void check_log_warning(const char *warning);

/*
 * Check *settings* further: names of settings, the option file and, if
 * *with_database*, the database by a login.  Print the settings in force, or a
 * line that says what is wrong.  Returns the exit status: 0; 78 (EX_CONFIG) if
 * something is wrong; 69 (EX_UNAVAILABLE) if the database is unreachable.
 */
int check_settings(const struct settings *settings, bool with_database);

#endif
