#ifndef HEALTH_H
#define HEALTH_H

#include "base/status.h"
#include "db/db.h"
#include "http/exchange.h"

/* The process lives. */
enum status health_live(struct exchange *x, struct db *db) MUST_CHECK;

/* The database answers and has the schema that this program was built for. */
enum status health_ready(struct exchange *x, struct db *db) MUST_CHECK;

#endif
