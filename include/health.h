#ifndef HEALTH_H
#define HEALTH_H

#include "exchange.h"
#include "status.h"

/* The process lives. */
enum status health_live(struct exchange *x) MUST_CHECK;

/* The database answers and has the schema that this program was built for. */
enum status health_ready(struct exchange *x) MUST_CHECK;

#endif
