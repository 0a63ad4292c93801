#include "schema.h"

#include "sql.h"

enum status
schema_check(struct db *db, struct pool *pool)
{
	struct sql newest = sql_in(pool);
	const struct sql_value *version;
	bool is_new_enough;
	enum status status;

	sql_add(&newest, "SELECT ");
	sql_column(&newest, "COALESCE(MAX(version), 0)", SQL_INTEGER);
	sql_add(&newest, " FROM schema_migrations");
	status = db_run(db, &newest);
	if (status != STATUS_OK && db_lacks_schema(db))
		return STATUS_NOT_FOUND;
	if (status != STATUS_OK)
		return status;
	if ((status = db_row(db, &version)) != STATUS_OK)
		return status;
	is_new_enough = version->number >= SCHEMA_VERSION;
	db_done(db);
	return is_new_enough ? STATUS_OK : STATUS_NOT_FOUND;
}
