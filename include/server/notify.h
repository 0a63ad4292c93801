#ifndef NOTIFY_H
#define NOTIFY_H

/*
 * Tell systemd that the service is ready, as sd_notify(3) does: if the
 * environment variable NOTIFY_SOCKET names a socket, send READY=1 there.
 */
void notify_ready(void);

#endif
