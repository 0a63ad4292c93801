/*
 * Goal: a token is accepted only if it passes every check, and the first check
 * that fails decides the answer; what libjwt alone would accept is refused; no
 * changed byte and no failed allocation makes a wrong token accepted.
 */
#include "auth/token.h"

#include <openssl/hmac.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/base64url.h"
#include "base/buffer.h"
#include "base/json_write.h"
#include "full.h"
#include "scarce.h"
#include "tap.h"

#define NOW INT64_C(1764000000)
#define ISSUER "https://todo.example"
#define AUDIENCE "https://api.todo.example"
#define HEADER "{\"alg\":\"HS256\",\"typ\":\"JWT\"}"

static const struct slice key = { "0123456789abcdef0123456789abcdef", 32 };
static const struct slice old_key = { "An old one, of 32 bytes or more.", 32 };
static const struct slice other_key = { "Not ours, but just as long: 0123",
	32 };

static struct arena *arena;
static struct token_policy policy;
static struct token_refusal refusal;
static struct token_claims claims;

/* The policy with one secret, as settings make it by default. */
static struct token_policy
usual_policy(void)
{
	return (struct token_policy) {
		.secrets.list = { { .key = key } },
		.secrets.count = 1,
		.issuer = SLICE(ISSUER),
		.audience = SLICE(AUDIENCE),
		.leeway = 10,
		.max_lifetime = 86400,
	};
}

/* Sign "header.payload", whatever is in it. */
static struct slice
sign(struct slice input, struct slice secret)
{
	unsigned char mac[EVP_MAX_MD_SIZE];
	unsigned length = 0;
	struct slice signature = { 0 };
	struct buffer token = buffer_in(arena);

	HMAC(EVP_sha256(), secret.data, (int)secret.length,
	    (const unsigned char *)input.data, input.length, mac, &length);
	if (base64url_encode(arena, (struct slice) { (char *)mac, length },
		&signature) != STATUS_OK)
		abort();
	buffer_add(&token, input);
	buffer_add_char(&token, '.');
	buffer_add(&token, signature);
	return buffer_slice(&token);
}

/* A token of any *header* and *payload*, given as JSON. */
static struct slice
mint(struct slice header, struct slice payload, struct slice secret)
{
	struct slice one, two;
	struct buffer input = buffer_in(arena);

	if (base64url_encode(arena, header, &one) != STATUS_OK ||
	    base64url_encode(arena, payload, &two) != STATUS_OK)
		abort();
	buffer_add(&input, one);
	buffer_add_char(&input, '.');
	buffer_add(&input, two);
	return sign(buffer_slice(&input), secret);
}

/* A claim and its value as JSON; NULL leaves the claim out. */
struct claim {
	const char *name;
	const char *value;
};

/* The eight required claims with *changes*, which end with {NULL}. */
static struct slice
payload_of(const struct claim *changes)
{
	static const struct claim usual[] = {
		{ "iss", "\"" ISSUER "\"" },
		{ "sub", "\"ea5oVK53YjEeqel2O0hkNmyjreZ56iuZ\"" },
		{ "aud", "\"" AUDIENCE "\"" },
		{ "exp", "1764003600" },
		{ "iat", "1764000000" },
		{ "jti", "\"5c6e\"" },
		{ "user_id", "\"ea5oVK53YjEeqel2O0hkNmyjreZ56iuZ\"" },
		{ "user_email", "\"ada@example.com\"" },
	};
	struct buffer out = buffer_in(arena);
	char mark = '{';

	for (size_t i = 0; i < ARRAY_COUNT(usual); i++) {
		const char *value = usual[i].value;

		for (const struct claim *c = changes; c->name != NULL; c++)
			if (strcmp(c->name, usual[i].name) == 0)
				value = c->value;
		if (value == NULL)
			continue;
		buffer_add_char(&out, mark);
		json_write_string(&out, slice_of(usual[i].name));
		buffer_add_char(&out, ':');
		buffer_add_text(&out, value);
		mark = ',';
	}
	for (const struct claim *c = changes; c->name != NULL; c++) {
		bool known = false;

		for (size_t i = 0; i < ARRAY_COUNT(usual); i++)
			known |= strcmp(c->name, usual[i].name) == 0;
		if (known)
			continue;
		buffer_add_char(&out, mark);
		json_write_string(&out, slice_of(c->name));
		buffer_add_char(&out, ':');
		buffer_add_text(&out, c->value);
	}
	buffer_add_char(&out, '}');
	return buffer_slice(&out);
}

static struct slice
usual_payload(void)
{
	static const struct claim none[] = { { NULL, NULL } };

	return payload_of(none);
}

static struct slice
usual_token(void)
{
	return mint(SLICE(HEADER), usual_payload(), key);
}

static enum status
verify(struct slice token)
{
	/* A copy of exact size: the sanitizer sees a read past its end. */
	char *copy = malloc(token.length + !token.length);
	enum status status;

	if (token.length > 0)
		memcpy(copy, token.data, token.length);
	memset(&refusal, 'x', sizeof(refusal));
	status = token_verify(arena, &policy,
	    (struct slice) { copy, token.length }, NOW, &refusal, &claims);
	free(copy);
	return status;
}

/* True if *token* gets *status*, for a reason that begins with *reason*. */
static bool
answered(struct slice token, enum status status, const char *reason)
{
	enum status answer = verify(token);

	if (answer != status) {
		printf("# the answer is %s\n",
		    answer == STATUS_OK ? "ok" : refusal.reason);
		return false;
	}
	if (status == STATUS_OK)
		return refusal.reason == NULL && refusal.alg == NULL;
	if (refusal.reason != NULL &&
	    strncmp(refusal.reason, reason, strlen(reason)) == 0)
		return true;
	printf("# the reason is %s\n", refusal.reason);
	return false;
}

static void
accepted(void)
{
	ok(verify(usual_token()) == STATUS_OK, "a right token is accepted");
	ok(slice_equal(
	       claims.user_id, SLICE("ea5oVK53YjEeqel2O0hkNmyjreZ56iuZ")) &&
		slice_equal(claims.email, SLICE("ada@example.com")) &&
		slice_equal(claims.issuer, SLICE(ISSUER)) &&
		claims.issued_at == NOW && claims.expires_at == NOW + 3600,
	    "and its claims are returned");
	ok(refusal.reason == NULL && refusal.alg == NULL,
	    "and it leaves no refusal");
	/* Made once with Node's createHmac(), to check mint() here. */
	ok(slice_equal(mint(SLICE(HEADER), SLICE("{\"a\":1}"), key),
	       SLICE("eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJhIjoxfQ."
		     "aGbK1_nONSboObac6DmY6vyqQ9kmIV84Amg_V0YAg5I")),
	    "mint() signs as Node does");
}

/*
 * The usual token, signed again after *remove* bytes at *at* were replaced with
 * *insert*.
 */
static struct slice
resigned(size_t at, size_t remove, struct slice insert)
{
	struct slice token = usual_token();
	struct buffer input = buffer_in(arena);
	size_t end = token.length - 44;

	buffer_add(&input, (struct slice) { token.data, at });
	buffer_add(&input, insert);
	buffer_add(&input,
	    (struct slice) { token.data + at + remove, end - at - remove });
	return sign(buffer_slice(&input), key);
}

/* A token of *size* bytes that is right in everything else. */
static struct slice
token_of_size(size_t size)
{
	char filler[4096];
	struct claim changes[] = { { "filler", filler }, { NULL, NULL } };
	size_t length = 3000;
	struct slice token;

	do {
		memset(filler, 'x', length);
		filler[0] = filler[length - 1] = '"';
		filler[length] = '\0';
		token = mint(SLICE(HEADER), payload_of(changes), key);
		length += token.length < size ? 1 : (size_t)-1;
	} while (token.length != size && length > 2 && length < 4000);
	return token;
}

static void
form(void)
{
	struct slice token = usual_token(), cut = token;
	size_t dot = (size_t)((char *)memchr(token.data, '.', token.length) -
	    token.data);
	size_t last = token.length - 44; /* the second dot */
	char *copy;

	ok(answered((struct slice) { NULL, 0 }, STATUS_TOKEN_INVALID, "form"),
	    "no byte at all");
	ok(answered(SLICE("."), STATUS_TOKEN_INVALID, "form"), "a dot");
	ok(answered(SLICE(".."), STATUS_TOKEN_INVALID, "form"), "two dots");
	ok(answered(SLICE("..."), STATUS_TOKEN_INVALID, "form"), "three");
	ok(answered(SLICE("a.b.c"), STATUS_TOKEN_INVALID, "form"), "letters");
	ok(answered(SLICE("0vXkBsT5mRZ2aQyPqW8nLc3dHfJ7gKeU"),
	       STATUS_TOKEN_INVALID, "form"),
	    "a session token of Better Auth");

	ok(token_of_size(4096).length == 4096 &&
		answered(token_of_size(4096), STATUS_OK, ""),
	    "4,096 bytes");
	ok(token_of_size(4097).length == 4097 &&
		answered(token_of_size(4097), STATUS_TOKEN_INVALID, "form"),
	    "4,097 bytes");

	ok(answered(resigned(0, dot, SLICE("")), STATUS_TOKEN_INVALID, "form"),
	    "an empty header");
	ok(answered(resigned(dot + 1, last - dot - 1, SLICE("")),
	       STATUS_TOKEN_INVALID, "form"),
	    "an empty payload");
	cut.length = last + 1;
	ok(answered(cut, STATUS_TOKEN_INVALID, "form"), "an empty signature");
	cut.length = last;
	ok(answered(cut, STATUS_TOKEN_INVALID, "form"), "no signature");
	cut.length = dot;
	ok(answered(cut, STATUS_TOKEN_INVALID, "form"), "the header alone");
	cut.length = token.length - 1;
	ok(answered(cut, STATUS_TOKEN_INVALID, "form"), "one character short");
	cut.length = token.length - 3;
	ok(answered(cut, STATUS_TOKEN_INVALID, "form"), "three short");

	for (size_t i = 0; i < 8; i++) {
		static const struct slice junk[] = { SLICE(" "), SLICE("="),
			SLICE("#"), SLICE("+"), SLICE("/"), SLICE("\n"),
			SLICE("\0"), SLICE("\xC3\xA4") };

		ok(answered(
		       resigned(3, 0, junk[i]), STATUS_TOKEN_INVALID, "form"),
		    "junk %zu inside the header", i);
		ok(answered(resigned(dot + 5, 0, junk[i]), STATUS_TOKEN_INVALID,
		       "form"),
		    "junk %zu inside the payload", i);
		ok(answered(
		       resigned(0, 0, junk[i]), STATUS_TOKEN_INVALID, "form"),
		    "junk %zu before it", i);
		ok(answered(resigned(last, 0, junk[i]), STATUS_TOKEN_INVALID,
		       "form"),
		    "junk %zu after the payload", i);
	}
	ok(answered(
	       resigned(last, 0, SLICE("==")), STATUS_TOKEN_INVALID, "form"),
	    "a padded payload");

	copy = arena_alloc(arena, token.length + 8);
	if (copy == NULL)
		abort();
	memcpy(copy, token.data, token.length);
	memcpy(copy + token.length, "=", 2);
	ok(answered((struct slice) { copy, token.length + 1 },
	       STATUS_TOKEN_INVALID, "form"),
	    "a padded signature");
	memcpy(copy + token.length, ".x", 3);
	ok(answered((struct slice) { copy, token.length + 2 },
	       STATUS_TOKEN_INVALID, "form"),
	    "a fourth segment");
	memcpy(copy + token.length, ".", 2);
	ok(answered((struct slice) { copy, token.length + 1 },
	       STATUS_TOKEN_INVALID, "form"),
	    "an empty fourth segment");
	memcpy(copy + token.length, "A", 2);
	ok(answered((struct slice) { copy, token.length + 1 },
	       STATUS_TOKEN_INVALID, "form"),
	    "44 characters of signature");
	memcpy(copy + token.length, "", 1);
	ok(answered((struct slice) { copy, token.length + 1 },
	       STATUS_TOKEN_INVALID, "form"),
	    "a NUL at the end");
}

static void
headers(void)
{
	static const struct {
		struct slice header;
		const char *reason; /* NULL: accepted */
	} table[] = {
		{ SLICE("{\"alg\":\"HS256\"}"), NULL },
		{ SLICE(" { \"alg\" : \"HS256\" } "), NULL },
		{ SLICE("{\"alg\":\"\\u0048S256\"}"), NULL },
		{ SLICE("{\"alg\":\"HS256\",\"typ\":\"jwt\"}"), NULL },
		{ SLICE("{\"typ\":\"JWt\",\"alg\":\"HS256\"}"), NULL },
		{ SLICE("{\"alg\":\"HS256\",\"kid\":\"\"}"), NULL },
		{ SLICE("{\"alg\":\"HS256\",\"kid\":\"1\"}"), NULL },
		{ SLICE("{\"alg\":\"HS256\",\"x5u\":\"https://a\",\"jwk\":{}}"),
		    NULL },
		{ SLICE("{\"alg\":\"HS256\",\"Crit\":1,\"B64\":false}"), NULL },

		{ SLICE("[]"), "header: not an object" },
		{ SLICE("\"HS256\""), "header: not an object" },
		{ SLICE("null"), "header: not an object" },
		{ SLICE("{}"), "header: no alg" },
		{ SLICE("{\"Alg\":\"HS256\"}"), "header: no alg" },
		{ SLICE("{\"alg\":null}"), "header: no alg" },
		{ SLICE("{\"alg\":256}"), "header: no alg" },
		{ SLICE("{\"alg\":[\"HS256\"]}"), "header: no alg" },
		{ SLICE("{\"alg\":\"\"}"), "header: alg is not" },
		{ SLICE("{\"alg\":\"hs256\"}"), "header: alg is not" },
		{ SLICE("{\"alg\":\"Hs256\"}"), "header: alg is not" },
		{ SLICE("{\"alg\":\"HS256 \"}"), "header: alg is not" },
		{ SLICE("{\"alg\":\"HS384\"}"), "header: alg is not" },
		{ SLICE("{\"alg\":\"HS512\"}"), "header: alg is not" },
		{ SLICE("{\"alg\":\"none\"}"), "header: alg is not" },
		{ SLICE("{\"alg\":\"None\"}"), "header: alg is not" },
		{ SLICE("{\"alg\":\"RS256\"}"), "header: alg is not" },
		{ SLICE("{\"alg\":\"ES256\"}"), "header: alg is not" },
		{ SLICE("{\"alg\":\"EdDSA\"}"), "header: alg is not" },
		{ SLICE("{\"alg\":\"HS256\",\"typ\":\"JOSE\"}"),
		    "header: typ" },
		{ SLICE("{\"alg\":\"HS256\",\"typ\":\"\"}"), "header: typ" },
		{ SLICE("{\"alg\":\"HS256\",\"typ\":\"at+jwt\"}"),
		    "header: typ" },
		{ SLICE("{\"alg\":\"HS256\",\"typ\":null}"), "header: typ" },
		{ SLICE("{\"alg\":\"HS256\",\"typ\":[\"JWT\"]}"),
		    "header: typ" },
		{ SLICE("{\"alg\":\"HS256\",\"kid\":1}"), "header: kid" },
		{ SLICE("{\"alg\":\"HS256\",\"kid\":null}"), "header: kid" },
		{ SLICE("{\"alg\":\"HS256\",\"kid\":[\"1\"]}"), "header: kid" },
		{ SLICE("{\"alg\":\"HS256\",\"crit\":[\"exp\"],\"exp\":1}"),
		    "header: has" },
		{ SLICE("{\"alg\":\"HS256\",\"crit\":null}"), "header: has" },
		{ SLICE("{\"alg\":\"HS256\",\"b64\":false}"), "header: has" },
		{ SLICE("{\"alg\":\"HS256\",\"b64\":true}"), "header: has" },
		{ SLICE("{\"alg\":\"HS256\",\"zip\":\"DEF\"}"), "header: has" },
		{ SLICE("{\"alg\":\"HS256\",\"cty\":\"JWT\"}"), "header: has" },
		{ SLICE("{\"alg\":\"HS256\",\"cty\":\"\"}"), "header: has" },

		{ SLICE("{\"alg\":\"HS256\",\"alg\":\"HS256\"}"),
		    "header: not JSON" },
		{ SLICE("{\"alg\":\"none\",\"alg\":\"HS256\"}"),
		    "header: not JSON" },
		{ SLICE("{\"alg\":\"HS256\",\"\\u0061lg\":\"none\"}"),
		    "header: not JSON" },
		{ SLICE("{\"alg\":\"HS256\"}\0"), "header: not JSON" },
		{ SLICE("{\"alg\":\"HS256\"}{}"), "header: not JSON" },
		{ SLICE("{\"alg\":\"HS256\",}"), "header: not JSON" },
		{ SLICE("{'alg':'HS256'}"), "header: not JSON" },
		{ SLICE("\xEF\xBB\xBF{\"alg\":\"HS256\"}"),
		    "header: not JSON" },
		{ SLICE("{\"alg\":\"HS256\",\"x\":\"\xFF\"}"),
		    "header: not JSON" },
		{ SLICE("x"), "header: not JSON" },
	};

	for (size_t i = 0; i < ARRAY_COUNT(table); i++)
		ok(answered(mint(table[i].header, usual_payload(), key),
		       table[i].reason == NULL ? STATUS_OK
					       : STATUS_TOKEN_INVALID,
		       table[i].reason),
		    "header %s", table[i].header.data);

	(void)verify(mint(SLICE("{\"alg\":\"EdDSA\",\"kid\":1,\"crit\":1}"),
	    usual_payload(), key));
	ok(refusal.alg != NULL && strcmp(refusal.alg, "EdDSA") == 0,
	    "the alg of the token is kept for the log");
	(void)verify(mint(SLICE("{\"alg\":\"0123456789012345678901234567890"
				"123456789\"}"),
	    usual_payload(), key));
	ok(refusal.alg != NULL && strlen(refusal.alg) == 32,
	    "at most 32 bytes of it");
	(void)verify(mint(SLICE(HEADER), usual_payload(), other_key));
	ok(refusal.alg != NULL && strcmp(refusal.alg, "HS256") == 0,
	    "also if something else is wrong");
	(void)verify(mint(SLICE("{\"alg\":1}"), usual_payload(), key));
	ok(refusal.alg == NULL, "none is kept if the token has none");
}

/* The usual token and a copy to change; both outlive resets of the arena. */
static char original[1024], changed[1024];

/* True if the first *length* bytes of the changed token are refused. */
static bool
refused(size_t length)
{
	enum status status = token_verify(arena, &policy,
	    (struct slice) { changed, length }, NOW, &refusal, &claims);

	arena_reset(arena);
	return status == STATUS_TOKEN_INVALID;
}

static void
signatures(void)
{
	struct slice token = usual_token();
	const size_t size = token.length;
	unsigned wrong = 0;
	uint64_t seed = 20261123;

	if (size > sizeof(original))
		abort();
	ok(answered(mint(SLICE(HEADER), usual_payload(), other_key),
	       STATUS_TOKEN_INVALID, "signature"),
	    "another secret");
	ok(answered(mint(SLICE(HEADER), usual_payload(),
			(struct slice) { key.data, 31 }),
	       STATUS_TOKEN_INVALID, "signature"),
	    "the secret without its last byte");
	ok(answered(mint(SLICE(HEADER), usual_payload(), SLICE("")),
	       STATUS_TOKEN_INVALID, "signature"),
	    "an empty secret");

	memcpy(original, token.data, size);
	memcpy(changed, original, size);
	memset(changed + size - 43, 'A', 43);
	ok(refused(size), "a signature of zeros");
	memcpy(changed, original, size);

	for (size_t i = 0; i < size; i++) {
		for (int byte = 0; byte < 256; byte += i % 8 == 0 ? 1 : 5) {
			changed[i] = (char)byte;
			if (changed[i] != original[i])
				wrong += !refused(size);
		}
		changed[i] = original[i];
	}
	ok(wrong == 0, "a changed byte is refused: %u were not", wrong);

	for (unsigned round = 0; round < 20000; round++) {
		size_t length = size;

		for (unsigned n = round % 3 + 1; n > 0; n--) {
			size_t at, from;

			seed = seed * 6364136223846793005U +
			    1442695040888963407U;
			at = (size_t)(seed >> 33) % length;
			from = (size_t)(seed >> 20) % length;
			if (seed >> 62 == 0)
				changed[at] = original[from];
			else if (seed >> 62 == 1)
				length = at + 1;
			else
				changed[at] ^= (char)(1 << (seed >> 59 & 7));
		}
		if (length != size || memcmp(changed, original, size) != 0)
			wrong += !refused(length);
		memcpy(changed, original, size);
	}
	ok(wrong == 0, "20,000 random changes: %u not refused", wrong);
	ok(verify((struct slice) { original, size }) == STATUS_OK,
	    "and the token itself is accepted");
}

static void
payloads(void)
{
	struct slice usual = usual_payload();
	struct slice text;
	static const struct {
		struct slice payload;
		const char *reason;
	} table[] = {
		{ SLICE("[]"), "" },
		{ SLICE("null"), "" },
		{ SLICE("\"text\""), "" },
		{ SLICE("{}"), "claims: no iss" },
		{ SLICE("{\"sub\":\"u1\",\"exp\":1764003600}"),
		    "claims: no iss" },
		/* A token that Better Auth signs for itself. */
		{ SLICE("{\"email\":\"ada@example.com\",\"iat\":1764000000,"
			"\"exp\":1764003600}"),
		    "claims: no iss" },
		{ SLICE("{"), "" },
		{ SLICE("x"), "" },
	};

	for (size_t i = 0; i < ARRAY_COUNT(table); i++)
		ok(answered(mint(SLICE(HEADER), table[i].payload, key),
		       STATUS_TOKEN_INVALID, table[i].reason),
		    "payload %s", table[i].payload.data);

	/* The usual payload with something after or before it. */
	text.data = arena_printf(arena, "%s{}", arena_copy(arena, usual));
	text.length = usual.length + 2;
	ok(answered(mint(SLICE(HEADER), text, key), STATUS_TOKEN_INVALID, ""),
	    "another object after it");
	text.data = arena_printf(
	    arena, "%s%cgarbage", arena_copy(arena, usual), 0);
	text.length = usual.length + 8;
	ok(answered(mint(SLICE(HEADER), text, key), STATUS_TOKEN_INVALID,
	       "payload: not JSON"),
	    "NUL and garbage after it");
	text.length = usual.length + 1;
	ok(answered(mint(SLICE(HEADER), text, key), STATUS_TOKEN_INVALID,
	       "payload: not JSON"),
	    "a NUL after it");
	text.data = arena_printf(arena, " %s\n", arena_copy(arena, usual));
	text.length = usual.length + 2;
	ok(answered(mint(SLICE(HEADER), text, key), STATUS_OK, ""),
	    "white space around it");
	text.data = arena_printf(
	    arena, "\xEF\xBB\xBF%s", arena_copy(arena, usual));
	text.length = usual.length + 3;
	ok(answered(mint(SLICE(HEADER), text, key), STATUS_TOKEN_INVALID, ""),
	    "a byte order mark before it");
}

/* A string of *length* x, with its quotes. */
static const char *
string_of(size_t length)
{
	char *text = arena_alloc(arena, length + 3);

	if (text == NULL)
		abort();
	memset(text, 'x', length + 2);
	text[0] = text[length + 1] = '"';
	text[length + 2] = '\0';
	return text;
}

static void
claim_types(void)
{
	static const char *const strings[] = { "iss", "sub", "aud", "jti",
		"user_id", "user_email" };
	static const char *const integers[] = { "exp", "iat", "nbf" };
	static const char *const no_strings[] = { NULL, "null", "1", "1.5",
		"true", "{}", "[]", "[\"x\"]" };
	static const char *const no_integers[] = { NULL, "null",
		"\"1764000001\"", "true", "{}", "[1764000001]", "1764000001.0",
		"1764000001.5", "1.764000001e9", "1764000001e0", "0.0",
		"1E400" };

	for (size_t i = 0; i < ARRAY_COUNT(strings); i++) {
		const bool array_may = strcmp(strings[i], "aud") == 0;

		for (size_t n = 0; n < ARRAY_COUNT(no_strings); n++) {
			const struct claim changes[] = {
				{ strings[i], no_strings[n] }, { NULL, NULL }
			};

			if (array_may && no_strings[n] != NULL &&
			    no_strings[n][0] == '[')
				continue;
			ok(answered(
			       mint(SLICE(HEADER), payload_of(changes), key),
			       STATUS_TOKEN_INVALID, "claims: no"),
			    "%s: %s", strings[i],
			    no_strings[n] == NULL ? "left out" : no_strings[n]);
		}
	}
	for (size_t i = 0; i < ARRAY_COUNT(integers); i++) {
		bool optional = strcmp(integers[i], "nbf") == 0;

		for (size_t n = 0; n < ARRAY_COUNT(no_integers); n++) {
			const struct claim changes[] = {
				{ integers[i], no_integers[n] }, { NULL, NULL }
			};

			if (optional && no_integers[n] == NULL)
				continue;
			/* The reason for 1E400 may be libjwt's. */
			ok(answered(
			       mint(SLICE(HEADER), payload_of(changes), key),
			       STATUS_TOKEN_INVALID, ""),
			    "%s: %s", integers[i],
			    no_integers[n] == NULL ? "left out"
						   : no_integers[n]);
		}
	}
}

static void
claim_values(void)
{
	static const char user64[] = "\"0123456789-.ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				     "abcdefghijklmnopqrstuvwxyz\"";
	struct {
		const char *name;
		struct claim changes[3];
		enum status status;
		const char *reason;
	} table[] = {
		{ "another issuer", { { "iss", "\"https://todo.example/\"" } },
		    STATUS_TOKEN_ISSUER, "claims: iss is not" },
		{ "an issuer in other case",
		    { { "iss", "\"https://TODO.example\"" } },
		    STATUS_TOKEN_ISSUER, "claims: iss is not" },
		{ "an empty issuer", { { "iss", "\"\"" } }, STATUS_TOKEN_ISSUER,
		    "claims: iss is not" },
		{ "the issuer, escaped",
		    { { "iss", "\"https:\\/\\/todo.\\u0065xample\"" } },
		    STATUS_OK, "" },

		{ "another audience", { { "aud", "\"" ISSUER "\"" } },
		    STATUS_TOKEN_AUDIENCE, "claims: aud lacks" },
		{ "an empty audience", { { "aud", "\"\"" } },
		    STATUS_TOKEN_AUDIENCE, "claims: aud lacks" },
		{ "no audience in a list", { { "aud", "[]" } },
		    STATUS_TOKEN_AUDIENCE, "claims: aud lacks" },
		{ "an empty one in a list", { { "aud", "[\"\"]" } },
		    STATUS_TOKEN_AUDIENCE, "claims: aud lacks" },
		{ "others in a list", { { "aud", "[\"a\",\"b\"]" } },
		    STATUS_TOKEN_AUDIENCE, "claims: aud lacks" },
		{ "ours in a list", { { "aud", "[\"" AUDIENCE "\"]" } },
		    STATUS_OK, "" },
		{ "ours last in a list",
		    { { "aud", "[\"a\",\"" AUDIENCE "\"]" } }, STATUS_OK, "" },
		{ "a list in a list", { { "aud", "[[\"" AUDIENCE "\"]]" } },
		    STATUS_TOKEN_INVALID, "claims: no aud" },
		{ "ours and a number", { { "aud", "[\"" AUDIENCE "\",1]" } },
		    STATUS_TOKEN_INVALID, "claims: no aud" },
		{ "ours and null", { { "aud", "[null,\"" AUDIENCE "\"]" } },
		    STATUS_TOKEN_INVALID, "claims: no aud" },
		{ "ours in an object", { { "aud", "{\"" AUDIENCE "\":1}" } },
		    STATUS_TOKEN_INVALID, "claims: no aud" },

		{ "a user of one character",
		    { { "user_id", "\"x\"" }, { "sub", "\"x\"" } }, STATUS_OK,
		    "" },
		{ "a user of 64 characters",
		    { { "user_id", string_of(64) }, { "sub", string_of(64) } },
		    STATUS_OK, "" },
		{ "a user of 65",
		    { { "user_id", string_of(65) }, { "sub", string_of(65) } },
		    STATUS_TOKEN_INVALID,
		    "claims: user_id is empty or longer" },
		{ "a user of 64 different ones",
		    { { "user_id", user64 }, { "sub", user64 } }, STATUS_OK,
		    "" },
		{ "a user of the other two",
		    { { "user_id", "\"_~\"" }, { "sub", "\"_~\"" } }, STATUS_OK,
		    "" },
		{ "an empty user", { { "user_id", "\"\"" }, { "sub", "\"\"" } },
		    STATUS_TOKEN_INVALID,
		    "claims: user_id is empty or longer" },
		{ "user dot", { { "user_id", "\".\"" }, { "sub", "\".\"" } },
		    STATUS_TOKEN_INVALID, "claims: user_id is . or .." },
		{ "user dot dot",
		    { { "user_id", "\"..\"" }, { "sub", "\"..\"" } },
		    STATUS_TOKEN_INVALID, "claims: user_id is . or .." },
		{ "user dot dot dot",
		    { { "user_id", "\"...\"" }, { "sub", "\"...\"" } },
		    STATUS_OK, "" },
		{ "a user with a slash",
		    { { "user_id", "\"a/b\"" }, { "sub", "\"a/b\"" } },
		    STATUS_TOKEN_INVALID, "claims: user_id has a character" },
		{ "a user with a percent sign",
		    { { "user_id", "\"a%62\"" }, { "sub", "\"a%62\"" } },
		    STATUS_TOKEN_INVALID, "claims: user_id has a character" },
		{ "a user with a space",
		    { { "user_id", "\"a \"" }, { "sub", "\"a \"" } },
		    STATUS_TOKEN_INVALID, "claims: user_id has a character" },
		{ "a user with an umlaut",
		    { { "user_id", "\"\\u00e4\"" }, { "sub", "\"\\u00e4\"" } },
		    STATUS_TOKEN_INVALID, "claims: user_id has a character" },
		{ "sub in other case",
		    { { "user_id", "\"u1\"" }, { "sub", "\"U1\"" } },
		    STATUS_TOKEN_INVALID, "claims: user_id and sub differ" },
		{ "sub longer",
		    { { "user_id", "\"u1\"" }, { "sub", "\"u1 \"" } },
		    STATUS_TOKEN_INVALID, "claims: user_id and sub differ" },
		{ "sub empty", { { "user_id", "\"u1\"" }, { "sub", "\"\"" } },
		    STATUS_TOKEN_INVALID, "claims: user_id and sub differ" },

		{ "an empty jti", { { "jti", "\"\"" } }, STATUS_TOKEN_INVALID,
		    "claims: jti" },
		{ "a jti of 255", { { "jti", string_of(255) } }, STATUS_OK,
		    "" },
		{ "a jti of 256", { { "jti", string_of(256) } },
		    STATUS_TOKEN_INVALID, "claims: jti" },
		{ "an empty address", { { "user_email", "\"\"" } },
		    STATUS_TOKEN_INVALID, "claims: user_email" },
		{ "an address of 320", { { "user_email", string_of(320) } },
		    STATUS_OK, "" },
		{ "an address of 321", { { "user_email", string_of(321) } },
		    STATUS_TOKEN_INVALID, "claims: user_email" },
		{ "an address with a lone surrogate",
		    { { "user_email", "\"a@\\ud800\"" } }, STATUS_TOKEN_INVALID,
		    "" },
		{ "an address with NUL",
		    { { "user_email", "\"a@b\\u0000c\"" } },
		    STATUS_TOKEN_INVALID, "" },
		{ "an address that is not UTF-8",
		    { { "user_email", "\"a@\xFF\"" } }, STATUS_TOKEN_INVALID,
		    "" },

		{ "claims that are not read",
		    { { "roles", "[\"admin\",{\"a\":null}]" },
			{ "email", "\"x\"" } },
		    STATUS_OK, "" },
		{ "a claim twice",
		    { { "x", "1,\"user_id\":\"u2\",\"sub\":\"u2\"" } },
		    STATUS_TOKEN_INVALID, "payload: not JSON" },
		{ "a claim twice, once escaped",
		    { { "x", "1,\"us\\u0065r_id\":\"u2\"" } },
		    STATUS_TOKEN_INVALID, "payload: not JSON" },
		{ "the same member twice inside a claim",
		    { { "x", "{\"a\":1,\"a\":1}" } }, STATUS_TOKEN_INVALID,
		    "payload: not JSON" },
	};

	for (size_t i = 0; i < ARRAY_COUNT(table); i++)
		ok(answered(
		       mint(SLICE(HEADER), payload_of(table[i].changes), key),
		       table[i].status, table[i].reason),
		    "%s", table[i].name);
}

static void
times(void)
{
	static const struct {
		const char *exp, *iat, *nbf;
		int64_t leeway, max_lifetime;
		enum status status;
		const char *reason;
	} table[] = {
		/* NOW is 1764000000. */
		{ "1764000001", "1763999000", NULL, 10, 86400, STATUS_OK, "" },
		{ "1764000000", "1763999000", NULL, 10, 86400,
		    STATUS_TOKEN_EXPIRED, "claims: exp is in the past" },
		{ "1763999999", "1763999000", NULL, 10, 86400,
		    STATUS_TOKEN_EXPIRED, "claims: exp is in the past" },
		/* Leeway does not extend exp. */
		{ "1763999999", "1763999000", NULL, 300, 86400,
		    STATUS_TOKEN_EXPIRED, "claims: exp is in the past" },
		{ "0", "0", NULL, 10, 86400, STATUS_TOKEN_EXPIRED,
		    "claims: exp is in the past" },
		{ "-1", "-2", NULL, 10, 86400, STATUS_TOKEN_EXPIRED,
		    "claims: exp is in the past" },
		{ "-99999999999999999999", "-99999999999999999999", NULL, 10,
		    86400, STATUS_TOKEN_INVALID, "libjwt" },
		{ "-9223372036854775808", "9223372036854775807", NULL, 10,
		    86400, STATUS_TOKEN_EXPIRED, "claims: exp is in the past" },
		/* An expired token is told so, whatever else is wrong. */
		{ "1763999999", "1000000000", NULL, 10, 86400,
		    STATUS_TOKEN_EXPIRED, "claims: exp is in the past" },
		{ "1763999999", "1764000100", NULL, 10, 86400,
		    STATUS_TOKEN_EXPIRED, "claims: exp is in the past" },

		{ "1764000100", "1764000010", NULL, 10, 86400, STATUS_OK, "" },
		{ "1764000100", "1764000011", NULL, 10, 86400,
		    STATUS_TOKEN_INVALID, "claims: iat" },
		{ "1764000100", "1764000000", NULL, 0, 86400, STATUS_OK, "" },
		{ "1764000100", "1764000001", NULL, 0, 86400,
		    STATUS_TOKEN_INVALID, "claims: iat" },
		{ "1764000100", "1764000300", NULL, 300, 86400, STATUS_OK, "" },
		{ "1764000100", "1764000301", NULL, 300, 86400,
		    STATUS_TOKEN_INVALID, "claims: iat" },
		{ "1764000100", "9223372036854775807", NULL, 10, 86400,
		    STATUS_TOKEN_INVALID, "claims: iat" },

		{ "1764000100", "1764000000", "1764000010", 10, 86400,
		    STATUS_OK, "" },
		{ "1764000100", "1764000000", "1764000011", 10, 86400,
		    STATUS_TOKEN_INVALID, "claims: nbf" },
		{ "1764000100", "1764000000", "0", 10, 86400, STATUS_OK, "" },
		{ "1764000100", "1764000000", "-9223372036854775808", 10, 86400,
		    STATUS_OK, "" },
		{ "1764000100", "1764000000", "9223372036854775807", 10, 86400,
		    STATUS_TOKEN_INVALID, "claims: nbf" },

		{ "1764086400", "1764000000", NULL, 10, 86400, STATUS_OK, "" },
		{ "1764086401", "1764000000", NULL, 10, 86400,
		    STATUS_TOKEN_INVALID, "claims: exp - iat" },
		{ "1764000060", "1764000000", NULL, 10, 60, STATUS_OK, "" },
		{ "1764000061", "1764000000", NULL, 10, 60,
		    STATUS_TOKEN_INVALID, "claims: exp - iat" },
		{ "1764000001", "1763913601", NULL, 10, 86400, STATUS_OK, "" },
		{ "1764000001", "1763913600", NULL, 10, 86400,
		    STATUS_TOKEN_INVALID, "claims: exp - iat" },
		{ "9223372036854775807", "1764000000", NULL, 10, 86400,
		    STATUS_TOKEN_INVALID, "claims: exp - iat" },
		{ "9223372036854775807", "-9223372036854775808", NULL, 10,
		    86400, STATUS_TOKEN_INVALID, "claims: exp - iat" },
		{ "1764000001", "-9223372036854775808", NULL, 10, 86400,
		    STATUS_TOKEN_INVALID, "claims: exp - iat" },
		{ "9223372036854775808", "1764000000", NULL, 10, 86400,
		    STATUS_TOKEN_INVALID, "claims: exp - iat" },
	};

	for (size_t i = 0; i < ARRAY_COUNT(table); i++) {
		const struct claim changes[] = { { "exp", table[i].exp },
			{ "iat", table[i].iat },
			{ table[i].nbf == NULL ? NULL : "nbf", table[i].nbf },
			{ NULL, NULL } };

		policy.leeway = table[i].leeway;
		policy.max_lifetime = table[i].max_lifetime;
		ok(answered(mint(SLICE(HEADER), payload_of(changes), key),
		       table[i].status, table[i].reason),
		    "exp %s iat %s nbf %s leeway %d", table[i].exp,
		    table[i].iat, table[i].nbf == NULL ? "none" : table[i].nbf,
		    (int)table[i].leeway);
	}
	policy = usual_policy();
}

/* What libjwt alone refuses is refused. */
static void
last_word(void)
{
	static const char *const numbers[] = { "9223372036854775808",
		"-9223372036854775809", "1E400" };

	for (size_t i = 0; i < ARRAY_COUNT(numbers); i++) {
		const struct claim changes[] = { { "x", numbers[i] },
			{ NULL, NULL } };

		ok(answered(mint(SLICE(HEADER), payload_of(changes), key),
		       STATUS_TOKEN_INVALID, "libjwt"),
		    "another claim is %s", numbers[i]);
	}
}

/* A header with *count* members besides alg and at least *length* bytes. */
static struct slice
long_header(size_t count, size_t length)
{
	struct buffer out = buffer_in(arena);

	buffer_add(&out, SLICE("{\"alg\":\"HS256\""));
	for (size_t i = 0; i < count; i++) {
		buffer_add(&out, SLICE(",\""));
		buffer_add_unsigned(&out, i);
		buffer_add(&out, SLICE("\":0"));
	}
	while (out.length + 1 < length)
		buffer_add_char(&out, ' ');
	buffer_add_char(&out, '}');
	return buffer_slice(&out);
}

/* The number of allocations that refusing *token* takes. */
static long
cost(struct slice token)
{
	const long plenty = 1000000;
	struct arena *fresh = arena_new(1 << 20);
	long left;

	scarce_after = plenty;
	ok(token_verify(fresh, &policy, token, NOW, &refusal, &claims) ==
		STATUS_TOKEN_INVALID,
	    "refused: %s", refusal.reason);
	left = scarce_after;
	scarce_after = -1;
	arena_free(fresh);
	return plenty - left;
}

/* A token without a right signature is cheap to refuse, however long. */
static void
foreign(void)
{
	struct slice many = long_header(250, 0);
	long usual;

	ok(answered(mint(long_header(0, 256), usual_payload(), other_key),
	       STATUS_TOKEN_INVALID, "signature") &&
		refusal.alg != NULL,
	    "a header of 256 bytes is parsed");
	ok(answered(mint(long_header(0, 257), usual_payload(), other_key),
	       STATUS_TOKEN_INVALID, "signature") &&
		refusal.alg == NULL,
	    "a longer one is not, if the signature is wrong");
	ok(answered(mint(many, usual_payload(), key), STATUS_OK, ""),
	    "but is if the signature is right");

	if (!scarce_possible())
		return;
	usual = cost(mint(SLICE(HEADER), usual_payload(), other_key));
	ok(usual > 0 && usual < 100, "refusing takes %ld allocations", usual);
	ok(cost(mint(many, usual_payload(), other_key)) <= usual,
	    "a header of 250 members takes no more");
	ok(cost(mint(SLICE(HEADER), many, other_key)) <= usual,
	    "nor does a payload of as many");
}

static enum status
recall(const struct cache *cache, struct slice token, int64_t now)
{
	memset(&refusal, 'x', sizeof(refusal));
	memset(&claims, 'x', sizeof(claims));
	return token_recall(cache, &policy, token, now, &refusal, &claims);
}

/* An accepted token is found again, and its times are checked again. */
static void
remembered(void)
{
	struct cache *cache = cache_new(1 << 20);
	const struct claim changes[] = { { "nbf", "1763999000" },
		{ NULL, NULL } };
	struct slice token = mint(SLICE(HEADER), payload_of(changes), key);
	char *copy = arena_copy(arena, token);
	struct slice other = { copy, token.length };
	unsigned known = 0;

	ok(recall(cache, token, NOW) == STATUS_NONE && refusal.reason == NULL,
	    "a token that was not remembered is not found");
	if (verify(token) != STATUS_OK)
		abort();
	token_remember(cache, token, &claims);
	ok(recall(cache, token, NOW) == STATUS_OK &&
		slice_equal(claims.user_id,
		    SLICE("ea5oVK53YjEeqel2O0hkNmyjreZ56iuZ")) &&
		slice_equal(claims.email, SLICE("ada@example.com")) &&
		slice_equal(claims.issuer, SLICE(ISSUER)) &&
		claims.issued_at == NOW && claims.expires_at == NOW + 3600 &&
		claims.not_before == NOW - 1000 && refusal.reason == NULL,
	    "a remembered one is, with its claims");

	ok(recall(cache, token, NOW + 3599) == STATUS_OK, "until it expires");
	ok(recall(cache, token, NOW + 3600) == STATUS_TOKEN_EXPIRED &&
		strcmp(refusal.reason, "claims: exp is in the past") == 0 &&
		strcmp(refusal.alg, "HS256") == 0,
	    "then it is refused as token_verify() would");
	ok(recall(cache, token, NOW - 11) == STATUS_TOKEN_INVALID &&
		strncmp(refusal.reason, "claims: iat", 11) == 0,
	    "it is refused if the clock goes back");
	policy.max_lifetime = 60;
	ok(recall(cache, token, NOW) == STATUS_TOKEN_INVALID &&
		strncmp(refusal.reason, "claims: exp - iat", 17) == 0,
	    "the policy is applied again");
	policy = usual_policy();

	for (size_t i = 0; i < token.length; i++) {
		copy[i] ^= 1;
		known += recall(cache, other, NOW) != STATUS_NONE;
		copy[i] ^= 1;
		known += recall(cache, (struct slice) { copy, i }, NOW) !=
		    STATUS_NONE;
	}
	ok(known == 0, "a changed or shortened token is not found");

	token = token_of_size(4096);
	if (verify(token) != STATUS_OK)
		abort();
	token_remember(cache, token, &claims);
	ok(recall(cache, token, NOW) == STATUS_NONE,
	    "a token of 4,096 bytes is not remembered");
	cache_free(cache);

	cache = cache_new(1);
	token_remember(
	    cache, mint(SLICE(HEADER), payload_of(changes), key), &claims);
	ok(recall(cache, mint(SLICE(HEADER), payload_of(changes), key), NOW) ==
		STATUS_NONE,
	    "nor is one that does not fit into the cache");
	cache_free(cache);
}

/* The reason for a token that is wrong in several ways. */
static void
order(void)
{
	struct claim changes[] = { { "exp", "1" }, { "iss", "\"x\"" },
		{ "aud", "\"x\"" }, { "user_id", "\"/\"" }, { "jti", "1" },
		{ NULL, NULL } };

	ok(answered(mint(SLICE("{\"alg\":\"none\"}"), payload_of(changes),
			other_key),
	       STATUS_TOKEN_INVALID, "header"),
	    "header before signature");
	ok(answered(mint(SLICE(HEADER), payload_of(changes), other_key),
	       STATUS_TOKEN_INVALID, "signature"),
	    "signature before claims");
	ok(answered(mint(SLICE(HEADER), payload_of(changes), key),
	       STATUS_TOKEN_INVALID, "claims: no jti"),
	    "types before values");
	changes[4].value = "\"\"";
	ok(answered(mint(SLICE(HEADER), payload_of(changes), key),
	       STATUS_TOKEN_EXPIRED, "claims"),
	    "expiry before issuer");
	changes[0].value = "1764000100";
	ok(answered(mint(SLICE(HEADER), payload_of(changes), key),
	       STATUS_TOKEN_ISSUER, "claims"),
	    "issuer before audience");
	changes[1].value = "\"" ISSUER "\"";
	ok(answered(mint(SLICE(HEADER), payload_of(changes), key),
	       STATUS_TOKEN_AUDIENCE, "claims"),
	    "audience before user_id");
	changes[2].value = "\"" AUDIENCE "\"";
	ok(answered(mint(SLICE(HEADER), payload_of(changes), key),
	       STATUS_TOKEN_INVALID, "claims: user_id has a character"),
	    "user_id before jti");
}

static void
rotation(void)
{
#define KID(version) SLICE("{\"alg\":\"HS256\",\"kid\":\"" version "\"}")
	static const struct {
		const char *name;
		struct slice header;
		const struct slice *secret;
		enum status status;
	} table[] = {
		{ "no kid, the first secret", SLICE(HEADER), &key, STATUS_OK },
		{ "no kid, the second", SLICE(HEADER), &old_key, STATUS_OK },
		{ "no kid, none of them", SLICE(HEADER), &other_key,
		    STATUS_TOKEN_INVALID },
		{ "kid 2 and its secret", KID("2"), &key, STATUS_OK },
		{ "kid 1 and its secret", KID("1"), &old_key, STATUS_OK },
		{ "kid 1 and the other's", KID("1"), &key,
		    STATUS_TOKEN_INVALID },
		{ "kid 2 and the other's", KID("2"), &old_key,
		    STATUS_TOKEN_INVALID },
		{ "an unknown kid, the first secret", KID("3"), &key,
		    STATUS_OK },
		{ "an unknown kid, the second", KID("3"), &old_key, STATUS_OK },
		{ "an unknown kid, none of them", KID("3"), &other_key,
		    STATUS_TOKEN_INVALID },
		{ "an empty kid", KID(""), &old_key, STATUS_OK },
		{ "kid 02 is not 2", KID("02"), &old_key, STATUS_OK },
		{ "kid 2 and a space is not 2", KID("2 "), &old_key,
		    STATUS_OK },
		{ "kid 12 is neither", KID("12"), &old_key, STATUS_OK },
	};

	policy.secrets.count = 2;
	policy.secrets.list[0] = (struct secret) { key, SLICE("2") };
	policy.secrets.list[1] = (struct secret) { old_key, SLICE("1") };
	for (size_t i = 0; i < ARRAY_COUNT(table); i++)
		ok(answered(
		       mint(table[i].header, usual_payload(), *table[i].secret),
		       table[i].status, "signature"),
		    "%s", table[i].name);

	policy.secrets.count = 4;
	policy.secrets.list[2] = (struct secret) { SLICE("x"), SLICE("7") };
	policy.secrets.list[3] = (struct secret) { other_key, SLICE("8") };
	ok(answered(
	       mint(SLICE(HEADER), usual_payload(), other_key), STATUS_OK, ""),
	    "the fourth of four");

	policy = usual_policy();
	ok(answered(mint(KID(""), usual_payload(), key), STATUS_OK, ""),
	    "an empty kid names no secret without version");
	ok(answered(mint(KID("1"), usual_payload(), key), STATUS_OK, ""),
	    "a kid does not exclude a secret without version");
}

/*
 * Verify *token* while the allocation after *n* others fails.  Returns 0 if the
 * answer is correct, 1 if there was no such allocation, 2 if a wrong token was
 * accepted, or a right one was refused or read wrong.
 */
static int
verify_scarcely(struct slice token, bool right, long n)
{
	enum status status;
	bool whole;

	scarce_after = n;
	status = token_verify(arena, &policy, token, NOW, &refusal, &claims);
	whole = scarce_after >= 0;
	scarce_after = -1;
	if (status == STATUS_OK &&
	    !(right &&
		slice_equal(
		    claims.user_id, SLICE("ea5oVK53YjEeqel2O0hkNmyjreZ56iuZ"))))
		return 2;
	if (status != STATUS_INTERNAL && (status == STATUS_OK) != right)
		return 2;
	if (whole && status == STATUS_INTERNAL)
		return 2;
	return whole;
}

/* In a child process: the libraries crash on some failed allocations. */
static void
memory(const char *name, struct slice token, bool right)
{
	unsigned wrong = 0, died = 0;
	int code = 0;
	long n;

	if (!scarce_possible())
		return;
	for (n = 0; n < 2000 && code != 1; n++) {
		pid_t child;
		int status;

		fflush(stdout);
		if ((child = fork()) == 0)
			scarce_exit(verify_scarcely(token, right, n));
		if (child < 0 || waitpid(child, &status, 0) != child)
			break;
		code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
		died += code == -1;
		wrong += code == 2;
	}
	ok(code == 1 && wrong == 0 && n > 10,
	    "%s, with each of %ld allocations failing: %u wrong, %u died", name,
	    n - 1, wrong, died);
}

/* With a little more room in the arena each time, up to enough. */
static void
small_arenas(const char *name, struct slice token, enum status verdict)
{
	unsigned left = 0, wrong = 0;
	enum status status = STATUS_INTERNAL;

	for (; left < 1000 && status == STATUS_INTERNAL; left++) {
		struct arena *small = full_arena(left);

		status = token_verify(
		    small, &policy, token, NOW, &refusal, &claims);
		wrong += status != STATUS_INTERNAL && status != verdict;
		arena_free(small);
	}
	ok(left > 1 && wrong == 0 && status == verdict,
	    "%s, in arenas with room for 0 to %u small allocations", name,
	    left - 1);
}

int
main(void)
{
	arena = arena_new(1 << 25);
	policy = usual_policy();
	accepted();
	form();
	headers();
	signatures();
	arena_reset(arena);
	payloads();
	claim_types();
	claim_values();
	times();
	last_word();
	foreign();
	remembered();
	order();
	rotation();
	memory("a right token", usual_token(), true);
	memory("a token of another secret",
	    mint(SLICE(HEADER), usual_payload(), other_key), false);
	memory("a token without signature",
	    mint(SLICE("{\"alg\":\"none\"}"), usual_payload(), key), false);
	small_arenas("a right token", usual_token(), STATUS_OK);
	small_arenas("a token without signature",
	    mint(SLICE("{\"alg\":\"none\"}"), usual_payload(), key),
	    STATUS_TOKEN_INVALID);
	arena_free(arena);
	return tap_done();
}
