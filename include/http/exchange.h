#ifndef EXCHANGE_H
#define EXCHANGE_H

#include <stdint.h>

#include "base/arena.h"
#include "base/slice.h"
#include "http/request.h"
#include "http/response.h"

/*
 * One request and the answer to it.  There is no database and no secret in
 * here: a handler that needs one takes it as a parameter, so that the type of
 * a function says what it can reach.
 */
struct exchange {
	struct arena *arena; /* lives as long as the exchange */
	const struct request *request;
	struct target target; /* the request's, taken apart */
	struct slice id; /* the raw segment for "{id}"; data NULL if none */
	int64_t now_us;	 /* when the request began: microseconds since 1970 */
	struct response response;
};

#endif
