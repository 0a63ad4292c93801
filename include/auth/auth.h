#ifndef AUTH_H
#define AUTH_H

#include <stdbool.h>
#include <stdint.h>

#include "auth/token.h"
#include "base/arena.h"
#include "base/cache.h"
#include "base/slice.h"
#include "base/status.h"

/* Who is asking.  Only auth_identify() makes one, from a verified token. */
struct current_user {
	struct token_claims claims;
};

/*
 * Find out who is asking from the value of the Authorization header field
 * (RFC 6750 section 2.1), which has data NULL if there was none, at *now* in
 * seconds since 1970.  Tokens that were verified under the same policy are in
 * *tokens*, which may be NULL, and this one comes to them.  *user* lives until
 * *arena* is reset or another one is identified.
 *
 * STATUS_TOKEN_MISSING if no Bearer token was sent; otherwise as token_verify()
 * answers, with *refusal* filled for the log.
 */
enum status auth_identify(struct arena *arena,
    const struct token_policy *policy, struct cache *tokens,
    struct slice authorization, int64_t now, struct token_refusal *refusal,
    const struct current_user **user) MUST_CHECK;

#endif
