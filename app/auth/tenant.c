#include "auth/tenant.h"

#include "auth/auth.h"
#include "base/arena.h"
#include "http/request.h"

struct tenant {
	struct slice user_id;
};

enum status
tenant_guard(struct arena *arena, const struct current_user *user,
    struct slice segment, const struct tenant **tenant)
{
	struct slice named;
	struct tenant *guarded;
	enum status status;

	status = request_decode(arena, segment, &named);
	if (status == STATUS_INTERNAL)
		return status;
	if (status != STATUS_OK || named.length == 0 ||
	    !slice_equal(named, user->claims.user_id))
		return STATUS_FORBIDDEN;

	if ((guarded = arena_alloc(arena, sizeof(*guarded))) == NULL)
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
