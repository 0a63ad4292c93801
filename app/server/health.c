#include "server/health.h"

#include "db/schema.h"

enum status
health_live(struct exchange *x, struct db *db)
{
	(void)db;
	buffer_add(&x->response.body, SLICE("{\"status\":\"ok\"}"));
	return STATUS_OK;
}

enum status
health_ready(struct exchange *x, struct db *db)
{
	switch (schema_check(db, x->arena)) {
	case STATUS_OK:
		return health_live(x, db);
	case STATUS_NONE:
		x->response.detail =
		    "The database does not have the schema that is needed";
		return STATUS_UNAVAILABLE;
	default:
		return STATUS_UNAVAILABLE;
	}
}
