#ifndef WORKER_H
#define WORKER_H

#include "server/settings.h"

/*
 * Answer requests on the listening socket 0 until SIGTERM, SIGINT or SIGQUIT
 * comes; the request in hand is answered first.  Without the database, a worker
 * starts too, and answers 503 to requests that need the database.
 *
 * Returns the exit status: 0 after a signal; 64 (EX_USAGE) if descriptor 0 is
 * not a listening socket; 71 (EX_OSERR) if there is no memory; 77 (EX_NOPERM)
 * as handoff.h says.
 */
int worker_run(const struct settings *settings);

#endif
