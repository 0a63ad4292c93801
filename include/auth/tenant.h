#ifndef TENANT_H
#define TENANT_H

#include "base/slice.h"
#include "base/status.h"

struct arena;
struct current_user;

/*
 * A tenant whose data may be touched now.  What is inside is known to tenant.c
 * alone, and tenant_guard() alone makes one; whatever reads or writes tasks
 * asks for one, so a query without a guard does not compile.
 */
struct tenant;

/*
 * Let *user* into the tenant that *segment*, the raw path segment, names: its
 * own, byte for byte, after one percent-decoding.  *tenant* lives in *arena*.
 * STATUS_FORBIDDEN if it is another's; STATUS_INTERNAL if there is no memory.
 */
enum status tenant_guard(struct arena *arena, const struct current_user *user,
    struct slice segment, const struct tenant **tenant) MUST_CHECK;

/* The tenant's user_id. */
struct slice tenant_user_id(const struct tenant *tenant);

#endif
