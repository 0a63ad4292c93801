#ifndef TOKEN_H
#define TOKEN_H

#include <stdint.h>

#include "auth/secrets.h"
#include "base/arena.h"
#include "base/cache.h"
#include "base/slice.h"
#include "base/status.h"

/* The longest token that is verified, in bytes; longer ones are refused. */
#define TOKEN_LENGTH_MAX 4096

/* What tokens are verified against. */
struct token_policy {
	struct secrets secrets; /* any of them may have signed a token */
	struct slice issuer;	/* iss must equal it */
	struct slice audience;	/* aud must equal or contain it */
	int64_t leeway;		/* seconds for iat and nbf, 0 to 300 */
	int64_t max_lifetime;	/* seconds from iat to exp, 60 to 86400 */
};

/* The claims of a verified token (RFC 7519 section 4). */
struct token_claims {
	struct slice user_id; /* equal to sub; 1 to 64 unreserved characters */
	struct slice email;   /* 1 to 320 bytes of UTF-8 */
	struct slice issuer;
	int64_t issued_at;  /* iat, seconds since 1970 */
	int64_t expires_at; /* exp, seconds since 1970 */
	int64_t not_before; /* nbf, likewise; INT64_MIN if there is none */
};

/* Why a token was refused: for the operator's log, never for the client. */
struct token_refusal {
	const char *reason; /* static; NULL if the token was not refused */
	const char *alg;    /* the token's alg, cut to 32 bytes; NULL if none */
};

/*
 * Verify *token*, a compact JWS (RFC 7515 section 7.1) signed with HS256, at
 * *now* in seconds since 1970.  *claims* and *refusal* live in *arena*.
 *
 * The checks come in this order: form; header; signature; payload; presence
 * and type of each claim; exp, iat, nbf and the lifetime; iss; aud; user_id and
 * sub; jti and user_email; libjwt.  The MACs are computed right after the form,
 * and a header longer than 256 bytes is parsed only if the signature is right.
 *
 * libjwt's JSON parser, jansson, refuses integers outside int64_t and numbers
 * outside double anywhere in a token.  RFC 8259 allows both.
 *
 * STATUS_TOKEN_INVALID, or, once the signature is known to be right,
 * STATUS_TOKEN_EXPIRED, STATUS_TOKEN_ISSUER or STATUS_TOKEN_AUDIENCE: the token
 * is refused and *refusal* says why.  STATUS_INTERNAL if there is no memory:
 * the token is neither accepted nor refused.
 */
enum status token_verify(struct arena *arena, const struct token_policy *policy,
    struct slice token, int64_t now, struct token_refusal *refusal,
    struct token_claims *claims) MUST_CHECK;

/*
 * Remember in *cache* the *claims* of *token*, which token_verify() accepted.
 * A token longer than 1,024 bytes is not remembered.
 */
void token_remember(
    struct cache *cache, struct slice token, const struct token_claims *claims);

/*
 * Look *token* up in *cache*, which was filled under the same policy, and check
 * its times against *now*.  *claims* live in the cache.
 *
 * STATUS_NONE if the cache does not hold the token; otherwise as
 * token_verify().
 */
enum status token_recall(const struct cache *cache,
    const struct token_policy *policy, struct slice token, int64_t now,
    struct token_refusal *refusal, struct token_claims *claims) MUST_CHECK;

#endif
