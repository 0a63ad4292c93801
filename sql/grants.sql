-- The account of todo-fcgi: reads and writes rows of its tables, and can do
-- nothing else.  It cannot change the schema (sql/migrate does, under an
-- administrative account) nor see any other database.
--
--	mariadb --defaults-file=ADMIN.cnf < sql/grants.sql
--
-- Run it after sql/migrate: the tables it names must exist.  It may be run
-- again at any time.
--
-- As written the account has no password: it is let in over the server's
-- Unix socket if the process runs as the system user of the same name, which
-- is what todo-fcgi.service does.  To use a password instead, or from
-- another host:
--
--	ALTER USER 'todo'@'localhost' IDENTIFIED BY '…';
--	RENAME USER 'todo'@'localhost' TO 'todo'@'10.0.0.%';
--	ALTER USER 'todo'@'10.0.0.%' IDENTIFIED BY '…' REQUIRE SSL;
--
-- After that, change the name in the statements below before they are run again.

SET SESSION sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION',
	tx_read_only = 0, max_statement_time = 0;

CREATE USER IF NOT EXISTS 'todo'@'localhost' IDENTIFIED VIA unix_socket;

GRANT SELECT, INSERT, UPDATE, DELETE ON todo.tasks TO 'todo'@'localhost';

-- /readyz compares the newest migration with the one it was written for.
GRANT SELECT ON todo.schema_migrations TO 'todo'@'localhost';
