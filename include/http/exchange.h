#ifndef EXCHANGE_H
#define EXCHANGE_H

#include <stdint.h>

#include "base/arena.h"
#include "base/cache.h"
#include "db/db.h"
#include "http/request.h"
#include "http/response.h"
#include "server/settings.h"

/* One request and the answer to it, with all that a handler may use. */
struct exchange {
	struct arena *arena; /* lives as long as the exchange */
	struct db *db;
	struct cache *tokens; /* verified under *settings*; or NULL */
	const struct settings *settings;
	const struct request *request;
	struct target target; /* the request's, taken apart */
	int64_t now;	      /* when it began: microseconds since 1970 */
	struct response response;
};

#endif
