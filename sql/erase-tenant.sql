-- Erases everything that the database holds about one tenant.
--
--	mariadb --defaults-file=ADMIN.cnf todo \
--		--init-command="SET @user_id = 'ea5oVK53YjEeqel2O0hkNmyjreZ56iuZ'" \
--		< sql/erase-tenant.sql
--
-- It prints how many tasks there were, and how many are left: 0.
--
-- Delete the account in Better Auth first (erase-account.sql).  Tokens are verified without
-- asking anyone, so one that was issued before lives on until it expires
-- (JWT_MAX_LIFETIME, a day by default) and can make tasks until then: run
-- this once at once, and once more after that time.
--
-- The user id, though no text of a task, is also in nginx's access log and in
-- the program's log; titles and descriptions are in backups and, while it is
-- kept, in the binary log.

-- What this relies on, however the server and the client are set.  Setting
-- autocommit to 0 and then to 1 commits a transaction that was begun before.
SET NAMES utf8mb4 COLLATE utf8mb4_nopad_bin, SESSION
	sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION', autocommit = 0,
	autocommit = 1, completion_type = 'NO_CHAIN', tx_read_only = 0,
	sql_select_limit = 18446744073709551615, sql_safe_updates = 0,
	max_statement_time = 0, sql_big_selects = 1;

DELIMITER //

BEGIN NOT ATOMIC
	-- A column compares with a variable of another collation only if told
	-- how; this is the column's own, so other spellings are not touched.
	DECLARE tenant VARCHAR(64) CHARACTER SET ascii
		COLLATE ascii_nopad_bin DEFAULT @user_id;
	DECLARE erased INT UNSIGNED DEFAULT 0;
	DECLARE n INT UNSIGNED;

	IF tenant IS NULL OR tenant = '' THEN
		SIGNAL SQLSTATE '45000'
			SET MESSAGE_TEXT = 'set @user_id first';
	END IF;

	-- In small transactions, so that nobody waits behind a large tenant.
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
