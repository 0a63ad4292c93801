#ifndef UUID_H
#define UUID_H

#include <stdint.h>

#include "base/slice.h"
#include "base/status.h"

#define UUID_TEXT_LENGTH 36

/* A UUID in network order, as RFC 9562 section 4 lays it out. */
struct uuid {
	unsigned char bytes[16];
};

/*
 * Make the UUIDv7 of *now* (microseconds since 1970): the milliseconds, then
 * in rand_a the fraction of the millisecond in 4096ths (RFC 9562 section 6.2,
 * method 3), then random bits.  STATUS_INTERNAL if the kernel has no random
 * bytes to give.
 */
enum status uuid_v7(int64_t now, struct uuid *uuid) MUST_CHECK;

/*
 * Read *text*: 8-4-4-4-12 hexadecimal digits, lower case only.
 * STATUS_INVALID for anything else.
 */
enum status uuid_read(struct slice text, struct uuid *uuid) MUST_CHECK;

/* Write *uuid* in lower case.  Not terminated. */
void uuid_write(const struct uuid *uuid, char out[UUID_TEXT_LENGTH]);

#endif
