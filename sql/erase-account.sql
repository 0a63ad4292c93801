-- Erases one account of Better Auth, with its sessions and its password.
--
--	mariadb --defaults-file=ADMIN.cnf better_auth \
--		--init-command="SET @user_id = 'ea5oVK53YjEeqel2O0hkNmyjreZ56iuZ'" \
--		< sql/erase-account.sql
--
-- Prints how many accounts were erased, and how many rows of the account remain
-- (0).  The tasks of the account are in the other database: see
-- erase-tenant.sql.

-- The statements below rely on these settings, whatever the server's and the
-- client's are.  Setting autocommit to 0 and then to 1 commits a transaction
-- that is already open.
SET NAMES utf8mb4 COLLATE utf8mb4_bin, SESSION
	sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION', autocommit = 0,
	autocommit = 1, completion_type = 'NO_CHAIN', tx_read_only = 0,
	sql_select_limit = 18446744073709551615, sql_safe_updates = 0,
	max_statement_time = 0, sql_big_selects = 1, foreign_key_checks = 1;

DELIMITER //

BEGIN NOT ATOMIC
	-- The column's own collation, so that no other spelling matches.
	DECLARE account VARCHAR(64) CHARACTER SET utf8mb4
		COLLATE utf8mb4_bin DEFAULT @user_id;
	DECLARE erased INT UNSIGNED;

	IF account IS NULL OR account = '' THEN
		SIGNAL SQLSTATE '45000'
			SET MESSAGE_TEXT = '@user_id is not set';
	END IF;

	-- The foreign keys of sessions and passwords delete these too.
	DELETE FROM user WHERE id = account;
	SET erased = ROW_COUNT();

	SELECT account AS user_id, erased,
		(SELECT COUNT(*) FROM user WHERE id = account)
		+ (SELECT COUNT(*) FROM session WHERE userId = account)
		+ (SELECT COUNT(*) FROM account WHERE userId = account)
			AS remaining;
END //

DELIMITER ;
