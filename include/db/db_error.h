#ifndef DB_ERROR_H
#define DB_ERROR_H

/*
 * What MariaDB's error codes mean: those of the server (ER_*) and those of
 * Connector/C (CR_*, 2000 to 2999).  The table in db_error.c is the only place
 * that names a code.
 */
enum db_error_trait {
	/* The statement or its values are wrong: a fault of this program. */
	DB_ERROR_OURS = 1 << 0,

	/* The connection can no longer be used. */
	DB_ERROR_LOST = 1 << 1,

	/* Another of the servers that the option file names may do better. */
	DB_ERROR_ELSEWHERE = 1 << 2,

	/* The server has undone the whole transaction: try it again at once. */
	DB_ERROR_RETRYABLE = 1 << 3,

	/*
	 * The same step may succeed later, because the server is away, busy,
	 * full or read-only.  Without this trait the error is a refusal, which
	 * lasts until somebody mends the account, the database or the option
	 * file.
	 */
	DB_ERROR_PASSING = 1 << 4,

	/* A table or a column does not exist. */
	DB_ERROR_SCHEMA = 1 << 5,
};

/* The traits of the error *code*, a set of enum db_error_trait. */
unsigned db_error_traits(unsigned code);

/*
 * What may be logged of *message*, which MariaDB gave with *code*: all of it,
 * unless it quotes values, which are a user's data.
 */
const char *db_error_message(unsigned code, const char *message);

#endif
