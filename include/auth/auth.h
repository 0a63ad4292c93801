#ifndef AUTH_H
#define AUTH_H

#include <stdbool.h>
#include <stdint.h>

#include "auth/token.h"
#include "base/arena.h"
#include "base/cache.h"
#include "base/slice.h"
#include "base/status.h"

/* The user who sent a request.  Only auth_identify() makes one. */
struct current_user {
	struct token_claims claims;
};

/*
 * Identify the user by the token in *authorization*, the value of the header
 * field Authorization (RFC 6750 section 2.1), at *now* in seconds since 1970.
 * *authorization* has data NULL if the request has no such field.
 *
 * *tokens* has the tokens that were accepted under the same policy, and gets
 * this one if it is accepted; it may be NULL.  *user* lives until *arena* is
 * reset or auth_identify() is called again.
 *
 * STATUS_TOKEN_MISSING if the field has no Bearer token; otherwise as
 * token_verify(), with *refusal* filled for the log.
 */
enum status auth_identify(struct arena *arena,
    const struct token_policy *policy, struct cache *tokens,
    struct slice authorization, int64_t now, struct token_refusal *refusal,
    const struct current_user **user) MUST_CHECK;

#endif
