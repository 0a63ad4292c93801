#ifndef MASTER_H
#define MASTER_H

#include "server/handoff.h"

/*
 * The master of a pool of workers.  It handles no request, no token and no
 * database.
 *
 * It starts *workers* workers, to which it hands *handoff* and descriptor 0,
 * and keeps that many running.  It starts the other workers once the first one
 * is ready; then it also tells systemd (notify.h).
 *
 *   a worker ends           it is replaced: at once at first, after growing
 *                           pauses if workers keep failing early
 *   TERM, INT or QUIT       each worker gets TERM, answers the request in hand
 *                           and ends; one that runs after 10 s is killed
 *   HUP                     reload: new workers start one by one, from the
 *                           program file of now; an old worker gets TERM once
 *                           a new one is ready.  If a new worker does not
 *                           become ready, the reload is abandoned and the old
 *                           workers stay
 *
 * Returns the exit status: 0 after TERM, INT or QUIT; 78 (EX_CONFIG) if the
 * first workers find their settings wrong; 1 if no worker can be started.
 */
int master_run(const struct handoff *handoff, unsigned workers);

#endif
