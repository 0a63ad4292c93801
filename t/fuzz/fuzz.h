#ifndef FUZZ_H
#define FUZZ_H

/* Shared by the fuzz targets: settings, a valid token, and the program's parts.
 */

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/hmac.h>

#include "auth/token.h"
#include "base/arena.h"
#include "base/cache.h"
#include "base/log.h"
#include "db/db.h"
#include "server/dispatch.h"
#include "server/settings.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Abort if *condition* is true, which libFuzzer reports as it does a crash. */
#define never(condition)                                                 \
	do {                                                             \
		if (condition) {                                         \
			fprintf(stderr, "%s:%d: must not be true: %s\n", \
			    __FILE__, __LINE__, #condition);             \
			abort();                                         \
		}                                                        \
	} while (0)

#define FUZZ_SECRET "0123456789abcdef0123456789abcdef"
#define FUZZ_SECRET_OLD "fedcba9876543210fedcba9876543210"
#define FUZZ_ISSUER "https://todo.example"
#define FUZZ_USER "alice"
#define FUZZ_ARENA_CAP ((size_t)16 * 1024 * 1024)

static const struct settings fuzz_settings = {
	.policy = {
		.secrets.list = {
			{ { FUZZ_SECRET, sizeof(FUZZ_SECRET) - 1 }, { "2", 1 } },
			{ { FUZZ_SECRET_OLD, sizeof(FUZZ_SECRET_OLD) - 1 }, { "1", 1 } },
		},
		.secrets.count = 2,
		.issuer = { FUZZ_ISSUER, sizeof(FUZZ_ISSUER) - 1 },
		.audience = { FUZZ_ISSUER, sizeof(FUZZ_ISSUER) - 1 },
		.leeway = 10,
		.max_lifetime = 86400,
	},
	.db_defaults_file = "",
};

/* Write *size* bytes as base64url to *out* and return the position after it. */
static inline char *
fuzz_base64url(char *out, const uint8_t *bytes, size_t size)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "abcdefghijklmnopqrstuvwxyz0123456789-_";

	for (size_t i = 0; i < size; i += 3) {
		uint32_t bits = (uint32_t)bytes[i] << 16;

		if (i + 1 < size)
			bits |= (uint32_t)bytes[i + 1] << 8;
		if (i + 2 < size)
			bits |= bytes[i + 2];
		*out++ = letters[bits >> 18];
		*out++ = letters[bits >> 12 & 63];
		if (i + 1 < size)
			*out++ = letters[bits >> 6 & 63];
		if (i + 2 < size)
			*out++ = letters[bits & 63];
	}
	return out;
}

/* Return the signed token of *header* and *payload*; the caller frees it. */
static inline char *
fuzz_sign(const uint8_t *header, size_t header_size, const uint8_t *payload,
    size_t payload_size, const char *secret)
{
	char *token = malloc((header_size + payload_size) * 2 + 64);
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned length;
	char *end;

	end = fuzz_base64url(token, header, header_size);
	*end++ = '.';
	end = fuzz_base64url(end, payload, payload_size);
	(void)HMAC(EVP_sha256(), secret, (int)strlen(secret),
	    (const unsigned char *)token, (size_t)(end - token), digest,
	    &length);
	*end++ = '.';
	end = fuzz_base64url(end, digest, length);
	*end = '\0';
	return token;
}

/* Return "Bearer" and a valid token of FUZZ_USER; a new token each hour. */
static inline const char *
fuzz_authorization(void)
{
	static const char header[] = "{\"alg\":\"HS256\"}";
	static char field[2048];
	static time_t made;
	char payload[512], *token;
	int length;

	if (time(NULL) < made + 3600)
		return field;
	made = time(NULL);
	length = snprintf(payload, sizeof(payload),
	    "{\"iss\":\"%s\",\"aud\":\"%s\",\"sub\":\"%s\",\"user_id\":\"%s\","
	    "\"user_email\":\"a@b\",\"jti\":\"1\",\"iat\":%lld,\"exp\":%lld}",
	    FUZZ_ISSUER, FUZZ_ISSUER, FUZZ_USER, FUZZ_USER, (long long)made,
	    (long long)made + 7200);
	token = fuzz_sign((const uint8_t *)header, sizeof(header) - 1,
	    (const uint8_t *)payload, (size_t)length, FUZZ_SECRET);
	(void)snprintf(field, sizeof(field), "Bearer %s", token);
	free(token);
	return field;
}

/* Return the arena that all runs share. */
static inline struct arena *
fuzz_arena(void)
{
	static struct arena *arena;

	if (arena == NULL)
		arena = arena_new(FUZZ_ARENA_CAP);
	return arena;
}

/* Return the cache of verified tokens: small, so that entries are dropped. */
static inline struct cache *
fuzz_tokens(void)
{
	static struct cache *tokens;

	if (tokens == NULL)
		tokens = cache_new((size_t)16 * 1024);
	return tokens;
}

/* Return a database that cannot be reached: requests that need it are 503. */
static inline struct db *
fuzz_db(void)
{
	static struct db *db;
	static char path[] = "/tmp/todo-fuzz-XXXXXX";
	static const char options[] =
	    "[todo]\nsocket=/nonexistent/mariadb.sock\n";
	int fd;

	if (db != NULL)
		return db;
	never(log_open("/dev/null") != STATUS_OK);
	never((fd = mkstemp(path)) < 0);
	never(write(fd, options, sizeof(options) - 1) < 0);
	(void)close(fd);
	db = db_new(path);
	never(db_connect(db) == STATUS_OK);
	(void)unlink(path);
	return db;
}

/* Check that *out* is a complete answer, and return its status. */
static inline unsigned
fuzz_status(const struct buffer *out)
{
	struct slice answer = { out->data, out->length };
	const char *body;
	unsigned status;

	never(out->failed);
	never(answer.length < 20 || memcmp(answer.data, "Status: ", 8) != 0);
	never(
	    (body = memmem(answer.data, answer.length, "\r\n\r\n", 4)) == NULL);
	/* The request could not add a line to the header. */
	for (const char *at = answer.data; at < body; at++) {
		never((unsigned char)*at < ' ' && *at != '\r' && *at != '\n');
		never(*at == '\n' && at[-1] != '\r');
		never(*at == '\r' && at[1] != '\n');
	}
	status = (unsigned)(answer.data[8] - '0') * 100 +
	    (unsigned)(answer.data[9] - '0') * 10 +
	    (unsigned)(answer.data[10] - '0');
	never(status < 200 || status > 503 || status == 500);
	return status;
}

#endif
