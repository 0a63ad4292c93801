-- Erases everything that the database stores about one tenant.
--
--	mariadb --defaults-file=ADMIN.cnf todo \
--		--init-command="SET @user_id = 'ea5oVK53YjEeqel2O0hkNmyjreZ56iuZ'" \
--		< sql/erase-tenant.sql
--
-- Prints how many tasks were erased, and how many remain (0).
--
-- Erase the account in Better Auth first: see erase-account.sql.  A token that
-- was issued before stays valid until it expires (JWT_MAX_LIFETIME, a day by
-- default), and can create tasks until then.  So run this file immediately, and
-- once more after that time.
--
-- The user id is also in nginx's access log and in the program's log.  These
-- logs hold no text of a task.  Titles and descriptions are also in backups
-- and, as long as MariaDB keeps it, in the binary log.

-- The statements below rely on these settings, whatever the server's and the
-- client's are.  Setting autocommit to 0 and then to 1 commits a transaction
-- that is already open.
SET NAMES utf8mb4 COLLATE utf8mb4_nopad_bin, SESSION
	sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION', autocommit = 0,
	autocommit = 1, completion_type = 'NO_CHAIN', tx_read_only = 0,
	sql_select_limit = 18446744073709551615, sql_safe_updates = 0,
	max_statement_time = 0, sql_big_selects = 1;

DELIMITER //

BEGIN NOT ATOMIC
	-- The column's own collation, so that no other spelling matches.
	DECLARE tenant VARCHAR(64) CHARACTER SET ascii
		COLLATE ascii_nopad_bin DEFAULT @user_id;
	DECLARE erased INT UNSIGNED DEFAULT 0;
	DECLARE n INT UNSIGNED;

	IF tenant IS NULL OR tenant = '' THEN
		SIGNAL SQLSTATE '45000'
			SET MESSAGE_TEXT = '@user_id is not set';
	END IF;

	-- Small transactions, so that other sessions do not wait for a large
	-- tenant.
	REPEAT
		DELETE FROM tasks WHERE user_id = tenant
			ORDER BY id LIMIT 1000;
		SET n = ROW_COUNT();
		SET erased = erased + n;
	UNTIL n = 0 END REPEAT;

	SELECT tenant AS user_id, erased, COUNT(*) AS remaining
		FROM tasks WHERE user_id = tenant;
END //

DELIMITER ;
