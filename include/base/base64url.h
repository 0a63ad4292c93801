#ifndef BASE64URL_H
#define BASE64URL_H

#include "base/arena.h"
#include "base/slice.h"
#include "base/status.h"

/*
 * base64url without padding (RFC 4648 section 5, RFC 7515 section 2), in its
 * one canonical form: the unused bits of the last character are 0.
 */

/*
 * Decode *text* into *bytes*, which are in *arena*, with a NUL after the last
 * byte.  STATUS_INVALID if a byte is outside the alphabet, no encoding has
 * this length, or the unused bits are not 0; STATUS_INTERNAL if there is no
 * memory.
 */
enum status base64url_decode(
    struct arena *arena, struct slice text, struct slice *bytes) MUST_CHECK;

/*
 * Encode *bytes* into *text*, which is in *arena* and terminated.
 * STATUS_INTERNAL if there is no memory.
 */
enum status base64url_encode(
    struct arena *arena, struct slice bytes, struct slice *text) MUST_CHECK;

#endif
