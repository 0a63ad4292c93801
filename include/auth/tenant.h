#ifndef TENANT_H
#define TENANT_H

#include "base/slice.h"
#include "base/status.h"

struct arena;
struct current_user;

/*
 * A tenant that the request may read and write.  The struct is defined in
 * tenant.c alone, and only tenant_guard() makes one.  Each function that reads
 * or writes tasks takes one, so a query without a guard does not compile.
 */
struct tenant;

/*
 * Let *user* into the tenant that *segment*, a raw path segment, names.  After
 * one percent-decoding the segment must equal the user's id byte for byte.
 * *tenant* lives in *arena*.
 *
 * STATUS_FORBIDDEN if the segment names another tenant or none;
 * STATUS_INTERNAL if there is no memory.
 */
enum status tenant_guard(struct arena *arena, const struct current_user *user,
    struct slice segment, const struct tenant **tenant) MUST_CHECK;

/* The tenant's user_id. */
struct slice tenant_user_id(const struct tenant *tenant);

#endif
