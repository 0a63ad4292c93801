#ifndef TOKEN_H
#define TOKEN_H

#include <stdint.h>

#include "auth/secrets.h"
#include "base/arena.h"
#include "base/cache.h"
#include "base/slice.h"
#include "base/status.h"

/* The longest token that is looked at, in bytes. */
#define TOKEN_LENGTH_MAX 4096

/* What a token must be to be believed. */
struct token_policy {
	struct secrets secrets; /* any of them may have signed it */
	struct slice issuer;
	struct slice audience;
	int64_t leeway;	      /* seconds, 0 to 300 */
	int64_t max_lifetime; /* seconds, 60 to 86400 */
};

/* What a verified token says (RFC 7519). */
struct token_claims {
	struct slice user_id; /* equal to sub; 1 to 64 unreserved characters */
	struct slice email;   /* 1 to 320 bytes of UTF-8 */
	struct slice issuer;
	int64_t issued_at;  /* iat, seconds since 1970 */
	int64_t expires_at; /* exp, seconds since 1970 */
	int64_t not_before; /* nbf, likewise; INT64_MIN if it did not come */
};

/* Why a token was refused: for the operator's log, never for the client. */
struct token_refusal {
	const char *reason; /* static */
	const char *alg;    /* the alg that came, or its start; or NULL */
};

/*
 * Verify *token*, a compact JWS (RFC 7515 section 7.1) signed with HS256, at
 * the time *now* in seconds since 1970, and give its claims, which live in
 * *arena*.  The checks and their order are those of the contract's table: form,
 * header, signature, payload; of the claims first presence and types, then
 * exp, iat, nbf, the lifetime, iss, aud, user_id and sub, jti, user_email.  (A
 * header that is long for one is looked at only if the signature is right.)
 *
 * Stricter than the table in one point: libjwt, which has the last word, and
 * its own JSON reader, jansson, refuse integers past int64_t and fractions past
 * a double anywhere in a token.
 *
 * STATUS_TOKEN_EXPIRED, STATUS_TOKEN_ISSUER and STATUS_TOKEN_AUDIENCE come
 * only after the signature was found right; everything else is
 * STATUS_TOKEN_INVALID, with *refusal* filled.  STATUS_INTERNAL if there is no
 * memory: the token is then neither accepted nor refused.
 */
enum status token_verify(struct arena *arena, const struct token_policy *policy,
    struct slice token, int64_t now, struct token_refusal *refusal,
    struct token_claims *claims) MUST_CHECK;

/*
 * Have *cache* remember *token*, which token_verify() believed, with what it
 * claims.  Nothing is remembered of a token that was refused, or that is far
 * longer than usual.
 */
void token_remember(
    struct cache *cache, struct slice token, const struct token_claims *claims);

/*
 * Answer as token_verify() would, if *token* is in *cache*; else
 * STATUS_NONE.  The cache must have been filled under the same policy;
 * the times are checked anew.  *claims* live in the cache.
 */
enum status token_recall(const struct cache *cache,
    const struct token_policy *policy, struct slice token, int64_t now,
    struct token_refusal *refusal, struct token_claims *claims) MUST_CHECK;

#endif
