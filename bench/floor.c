/*
 * The floor: what a request costs at the least on libfcgi and MariaDB.  It runs
 * the statements that todo-fcgi runs and answers constant bytes, as many as
 * todo-fcgi would.  No token is looked at, no JSON is made, nothing is logged.
 *
 *	floor workers list-bytes one-bytes create-bytes
 *
 * on the listening socket that is descriptor 0; TODO_DB_DEFAULTS_FILE is an
 * option file with a group [todo].
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <fcgiapp.h>
#include <mysql.h>

#define COLUMNS                                                              \
	"id, title, description, completed, revision, created_at, updated_at"
#define COLUMN_COUNT 7
#define COLUMN_BYTES 4096

static MYSQL *mysql;
static char columns[COLUMN_COUNT][COLUMN_BYTES];
static unsigned long lengths[COLUMN_COUNT];
static my_bool nulls[COLUMN_COUNT];

static void
die(const char *what)
{
	fprintf(stderr, "floor: %s: %s\n", what,
	    mysql == NULL ? "no connection" : mysql_error(mysql));
	exit(1);
}

static MYSQL_STMT *
prepare(const char *sql)
{
	MYSQL_BIND binds[COLUMN_COUNT];
	MYSQL_STMT *stmt = mysql_stmt_init(mysql);

	if (stmt == NULL || mysql_stmt_prepare(stmt, sql, strlen(sql)) != 0)
		die(sql);
	if (mysql_stmt_field_count(stmt) == 0)
		return stmt;
	memset(binds, 0, sizeof(binds));
	for (size_t i = 0; i < COLUMN_COUNT; i++) {
		binds[i].buffer = columns[i];
		binds[i].buffer_length = COLUMN_BYTES;
		binds[i].length = &lengths[i];
		binds[i].is_null = &nulls[i];
		binds[i].buffer_type = i == 3 || i == 4
		    ? MYSQL_TYPE_LONGLONG
		    : i >= 5 ? MYSQL_TYPE_DATETIME
			     : MYSQL_TYPE_STRING;
	}
	if (mysql_stmt_bind_result(stmt, binds) != 0)
		die(sql);
	return stmt;
}

static MYSQL_BIND
bytes(const char *data, size_t length)
{
	union {
		const char *given;
		void *taken;
	} pointer = { .given = data };
	MYSQL_BIND bind = { .buffer_type = MYSQL_TYPE_STRING,
		.buffer = pointer.taken,
		.buffer_length = length };

	return bind;
}

static void
run(MYSQL_STMT *stmt, MYSQL_BIND *binds)
{
	if (mysql_stmt_bind_param(stmt, binds) != 0 ||
	    mysql_stmt_execute(stmt) != 0)
		die(mysql_stmt_error(stmt));
	if (mysql_stmt_field_count(stmt) == 0)
		return;
	while (mysql_stmt_fetch(stmt) == 0)
		;
	(void)mysql_stmt_free_result(stmt);
}

/* The 16 bytes that *text*, an id in a URL, stands for. */
static void
read_id(const char *text, char id[16])
{
	for (size_t i = 0, half = 0; *text != '\0' && i < 16; text++) {
		int digit = *text <= '9' ? *text - '0' : *text - 'a' + 10;

		if (*text == '-')
			continue;
		id[i] = (char)(half == 0 ? digit << 4 : id[i] | digit);
		i += half;
		half = !half;
	}
}

/* What todo-fcgi sends, with *length* bytes of body. */
static void
answer(FCGX_Request *request, const char *status, size_t length)
{
	static char body[65536];

	if (body[0] == '\0')
		memset(body, ' ', sizeof(body));
	FCGX_FPrintF(request->out,
	    "Status: %s\r\nContent-Type: application/json\r\n"
	    "Content-Length: %d\r\nCache-Control: no-store\r\n"
	    "X-Content-Type-Options: nosniff\r\nX-Request-Id: %s\r\n\r\n",
	    status, (int)length, FCGX_GetParam("REQUEST_ID", request->envp));
	FCGX_PutStr(body, (int)length, request->out);
}

static struct slice {
	const char *data;
	size_t length;
} user, id;

/* Take a target apart, /api/{user}/tasks or /api/{user}/tasks/{id}. */
static void
split(const char *target)
{
	user.data = target + strlen("/api/");
	user.length = strcspn(user.data, "/");
	id.data = user.data + user.length + strlen("/tasks");
	id.length = *id.data == '/' ? strlen(++id.data) : 0;
}

static void
list_tasks(MYSQL_STMT *stmt)
{
	/* One more than asked for tells of a next page. */
	static int limit = 21;
	MYSQL_BIND binds[] = { bytes(user.data, user.length),
		{ .buffer_type = MYSQL_TYPE_LONG, .buffer = &limit } };

	run(stmt, binds);
}

static void
find_task(MYSQL_STMT *stmt)
{
	char key[16] = "";
	MYSQL_BIND binds[] = { bytes(user.data, user.length),
		bytes(key, sizeof(key)) };

	read_id(id.data, key);
	run(stmt, binds);
}

static void
create_task(MYSQL_STMT *stmt, FCGX_Stream *in)
{
	static const char title[] = "Buy milk and bread";
	static char zero;
	static MYSQL_TIME time = { .year = 2026,
		.month = 11,
		.day = 23,
		.time_type = MYSQL_TIMESTAMP_DATETIME };
	char body[4096], key[16];
	struct timespec t;
	uint64_t stamp;
	MYSQL_BIND binds[] = {
		bytes(user.data, user.length),
		bytes(key, sizeof(key)),
		bytes(title, sizeof(title) - 1),
		{ .buffer_type = MYSQL_TYPE_NULL },
		{ .buffer_type = MYSQL_TYPE_TINY, .buffer = &zero },
		{ .buffer_type = MYSQL_TYPE_TINY, .buffer = &zero },
		{ .buffer_type = MYSQL_TYPE_DATETIME, .buffer = &time },
		{ .buffer_type = MYSQL_TYPE_DATETIME, .buffer = &time },
	};

	while (FCGX_GetStr(body, sizeof(body), in) > 0)
		;
	/* Ids ascend, as those of todo-fcgi do. */
	clock_gettime(CLOCK_REALTIME, &t);
	stamp = (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
	for (int i = 0; i < 8; i++)
		key[i] = (char)(stamp >> (56 - 8 * i));
	if (getrandom(key + 8, 8, 0) != 8)
		die("getrandom");
	run(stmt, binds);
}

static void
serve(size_t list_bytes, size_t one_bytes, size_t create_bytes)
{
	MYSQL_STMT *list, *find, *create;
	FCGX_Request request;

	mysql = mysql_init(NULL);
	mysql_options(mysql, MYSQL_SET_CHARSET_NAME, "utf8mb4");
	mysql_options(mysql, MYSQL_READ_DEFAULT_FILE,
	    getenv("TODO_DB_DEFAULTS_FILE"));
	mysql_options(mysql, MYSQL_READ_DEFAULT_GROUP, "todo");
	if (mysql_real_connect(mysql, NULL, NULL, NULL, NULL, 0, NULL,
		CLIENT_FOUND_ROWS) == NULL)
		die("connect");
	list = prepare("SELECT " COLUMNS " FROM tasks FORCE INDEX (PRIMARY)"
		       " WHERE user_id = ? ORDER BY id DESC LIMIT ?");
	find = prepare(
	    "SELECT " COLUMNS " FROM tasks WHERE user_id = ? AND id = ?");
	create = prepare("INSERT INTO tasks (user_id, " COLUMNS ")"
			 " VALUES (?, ?, ?, ?, ?, ?, ?, ?)");
	if (FCGX_Init() != 0 || FCGX_InitRequest(&request, 0, 0) != 0)
		die("libfcgi");

	while (FCGX_Accept_r(&request) == 0) {
		split(FCGX_GetParam("REQUEST_URI", request.envp));
		if (strcmp(FCGX_GetParam("REQUEST_METHOD", request.envp),
			"POST") == 0) {
			create_task(create, request.in);
			answer(&request, "201 Created", create_bytes);
		} else if (id.length > 0) {
			find_task(find);
			answer(&request, "200 OK", one_bytes);
		} else {
			list_tasks(list);
			answer(&request, "200 OK", list_bytes);
		}
		FCGX_Finish_r(&request);
	}
}

int
main(int argc, char **argv)
{
	if (argc != 5)
		return 2;
	for (int i = atoi(argv[1]); i > 0; i--)
		if (fork() == 0) {
			serve(strtoul(argv[2], NULL, 10),
			    strtoul(argv[3], NULL, 10),
			    strtoul(argv[4], NULL, 10));
			return 1;
		}
	while (wait(NULL) > 0)
		;
	return 0;
}
