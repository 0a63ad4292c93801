#ifndef TASKS_H
#define TASKS_H

#include "auth/auth.h"
#include "auth/tenant.h"
#include "base/slice.h"
#include "base/status.h"
#include "http/exchange.h"

/*
 * The handlers of a tenant's tasks.  *id* is the raw path segment that names
 * a task, with data NULL where the route has none.
 */
enum status tasks_list(struct exchange *x, const struct current_user *user,
    const struct tenant *tenant, struct slice id) MUST_CHECK;
enum status tasks_create(struct exchange *x, const struct current_user *user,
    const struct tenant *tenant, struct slice id) MUST_CHECK;
enum status tasks_read(struct exchange *x, const struct current_user *user,
    const struct tenant *tenant, struct slice id) MUST_CHECK;
enum status tasks_update(struct exchange *x, const struct current_user *user,
    const struct tenant *tenant, struct slice id) MUST_CHECK;
enum status tasks_complete(struct exchange *x, const struct current_user *user,
    const struct tenant *tenant, struct slice id) MUST_CHECK;
enum status tasks_delete(struct exchange *x, const struct current_user *user,
    const struct tenant *tenant, struct slice id) MUST_CHECK;

#endif
