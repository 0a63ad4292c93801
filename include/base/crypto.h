#ifndef CRYPTO_H
#define CRYPTO_H

#include <stdint.h>

#include "base/arena.h"
#include "base/slice.h"
#include "base/status.h"

/*
 * What this program needs of libcrypto: a digest, the check of a MAC, boxes
 * that only somebody with the secret can make or look into, and a hash for
 * tables.
 */
#define CRYPTO_DIGEST_LENGTH 32

/* The SHA-256 of *text* (FIPS 180-4).  STATUS_INTERNAL if libcrypto fails. */
enum status crypto_digest(
    struct slice text, unsigned char digest[CRYPTO_DIGEST_LENGTH]) MUST_CHECK;

/*
 * Is *mac* the HMAC-SHA256 of *text* under *key* (RFC 2104)?  Compared in
 * constant time.  STATUS_INVALID if not; STATUS_INTERNAL if libcrypto fails.
 */
enum status crypto_check_mac(
    struct slice key, struct slice text, struct slice mac) MUST_CHECK;

/*
 * Seal *plain* into *box*, printable as base64url: AES-256-GCM (NIST SP
 * 800-38D) with a random nonce, under a key derived from *secret*.  *context*
 * is not in the box, but the box opens only with the same one.
 * STATUS_INTERNAL if there is no memory or libcrypto fails.
 */
enum status crypto_seal(struct arena *arena, struct slice secret,
    struct slice context, struct slice plain, struct slice *box) MUST_CHECK;

/*
 * Open *box* into *plain*, which lives in *arena*.  STATUS_INVALID unless
 * crypto_seal() made it with the same *secret* and *context*; STATUS_INTERNAL
 * as above.
 */
enum status crypto_open(struct arena *arena, struct slice secret,
    struct slice context, struct slice box, struct slice *plain) MUST_CHECK;

/*
 * SipHash-2-4 (Aumasson and Bernstein, 2012) under a random key: a hash that
 * nobody can foresee, or steer, who sends the texts.
 *
 * crypto_hash_new() returns NULL if there is no memory or libcrypto fails; the
 * caller owns what it makes, and crypto_hash_free() ends it.
 */
struct crypto_hash;

struct crypto_hash *crypto_hash_new(void);
void crypto_hash_free(struct crypto_hash *hash);

/* The *value* of *text*.  STATUS_INTERNAL if libcrypto fails. */
enum status crypto_hash_value(const struct crypto_hash *hash, struct slice text,
    uint64_t *value) MUST_CHECK;

#endif
