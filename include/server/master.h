#ifndef MASTER_H
#define MASTER_H

/*
 * A small supervisor for a pool of workers, as php-fpm has one.  It knows no
 * request, no token and no database.
 *
 * It runs *program* (an absolute path, looked up anew at each start, so that
 * a new binary takes over at HUP) *workers* times, with descriptor 0 and this
 * process's own environment, and keeps that many running.  The first goes
 * ahead of the others.
 *
 *   a worker that ends      is replaced: at once at first, with growing
 *                           pauses when they die young
 *   TERM, INT or QUIT       every worker gets TERM, finishes the request in
 *                           hand and ends; what has not after 10 s is killed
 *   HUP                     new workers are started one by one; an old one
 *                           gets TERM once its successor is ready.  A new one
 *                           that does not become ready ends the roll-over
 *                           and the old ones stay
 *
 * What may hold secrets is in no worker's environment, where /proc/PID/environ
 * would show it, not even for a moment: a worker reads *settings*, a list of
 * "NAME=value" ended by NULL, from the descriptor whose number is in the
 * environment variable TODO_SETTINGS_FD, each ended by a NUL.
 *
 * A worker says that it is ready by writing one byte to the descriptor whose
 * number is in TODO_READY_FD, and closing it.
 *
 * A worker that starts while there are ready ones from before the last HUP
 * finds TODO_RELOAD in the environment, and ends with status 77 (EX_NOPERM) if
 * the database refuses it: better one worker less than one that answers 503.
 * Where the master has a log file open, its descriptor is in TODO_LOG_FD.
 * Once the first worker is ready, systemd is told (see notify.h).
 *
 * Returns the exit status: 0 after TERM; 78 if the first workers find their
 * settings wrong; 1 if nothing can be started.
 */
int master_run(const char *program, unsigned workers, char *const *settings);

#endif
