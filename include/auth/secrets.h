#ifndef SECRETS_H
#define SECRETS_H

#include <stddef.h>

#include "base/arena.h"
#include "base/slice.h"
#include "base/status.h"

#define SECRETS_MAX 4

/* The longest secret, in bytes: nobody means more, and libjwt counts in int. */
#define SECRETS_LENGTH_MAX 65536

/* One HMAC key. */
struct secret {
	struct slice key;     /* the raw bytes of the secret: 32 to 65536 */
	struct slice version; /* in decimal; data is NULL if it has none */
};

/* The keys that are in use at one time, so that they can be rotated. */
struct secrets {
	struct secret list[SECRETS_MAX]; /* the first is current */
	size_t count;			 /* 1 to SECRETS_MAX */
};

/*
 * Seal *plain* into *box* as crypto_seal() does, with the current secret.
 * Statuses as crypto_seal().
 */
enum status secrets_seal(struct arena *arena, const struct secrets *secrets,
    struct slice context, struct slice plain, struct slice *box) MUST_CHECK;

/*
 * Open *box* as crypto_open() does, with whichever secret sealed it, so that a
 * box outlives a rotation.  Statuses as crypto_open().
 */
enum status secrets_open(struct arena *arena, const struct secrets *secrets,
    struct slice context, struct slice box, struct slice *plain) MUST_CHECK;

#endif
