#ifndef HEALTH_H
#define HEALTH_H

#include "base/status.h"
#include "db/db.h"
#include "http/exchange.h"

/* Answer that the process is alive. */
enum status health_live(struct exchange *x, struct db *db) MUST_CHECK;

/* Answer whether the database answers and has the schema that is needed. */
enum status health_ready(struct exchange *x, struct db *db) MUST_CHECK;

#endif
