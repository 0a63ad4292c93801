#ifndef ORIGIN_H
#define ORIGIN_H

#include "base/arena.h"
#include "base/slice.h"
#include "base/status.h"

/*
 * Read *url* into *origin*, its origin (RFC 6454 section 6.2): scheme and host
 * in lower case, and the port unless it is the scheme's default.  *origin*
 * lives in *arena*.
 *
 * Accepted is "http://" or "https://", in any case, a host, and optionally
 * ":PORT", 1 to 65535 in decimal, and "/" with a path.  The host is one of
 *
 *	labels of A-Z a-z 0-9 - _ with single dots between them; if the last
 *	label is all digits, or begins with 0x, an IPv4 address of four decimal
 *	numbers;
 *	in brackets, an IPv6 address as RFC 5952 writes it, other than one that
 *	embeds an IPv4 address.
 *
 * So no browser serializes the origin of *url* differently.
 *
 * STATUS_INVALID if *url* has another form: *problem* says which part, is
 * static, and holds nothing of *url*.  STATUS_INTERNAL if there is no memory.
 */
enum status origin_read(struct arena *arena, struct slice url,
    const char **problem, struct slice *origin) MUST_CHECK;

#endif
