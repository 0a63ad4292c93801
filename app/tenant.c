#include "tenant.h"

#include "request.h"

struct tenant {
	struct slice user_id;
};

enum status
tenant_guard(struct pool *pool, const struct current_user *user,
    struct slice segment, const struct tenant **tenant)
{
	struct slice named;
	struct tenant *guarded;
	enum status status;

	status = request_decode(pool, segment, &named);
	if (status == STATUS_INTERNAL)
		return status;
	if (status != STATUS_OK || named.length == 0 ||
	    !slice_equal(named, user->claims.user_id))
		return STATUS_FORBIDDEN;

	if ((guarded = pool_alloc(pool, sizeof(*guarded))) == NULL)
		return STATUS_INTERNAL;
	guarded->user_id = user->claims.user_id;
	*tenant = guarded;
	return STATUS_OK;
}

struct slice
tenant_user_id(const struct tenant *tenant)
{
	return tenant->user_id;
}
