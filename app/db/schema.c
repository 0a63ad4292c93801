#include "db/schema.h"

#include <stdio.h>

#include "base/array.h"
#include "db/sql.h"

enum status
schema_check(struct db *db, struct arena *arena)
{
	struct sql newest = sql_in(arena);
	const struct sql_value *version;
	bool is_new_enough;
	enum status status;

	sql_add(&newest, "SELECT ");
	sql_column(&newest, "COALESCE(MAX(version), 0)", SQL_INTEGER);
	sql_add(&newest, " FROM schema_migrations");
	status = db_run(db, &newest);
	if (status != STATUS_OK && db_lacks_schema(db))
		return STATUS_NONE;
	if (status != STATUS_OK)
		return status;
	if ((status = db_row(db, &version)) != STATUS_OK)
		return status;
	is_new_enough = version->number >= SCHEMA_VERSION;
	db_done(db);
	return is_new_enough ? STATUS_OK : STATUS_NONE;
}

static void
copy_text(char *text, size_t size, struct slice value)
{
	(void)snprintf(text, size, "%.*s", (int)value.length,
	    value.data == NULL ? "" : value.data);
}

enum status
schema_describe(struct db *db, struct arena *arena, struct schema_facts *facts)
{
	struct sql describe = sql_in(arena);
	const struct sql_value *row;
	enum status status;

	sql_add(&describe, "SELECT ");
	sql_column(&describe, "DATABASE()", SQL_TEXT);
	sql_column(&describe, ", CURRENT_USER()", SQL_TEXT);
	sql_column(&describe, ", CONCAT(@@hostname, ', MariaDB ', @@version)",
	    SQL_TEXT);
	sql_column(&describe,
	    ", (SELECT COALESCE(MAX(version), 0) FROM schema_migrations)",
	    SQL_INTEGER);
	sql_column(&describe,
	    ", CAST(UNIX_TIMESTAMP(SYSDATE(6)) * 1000000 AS SIGNED)",
	    SQL_INTEGER);
	if ((status = db_run(db, &describe)) != STATUS_OK ||
	    (status = db_row(db, &row)) != STATUS_OK)
		return status;
	copy_text(facts->database, sizeof(facts->database), row[0].bytes);
	copy_text(facts->user, sizeof(facts->user), row[1].bytes);
	copy_text(facts->server, sizeof(facts->server), row[2].bytes);
	facts->version = row[3].number;
	facts->time = row[4].number;
	db_done(db);
	return STATUS_OK;
}

enum status
schema_check_grants(struct db *db, struct arena *arena)
{
	/* Privileges are checked though no row matches. */
	static const char *const statements[] = {
		"DELETE FROM tasks WHERE FALSE",
		"UPDATE tasks SET user_id = user_id WHERE FALSE",
		"INSERT INTO tasks SELECT * FROM tasks WHERE FALSE",
	};
	enum status status = STATUS_OK;

	for (size_t i = 0; status == STATUS_OK && i < ARRAY_COUNT(statements);
	     i++) {
		struct sql statement = sql_in(arena);

		sql_add(&statement, statements[i]);
		status = db_run(db, &statement);
	}
	return status;
}
