#ifndef BASE64URL_H
#define BASE64URL_H

#include "base/arena.h"
#include "base/slice.h"
#include "base/status.h"

/*
 * base64url without padding (RFC 4648 section 5, RFC 7515 section 2), in its
 * one canonical form: the bits that the last character has to spare are 0.
 */

/*
 * Decode *text* into *bytes*, in the arena and terminated by a NUL beyond its
 * length.  STATUS_INVALID if any byte is outside the alphabet, the length is
 * impossible, or the last character is not canonical; STATUS_INTERNAL if
 * there is no memory.
 */
enum status base64url_decode(
    struct arena *arena, struct slice text, struct slice *bytes) MUST_CHECK;

/* Encode *bytes* into *text*, in the arena.  STATUS_INTERNAL if no memory. */
enum status base64url_encode(
    struct arena *arena, struct slice bytes, struct slice *text) MUST_CHECK;

#endif
