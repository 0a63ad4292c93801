#include "schema.h"

#include <stdio.h>

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

static void
copy_text(char *text, size_t size, struct slice value)
{
	(void)snprintf(text, size, "%.*s", (int)value.length,
	    value.data == NULL ? "" : value.data);
}

enum status
schema_describe(struct db *db, struct schema_facts *facts)
{
	static const enum db_type columns[] = { DB_TEXT, DB_TEXT, DB_TEXT,
		DB_INTEGER, DB_INTEGER };
	static const struct db_statement describe = {
		.index = 0,
		.sql = "SELECT DATABASE(), CURRENT_USER(),"
		       " CONCAT(@@hostname, ', MariaDB ', @@version),"
		       " (SELECT COALESCE(MAX(version), 0)"
		       " FROM schema_migrations),"
		       " CAST(UNIX_TIMESTAMP(SYSDATE(6)) * 1000000 AS SIGNED)",
		.columns = columns,
		.column_count = sizeof(columns) / sizeof(columns[0]),
	};
	struct db_value row[sizeof(columns) / sizeof(columns[0])];
	enum status status;

	if ((status = db_run(db, &describe, NULL, 0)) != STATUS_OK ||
	    (status = db_row(db, row)) != STATUS_OK)
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
schema_check_grants(struct db *db)
{
	static const enum db_type columns[] = { DB_INTEGER };
	/* None has a row to do anything with. */
	static const struct db_statement statements[] = {
		{ .index = 1,
		    .sql = "SELECT 1 FROM tasks WHERE FALSE",
		    .columns = columns,
		    .column_count = 1 },
		{ .index = 2,
		    .sql = "INSERT INTO tasks SELECT * FROM tasks"
			   " WHERE FALSE" },
		{ .index = 3,
		    .sql = "UPDATE tasks SET user_id = user_id WHERE FALSE" },
		{ .index = 4, .sql = "DELETE FROM tasks WHERE FALSE" },
	};
	enum status status = STATUS_OK;

	for (size_t i = 0; status == STATUS_OK &&
	     i < sizeof(statements) / sizeof(statements[0]);
	     i++) {
		status = db_run(db, &statements[i], NULL, 0);
		if (status == STATUS_OK)
			db_done(db);
	}
	return status;
}
