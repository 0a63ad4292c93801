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
 * Make a UUIDv7 (RFC 9562 section 5.7) for the time *now_us*, in microseconds
 * since 1970: the milliseconds, then in rand_a the fraction of the millisecond
 * in 4096ths (section 6.2, method 3), then random bits.  STATUS_INTERNAL if the
 * kernel gives no random bytes.
 */
enum status uuid_v7(int64_t now_us, struct uuid *uuid) MUST_CHECK;

/*
 * Read *text*: 8-4-4-4-12 hexadecimal digits, in lower case only.
 * STATUS_INVALID if *text* has another form.
 */
enum status uuid_read(struct slice text, struct uuid *uuid) MUST_CHECK;

/* Write *uuid* in lower case.  Not terminated. */
void uuid_write(const struct uuid *uuid, char out[UUID_TEXT_LENGTH]);

#endif
