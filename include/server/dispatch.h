#ifndef DISPATCH_H
#define DISPATCH_H

#include "base/arena.h"
#include "base/buffer.h"
#include "base/cache.h"
#include "db/db.h"
#include "http/request.h"
#include "server/settings.h"

/*
 * Answer *request*: write the whole answer, as fcgi_finish() sends it, into
 * *out*, and log it.  *arena* is the request's.  If *out* has failed, for want
 * of memory, an error is logged, and the caller answers with that.
 */
void dispatch(const struct settings *settings, struct cache *tokens,
    struct db *db, struct arena *arena, const struct request *request,
    struct buffer *out);

#endif
