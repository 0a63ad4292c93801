-- Creates the account of todo-fcgi, which can read and write rows of its tables
-- and can do nothing else.  The account can neither change the schema
-- (sql/migrate does that, under an administrative account) nor see any other
-- database.
--
--	mariadb --defaults-file=ADMIN.cnf < sql/grants.sql
--
-- Run this file after sql/migrate, because the tables it names must exist.  The
-- file can be run again at any time.
--
-- This file gives the account no password.  MariaDB lets the account in over
-- its Unix socket if the process runs as the system user of the same name, as
-- todo-fcgi.service does.  To use a password instead, or another host:
--
--	ALTER USER 'todo'@'localhost' IDENTIFIED BY '…';
--	RENAME USER 'todo'@'localhost' TO 'todo'@'10.0.0.%';
--	ALTER USER 'todo'@'10.0.0.%' IDENTIFIED BY '…' REQUIRE SSL;
--
-- Then change the name in the statements below, before you run them again.

SET SESSION sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION',
	tx_read_only = 0, max_statement_time = 0;

CREATE USER IF NOT EXISTS 'todo'@'localhost' IDENTIFIED VIA unix_socket;

GRANT SELECT, INSERT, UPDATE, DELETE ON todo.tasks TO 'todo'@'localhost';

-- /readyz compares the newest applied migration with the one that the program
-- needs.
GRANT SELECT ON todo.schema_migrations TO 'todo'@'localhost';
