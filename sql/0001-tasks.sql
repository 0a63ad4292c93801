-- The tasks of all tenants.
--
-- The primary key begins with the tenant, so InnoDB keeps the rows of one
-- tenant together and in the order in which they were created (the id is a
-- UUIDv7): the default list is one range read, backwards.  Each other
-- order that the API offers has an index of its own, led by (user_id,
-- completed) because a list of pending or completed tasks is a range of it,
-- and a list of all is two such ranges, merged.
--
-- Names compare as bytes: identifiers are ascii_nopad_bin, under which
-- 'abc', 'ABC' and 'abc ' are three tenants.  Under the server's default
-- collation they would be one.

CREATE TABLE IF NOT EXISTS tasks (
	user_id VARCHAR(64) CHARACTER SET ascii COLLATE ascii_nopad_bin
		NOT NULL
		COMMENT 'the tenant: user_id of the verified token',
	id BINARY(16)
		NOT NULL
		COMMENT 'UUIDv7 (RFC 9562), its 16 bytes as written',
	title VARCHAR(200) CHARACTER SET utf8mb4
		COLLATE utf8mb4_uca1400_nopad_ai_ci
		NOT NULL
		COMMENT 'as sent; the collation is the one that lists sort by',
	description VARCHAR(1000) CHARACTER SET utf8mb4
		COLLATE utf8mb4_nopad_bin
		NULL
		COMMENT 'as sent; NULL: none was given',
	completed BOOLEAN
		NOT NULL
		COMMENT '0: pending, 1: completed',
	revision INT UNSIGNED
		NOT NULL
		COMMENT 'grows by one with each change; the ETag is made of it',
	created_at DATETIME(6)
		NOT NULL
		COMMENT 'UTC; the same clock reading as in id',
	updated_at DATETIME(6)
		NOT NULL
		COMMENT 'UTC; at first created_at, and never goes back',
	idempotency_key VARCHAR(255) CHARACTER SET ascii
		COLLATE ascii_nopad_bin
		NULL
		COMMENT 'Idempotency-Key of the POST that made it; NULL: none',
	idempotency_digest BINARY(32)
		NULL
		COMMENT 'SHA-256 of the members first sent with that key',

	PRIMARY KEY (user_id, id),
	UNIQUE KEY by_idempotency_key (user_id, idempotency_key),
	KEY by_completed (user_id, completed, id),
	KEY by_updated (user_id, completed, updated_at, id),
	KEY by_title (user_id, completed, title, id),

	-- A third value would be in neither of the two ranges, in no list.
	CONSTRAINT completed_is_boolean CHECK (completed IN (0, 1)),
	CONSTRAINT key_has_digest CHECK
		((idempotency_key IS NULL) = (idempotency_digest IS NULL))
) ENGINE = InnoDB
	CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin
	COMMENT 'tasks of all tenants, clustered by tenant';
