#ifndef DISPATCH_H
#define DISPATCH_H

#include "buffer.h"
#include "cache.h"
#include "db.h"
#include "pool.h"
#include "request.h"
#include "settings.h"

/*
 * Answer *request*: write the whole answer, as fcgi_finish() sends it, into
 * *out*, and log it.  *pool* is the request's.  If *out* has failed, for want
 * of memory, an error is logged, and the caller answers with that.
 */
void dispatch(const struct settings *settings, struct cache *tokens,
    struct db *db, struct pool *pool, const struct request *request,
    struct buffer *out);

#endif
