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
 * *out*, which is empty, and log the request.  *arena* is the arena of the
 * request and of *out*.  If the memory of *arena* runs out, it is reset, and
 * the answer is 500.
 */
void dispatch(const struct settings *settings, struct cache *tokens,
    struct db *db, struct arena *arena, const struct request *request,
    struct buffer *out);

#endif
