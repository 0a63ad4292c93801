#ifndef TASKS_H
#define TASKS_H

#include "auth/secrets.h"
#include "auth/tenant.h"
#include "base/status.h"
#include "db/db.h"
#include "http/exchange.h"

/*
 * The handlers of a tenant's tasks.  Where the route has "{id}", x->id_segment
 * names the task.  Only tasks_list() needs the *secrets*, to seal and open
 * cursors.
 */
enum status tasks_list(struct exchange *x, const struct tenant *tenant,
    struct db *db, const struct secrets *secrets) MUST_CHECK;
enum status tasks_create(struct exchange *x, const struct tenant *tenant,
    struct db *db, const struct secrets *secrets) MUST_CHECK;
enum status tasks_read(struct exchange *x, const struct tenant *tenant,
    struct db *db, const struct secrets *secrets) MUST_CHECK;
enum status tasks_update(struct exchange *x, const struct tenant *tenant,
    struct db *db, const struct secrets *secrets) MUST_CHECK;
enum status tasks_complete(struct exchange *x, const struct tenant *tenant,
    struct db *db, const struct secrets *secrets) MUST_CHECK;
enum status tasks_delete(struct exchange *x, const struct tenant *tenant,
    struct db *db, const struct secrets *secrets) MUST_CHECK;

#endif
