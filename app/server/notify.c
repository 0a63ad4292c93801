#include "server/notify.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/log.h"

/* The longest wait for a full socket: the master does nothing else meanwhile.
 */
#define SEND_LIMIT_SECONDS 2

void
notify_ready(void)
{
	static const char message[] = "READY=1";
	static const struct timeval limit = { SEND_LIMIT_SECONDS, 0 };
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	size_t length = path == NULL ? 0 : strlen(path);
	int fd;

	if (length == 0 || length >= sizeof(address.sun_path))
		return;
	memcpy(address.sun_path, path, length);
	if (path[0] == '@')
		address.sun_path[0] = '\0'; /* an abstract address */
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) !=
		0 ||
	    sendto(fd, message, sizeof(message) - 1, MSG_NOSIGNAL,
		(const struct sockaddr *)&address,
		(socklen_t)(offsetof(struct sockaddr_un, sun_path) + length)) <
		0)
		log_event(LOG_LEVEL_WARNING, "notify",
		    LOG_FIELDS(log_text("reason", strerror(errno))));
	if (fd >= 0)
		(void)close(fd);
}
