#ifndef EXCHANGE_H
#define EXCHANGE_H

#include <stdint.h>

#include "base/arena.h"
#include "base/slice.h"
#include "http/request.h"
#include "http/response.h"

/*
 * One request and the answer to it, without the database or a secret.  A
 * handler that needs the database or a secret takes it as a parameter, so the
 * type of a function says what the function can reach.
 */
struct exchange {
	struct arena *arena; /* lives as long as the exchange */
	const struct request *request;
	struct target target;	 /* the parts of the request's target */
	struct slice id_segment; /* stands for "{id}"; data NULL if none */
	int64_t now_us;		 /* the start of the request, since 1970 */
	struct response response;
};

#endif
