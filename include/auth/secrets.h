#ifndef SECRETS_H
#define SECRETS_H

#include <stddef.h>

#include "base/arena.h"
#include "base/slice.h"
#include "base/status.h"

/* How many secrets can be in use at one time. */
#define SECRETS_MAX 4

/* How many bytes a secret can have. */
#define SECRETS_LENGTH_MIN 32
#define SECRETS_LENGTH_MAX 65536

/* One HMAC key. */
struct secret {
	struct slice key;     /* the bytes of the secret as they were given */
	struct slice version; /* in decimal; data is NULL if it has none */
};

/* The keys that are in use at one time, so that they can be rotated. */
struct secrets {
	struct secret list[SECRETS_MAX]; /* the first is current */
	size_t count;			 /* 1 to SECRETS_MAX */
};

/*
 * Read *text*, which is one secret, into *secrets*.  The key is a copy in
 * *arena*, and is overwritten before the arena gives its memory back.
 *
 * STATUS_INVALID if *text* cannot be a secret: it has too few or too many
 * bytes, is not valid UTF-8, has a NUL, begins or ends with white space or a
 * control character, or is Better Auth's built-in default.  *problem* then says
 * which, as "has a NUL byte", and holds no part of *text*; it is static or in
 * *arena*.  STATUS_INTERNAL if there is no memory.
 */
enum status secrets_read_single(struct arena *arena, struct slice text,
    const char **problem, struct secrets *secrets) MUST_CHECK;

/*
 * Read *text*, "2:NEW,1:OLD", into *secrets*: 1 to SECRETS_MAX entries with a
 * comma between them, each a version, a colon and a secret as above.  Versions
 * are different decimal numbers from 0 to 2^53 - 1, without leading zeros.
 *
 * Statuses as above.  *entry* is the position of the entry that has the
 * *problem*, from 1, or 0 if the text as a whole has it.
 */
enum status secrets_read_versions(struct arena *arena, struct slice text,
    size_t *entry, const char **problem, struct secrets *secrets) MUST_CHECK;

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
