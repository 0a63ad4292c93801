/*
 * The peer on Ulfius, Rhonabwy and Hoel, as their documentation has it: an
 * endpoint that verifies the token before each other one, queries and answers
 * as trees of Jansson.
 *
 * Tuned: a pool of database connections (Hoel would have one), and a thread
 * for each connection of nginx's, which is Ulfius's default and was faster than
 * a pool of threads.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include <hoel.h>
#include <rhonabwy.h>
#include <ulfius.h>
#include <yder.h>

#define CONNECTIONS_MAX 64

static struct {
	pthread_mutex_t lock;
	pthread_cond_t freed;
	struct _h_connection *free[CONNECTIONS_MAX];
	size_t count;
} pool = { .lock = PTHREAD_MUTEX_INITIALIZER,
	.freed = PTHREAD_COND_INITIALIZER };

static jwk_t *key;
static const char *issuer, *audience;

static struct _h_connection *
borrow(void)
{
	struct _h_connection *connection;

	pthread_mutex_lock(&pool.lock);
	while (pool.count == 0)
		pthread_cond_wait(&pool.freed, &pool.lock);
	connection = pool.free[--pool.count];
	pthread_mutex_unlock(&pool.lock);
	return connection;
}

static void
give_back(struct _h_connection *connection)
{
	pthread_mutex_lock(&pool.lock);
	pool.free[pool.count++] = connection;
	pthread_cond_signal(&pool.freed);
	pthread_mutex_unlock(&pool.lock);
}

static int
tell_problem(const struct _u_request *request, struct _u_response *response,
    unsigned status, const char *title, const char *code, const char *detail)
{
	json_t *body = json_pack("{ss ss si ss ss ss?}", "type", "about:blank",
	    "title", title, "status", (int)status, "code", code, "detail",
	    detail, "request_id",
	    u_map_get_case(request->map_header, "X-Request-Id"));

	ulfius_set_json_body_response(response, status, body);
	u_map_put(response->map_header, "Content-Type",
	    "application/problem+json");
	json_decref(body);
	return U_CALLBACK_COMPLETE;
}

static int
refuse(const struct _u_request *request, struct _u_response *response,
    const char *code, const char *detail)
{
	return tell_problem(
	    request, response, 401, "Unauthorized", code, detail);
}

/* Who is asking, and is the tenant in the URL theirs? */
static int
identify(const struct _u_request *request, struct _u_response *response,
    void *data)
{
	static const char scheme[] = "Bearer ";
	const char *field =
	    u_map_get_case(request->map_header, "Authorization");
	const char *user_id = u_map_get(request->map_url, "user_id");
	const char *claim;
	int outcome = U_CALLBACK_CONTINUE;
	jwt_t *jwt;

	(void)data;
	if (field == NULL || strncmp(field, scheme, strlen(scheme)) != 0)
		return refuse(request, response, "token_missing",
		    "Not authenticated: missing authentication token");
	jwt = r_jwt_quick_parse(field + strlen(scheme), R_PARSE_NONE, 0);
	if (jwt == NULL || r_jwt_get_sign_alg(jwt) != R_JWA_ALG_HS256 ||
	    r_jwt_verify_signature(jwt, key, 0) != RHN_OK)
		outcome = refuse(
		    request, response, "token_invalid", "Invalid token");
	else if (r_jwt_validate_claims(jwt, R_JWT_CLAIM_EXP, R_JWT_CLAIM_NOW,
		     R_JWT_CLAIM_NOP) != RHN_OK)
		outcome = refuse(
		    request, response, "token_expired", "Token has expired");
	else if (r_jwt_validate_claims(jwt, R_JWT_CLAIM_ISS, issuer,
		     R_JWT_CLAIM_AUD, audience, R_JWT_CLAIM_SUB, NULL,
		     R_JWT_CLAIM_IAT, R_JWT_CLAIM_PRESENT,
		     R_JWT_CLAIM_NOP) != RHN_OK)
		outcome = refuse(
		    request, response, "token_invalid", "Invalid token");
	else if ((claim = r_jwt_get_claim_str_value(jwt, "user_id")) == NULL ||
	    strcmp(claim, user_id) != 0)
		outcome = tell_problem(request, response, 403, "Forbidden",
		    "forbidden",
		    "Access forbidden: not authorized, user_id in URL does "
		    "not match token");
	r_jwt_free(jwt);
	return outcome;
}

/* What is selected; the aliases are no columns, or ORDER BY would mean them. */
static json_t *
columns(void)
{
	return json_pack("[s s s s s s]", "LOWER(HEX(id)) AS hex", "title",
	    "description", "completed",
	    "DATE_FORMAT(created_at, '%Y-%m-%dT%H:%i:%s.%fZ') AS created",
	    "DATE_FORMAT(updated_at, '%Y-%m-%dT%H:%i:%s.%fZ') AS updated");
}

static void
dash(const char *hex, char id[37])
{
	snprintf(id, 37, "%.8s-%.4s-%.4s-%.4s-%.12s", hex, hex + 8, hex + 12,
	    hex + 16, hex + 20);
}

static json_t *
task_of(const char *user_id, json_t *row)
{
	char id[37];

	dash(json_string_value(json_object_get(row, "hex")), id);
	return json_pack("{ss ss sO sO sb sO sO}", "id", id, "user_id", user_id,
	    "title", json_object_get(row, "title"), "description",
	    json_object_get(row, "description"), "completed",
	    json_integer_value(json_object_get(row, "completed")) != 0,
	    "created_at", json_object_get(row, "created"), "updated_at",
	    json_object_get(row, "updated"));
}

/* Run the query *select*, which is freed. */
static json_t *
rows_of(json_t *select)
{
	struct _h_connection *connection = borrow();
	json_t *rows = NULL;

	if (h_select(connection, select, &rows, NULL) != H_OK)
		rows = NULL;
	give_back(connection);
	json_decref(select);
	return rows;
}

static int
list_tasks(const struct _u_request *request, struct _u_response *response,
    void *data)
{
	const char *user_id = u_map_get(request->map_url, "user_id");
	const char *text = u_map_get(request->map_url, "limit");
	int limit = text == NULL ? 100 : atoi(text);
	json_t *rows, *row, *body;
	size_t i;

	(void)data;
	if (limit < 1 || limit > 500)
		return tell_problem(request, response, 422,
		    "Unprocessable Content", "invalid", "limit");
	rows = rows_of(json_pack("{ss so s{ss} ss si}", "table", "tasks",
	    "columns", columns(), "where", "user_id", user_id, "order_by",
	    "id DESC", "limit", limit));
	if (rows == NULL)
		return U_CALLBACK_ERROR;
	body = json_array();
	json_array_foreach (rows, i, row)
		json_array_append_new(body, task_of(user_id, row));
	ulfius_set_json_body_response(response, 200, body);
	json_decref(body);
	json_decref(rows);
	return U_CALLBACK_COMPLETE;
}

/* An id in a URL as SQL; false if it is none. */
static bool
id_sql(const char *id, char sql[64])
{
	char hex[33];
	size_t n = 0;

	if (strlen(id) != 36)
		return false;
	for (; *id != '\0'; id++) {
		if (*id == '-')
			continue;
		if (strchr("0123456789abcdef", *id) == NULL || n == 32)
			return false;
		hex[n++] = *id;
	}
	hex[n] = '\0';
	snprintf(sql, 64, "= X'%s'", hex);
	return n == 32;
}

static int
read_task(const struct _u_request *request, struct _u_response *response,
    void *data)
{
	const char *user_id = u_map_get(request->map_url, "user_id");
	json_t *rows, *body;
	char id[64];

	(void)data;
	if (!id_sql(u_map_get(request->map_url, "id"), id))
		return tell_problem(request, response, 404, "Not Found",
		    "not_found", "There is nothing here");
	rows = rows_of(json_pack("{ss so s{ss s{ss ss}}}", "table", "tasks",
	    "columns", columns(), "where", "user_id", user_id, "id",
	    "operator", "raw", "value", id));
	if (rows == NULL)
		return U_CALLBACK_ERROR;
	if (json_array_size(rows) == 0) {
		json_decref(rows);
		return tell_problem(request, response, 404, "Not Found",
		    "not_found", "There is nothing here");
	}
	body = task_of(user_id, json_array_get(rows, 0));
	ulfius_set_json_body_response(response, 200, body);
	json_decref(body);
	json_decref(rows);
	return U_CALLBACK_COMPLETE;
}

/* A UUIDv7 of *now*, as 32 digits. */
static void
make_id(const struct timespec *now, char hex[33])
{
	uint64_t milliseconds =
	    (uint64_t)now->tv_sec * 1000 + (uint64_t)now->tv_nsec / 1000000;
	unsigned fraction =
	    (unsigned)(now->tv_nsec % 1000000 / 1000 * 4096 / 1000);
	uint64_t random;

	if (getrandom(&random, sizeof(random), 0) != sizeof(random))
		abort();
	random = (random & 0x3fffffffffffffff) | 0x8000000000000000;
	snprintf(hex, 33, "%012llx7%03x%016llx",
	    (unsigned long long)milliseconds, fraction,
	    (unsigned long long)random);
}

static int
create_task(const struct _u_request *request, struct _u_response *response,
    void *data)
{
	const char *user_id = u_map_get(request->map_url, "user_id");
	json_t *sent = ulfius_get_json_body_request(request, NULL);
	json_t *title = json_object_get(sent, "title");
	json_t *description = json_object_get(sent, "description");
	bool completed = json_is_true(json_object_get(sent, "completed"));
	char hex[33], id[37], id_raw[64], when[40], stored[40];
	struct _h_connection *connection;
	struct timespec now;
	struct tm tm;
	json_t *insert, *body;
	int outcome;

	(void)data;
	if (description == NULL)
		description = json_null();
	if (!json_is_string(title) || json_string_length(title) == 0 ||
	    !(json_is_null(description) || json_is_string(description))) {
		json_decref(sent);
		return tell_problem(request, response, 422,
		    "Unprocessable Content", "invalid", "title");
	}
	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &tm);
	strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(when + 19, sizeof(when) - 19, ".%06ldZ", now.tv_nsec / 1000);
	snprintf(stored, sizeof(stored), "%.10s %.15s", when, when + 11);
	make_id(&now, hex);
	snprintf(id_raw, sizeof(id_raw), "X'%s'", hex);
	dash(hex, id);

	insert = json_pack("{ss s{ss s{ss} sO sO si si ss ss}}", "table",
	    "tasks", "values", "user_id", user_id, "id", "raw", id_raw,
	    "title", title, "description", description, "completed", completed,
	    "revision", 1, "created_at", stored, "updated_at", stored);
	connection = borrow();
	outcome = h_insert(connection, insert, NULL);
	give_back(connection);
	json_decref(insert);
	if (outcome != H_OK) {
		json_decref(sent);
		return U_CALLBACK_ERROR;
	}
	body = json_pack("{ss ss sO sO sb ss ss}", "id", id, "user_id", user_id,
	    "title", title, "description", description, "completed", completed,
	    "created_at", when, "updated_at", when);
	ulfius_set_json_body_response(response, 201, body);
	json_decref(body);
	json_decref(sent);
	return U_CALLBACK_COMPLETE;
}

int
main(void)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct _u_instance instance;
	const char *secret = getenv("BETTER_AUTH_SECRET");
	unsigned port = (unsigned)atoi(getenv("PORT"));
	size_t count = strtoul(getenv("DB_CONNECTIONS"), NULL, 10);
	sigset_t term;
	int signal;

	sigemptyset(&term);
	sigaddset(&term, SIGTERM);
	pthread_sigmask(SIG_BLOCK, &term, NULL);

	y_init_logs("peer", Y_LOG_MODE_CONSOLE, Y_LOG_LEVEL_WARNING, NULL, "");
	issuer = getenv("JWT_ISSUER");
	audience = getenv("JWT_AUDIENCE");
	r_global_init();
	r_jwk_init(&key);
	r_jwk_import_from_symmetric_key(
	    key, (const unsigned char *)secret, strlen(secret));
	while (pool.count < count && pool.count < CONNECTIONS_MAX) {
		struct _h_connection *connection = h_connect_mariadb("localhost",
		    getenv("DB_USER"), getenv("DB_PASSWORD"),
		    getenv("DB_NAME"), 0, getenv("DB_SOCKET"));

		if (connection == NULL)
			return 1;
		pool.free[pool.count++] = connection;
	}

	address.sin_port = htons((uint16_t)port);
	ulfius_init_instance(&instance, port, &address, NULL);
	ulfius_add_endpoint_by_val(&instance, "*", "/api",
	    "/:user_id/tasks", 0, &identify, NULL);
	ulfius_add_endpoint_by_val(&instance, "*", "/api",
	    "/:user_id/tasks/:id", 0, &identify, NULL);
	ulfius_add_endpoint_by_val(&instance, "GET", "/api",
	    "/:user_id/tasks", 1, &list_tasks, NULL);
	ulfius_add_endpoint_by_val(&instance, "POST", "/api",
	    "/:user_id/tasks", 1, &create_task, NULL);
	ulfius_add_endpoint_by_val(&instance, "GET", "/api",
	    "/:user_id/tasks/:id", 1, &read_task, NULL);
	if (ulfius_start_framework(&instance) != U_OK)
		return 1;
	sigwait(&term, &signal);
	ulfius_stop_framework(&instance);
	ulfius_clean_instance(&instance);
	return 0;
}
