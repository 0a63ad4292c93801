#include "db/db_error.h"

#include <stddef.h>

#include <errmsg.h>
#include <mysqld_error.h>

#include "base/array.h"

#define OURS DB_ERROR_OURS
#define LOST DB_ERROR_LOST
#define ELSEWHERE DB_ERROR_ELSEWHERE
#define RETRYABLE DB_ERROR_RETRYABLE
#define PASSING DB_ERROR_PASSING
#define SCHEMA DB_ERROR_SCHEMA

/* Any other error is a refusal; those of Connector/C are LOST besides. */
static const struct {
	unsigned code;
	unsigned traits;
} errors[] = {
	/* The statement or its values. */
	{ ER_PARSE_ERROR, OURS },
	{ ER_DUP_ENTRY, OURS },
	{ ER_BAD_NULL_ERROR, OURS },
	{ ER_DATA_TOO_LONG, OURS },
	{ ER_TRUNCATED_WRONG_VALUE, OURS },
	{ ER_TRUNCATED_WRONG_VALUE_FOR_FIELD, OURS },
	{ ER_WARN_DATA_OUT_OF_RANGE, OURS },
	{ CR_PARAMS_NOT_BOUND, OURS },
	{ CR_INVALID_PARAMETER_NO, OURS },
	{ CR_UNSUPPORTED_PARAM_TYPE, OURS },

	/* The connection. */
	{ ER_UNKNOWN_STMT_HANDLER, LOST },
	{ ER_SERVER_SHUTDOWN, LOST | PASSING },
	{ ER_NORMAL_SHUTDOWN, PASSING },
	{ ER_CONNECTION_KILLED, LOST | PASSING },
	{ ER_NEW_ABORTING_CONNECTION, PASSING },
	/* Connector/C had no memory for "database=" of the option file, and
	 * connected without reporting that. */
	{ ER_NO_DB_ERROR, LOST },

	/* The server is away, going away, or has no room. */
	{ ER_CON_COUNT_ERROR, PASSING },
	{ ER_OUT_OF_RESOURCES, PASSING },
	{ ER_OUTOFMEMORY, PASSING },
	{ ER_TOO_MANY_USER_CONNECTIONS, PASSING },
	{ ER_USER_LIMIT_REACHED, PASSING },
	{ CR_UNKNOWN_ERROR, LOST | PASSING },
	{ CR_SOCKET_CREATE_ERROR, LOST | PASSING },
	{ CR_CONNECTION_ERROR, LOST | PASSING },
	{ CR_CONN_HOST_ERROR, LOST | PASSING },
	{ CR_IPSOCK_ERROR, LOST | PASSING },
	{ CR_UNKNOWN_HOST, LOST | PASSING },
	{ CR_SERVER_GONE_ERROR, LOST | PASSING },
	{ CR_OUT_OF_MEMORY, LOST | PASSING },
	{ CR_SERVER_HANDSHAKE_ERR, LOST | PASSING },
	{ CR_SERVER_LOST, LOST | PASSING },
	{ CR_SERVER_LOST_EXTENDED, LOST | PASSING },
	{ CR_MALFORMED_PACKET, LOST | PASSING },

	/* Other statements, or the time that is allowed. */
	{ ER_LOCK_DEADLOCK, RETRYABLE | PASSING },
	{ ER_LOCK_WAIT_TIMEOUT, PASSING },
	{ ER_QUERY_INTERRUPTED, PASSING },
	{ ER_STATEMENT_TIMEOUT, PASSING },

	/* The server is read-only. */
	{ ER_OPTION_PREVENTS_STATEMENT, ELSEWHERE | PASSING },

	/* The schema. */
	{ ER_NO_SUCH_TABLE, SCHEMA },
	{ ER_BAD_FIELD_ERROR, SCHEMA },
};

unsigned
db_error_traits(unsigned code)
{
	for (size_t i = 0; i < ARRAY_COUNT(errors); i++)
		if (errors[i].code == code)
			return errors[i].traits;
	return code >= CR_MIN_ERROR && code <= CR_MAX_ERROR ? LOST : 0;
}

const char *
db_error_message(unsigned code, const char *message)
{
	return code == ER_DUP_ENTRY ? "Duplicate entry" : message;
}
