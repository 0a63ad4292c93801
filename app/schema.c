#include "schema.h"

enum status
schema_check(struct db *db)
{
	static const enum db_type columns[] = { DB_INTEGER };
	static const struct db_statement newest = {
		.index = DB_STATEMENTS_MAX - 1,
		.sql = "SELECT COALESCE(MAX(version), 0)"
		       " FROM schema_migrations",
		.columns = columns,
		.column_count = 1,
	};
	struct db_value version;
	enum status status;

	status = db_run(db, &newest, NULL, 0);
	if (status != STATUS_OK && db_lacks_schema(db))
		return STATUS_NOT_FOUND;
	if (status != STATUS_OK)
		return status;
	if ((status = db_row(db, &version)) != STATUS_OK)
		return status;
	db_done(db);
	return version.number >= SCHEMA_VERSION ? STATUS_OK : STATUS_NOT_FOUND;
}
