#ifndef SIPHASH_H
#define SIPHASH_H

#include <stdint.h>

#include "slice.h"

/*
 * SipHash-2-4 (Aumasson and Bernstein, 2012): a hash of *text* that nobody can
 * foresee, or steer, who does not know *key*.  For tables; for what has to be
 * authentic there is crypto.h.
 */
#define SIPHASH_KEY_LENGTH 16

uint64_t siphash(
    const unsigned char key[SIPHASH_KEY_LENGTH], struct slice text);

#endif
