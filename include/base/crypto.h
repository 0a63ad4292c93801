#ifndef CRYPTO_H
#define CRYPTO_H

#include <stdint.h>

#include "base/arena.h"
#include "base/slice.h"
#include "base/status.h"

/*
 * What this program needs of libcrypto: a digest, the check of a MAC, boxes
 * (authenticated encryption), and a hash for hash tables.
 */
#define CRYPTO_DIGEST_LENGTH 32

/*
 * Put the SHA-256 of *text* (FIPS 180-4) into *digest*.  STATUS_INTERNAL if
 * libcrypto fails.
 */
enum status crypto_digest(
    struct slice text, unsigned char digest[CRYPTO_DIGEST_LENGTH]) MUST_CHECK;

/*
 * Check that *mac* is the HMAC-SHA256 of *text* under *key* (RFC 2104), in
 * constant time.  STATUS_OK if it is, STATUS_INVALID if it is not;
 * STATUS_INTERNAL if libcrypto fails.
 */
enum status crypto_check_mac(
    struct slice key, struct slice text, struct slice mac) MUST_CHECK;

/*
 * Encrypt *plain* into *box*, which is base64url and in *arena*: AES-256-GCM
 * (NIST SP 800-38D) with a random nonce, under a key derived from *secret*.
 * *context* is authenticated but not stored: the box opens only with the same
 * context.  STATUS_INTERNAL if there is no memory or libcrypto fails.
 */
enum status crypto_seal(struct arena *arena, struct slice secret,
    struct slice context, struct slice plain, struct slice *box) MUST_CHECK;

/*
 * Decrypt *box* into *plain*, which is in *arena* and terminated.
 * STATUS_INVALID unless crypto_seal() made the box with the same *secret* and
 * *context*; STATUS_INTERNAL if there is no memory or libcrypto fails.
 */
enum status crypto_open(struct arena *arena, struct slice secret,
    struct slice context, struct slice box, struct slice *plain) MUST_CHECK;

/*
 * SipHash-2-4 (Aumasson and Bernstein, 2012) under a random key: whoever sends
 * the texts can neither predict their hashes nor make them collide.
 */
struct crypto_hash;

/*
 * Make a hash with a key of its own.  Returns NULL if there is no memory or
 * libcrypto fails.  The caller owns the hash and frees it with
 * crypto_hash_free(), which accepts NULL.
 */
struct crypto_hash *crypto_hash_new(void);
void crypto_hash_free(struct crypto_hash *hash);

/* Put the hash of *text* into *value*.  STATUS_INTERNAL if libcrypto fails. */
enum status crypto_hash_value(const struct crypto_hash *hash, struct slice text,
    uint64_t *value) MUST_CHECK;

#endif
