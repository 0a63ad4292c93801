#ifndef NOTIFY_H
#define NOTIFY_H

/*
 * Tell systemd that the service is ready, as sd_notify(3) does: send READY=1 to
 * the socket that the environment variable NOTIFY_SOCKET names, if it is set.
 */
void notify_ready(void);

#endif
