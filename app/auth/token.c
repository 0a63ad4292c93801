#include "auth/token.h"

#include <errno.h>

#include <jwt.h>

#include "base/base64url.h"
#include "base/crypto.h"
#include "base/json.h"

/*
 * HMAC-SHA256 makes 32 bytes: 43 characters of base64url (RFC 7518 section
 * 3.2).
 */
#define SIGNATURE_LENGTH 43

/* The longest header that is read of a token that none of our secrets signed.
 * Those of issuers are far shorter. */
#define FOREIGN_HEADER_MAX 256

#define USER_ID_MAX 64
#define JTI_MAX 255
#define EMAIL_MAX 320

/* The longest token that is remembered: several times what one is usually. */
#define REMEMBERED_MAX 1024

/* What of an alg that came is worth a log line. */
#define ALG_LOGGED_MAX 32

/* A token in the making: what each step leaves for the next. */
struct verification {
	struct arena *arena;
	const struct token_policy *policy;
	struct token_refusal *refusal;
	struct slice token;
	struct slice header;	     /* decoded */
	struct slice payload;	     /* decoded */
	struct slice kid;	     /* or data NULL */
	size_t signature_length;     /* in base64url */
	unsigned signers;	     /* 1 << i: secret i made the signature */
	const struct secret *signer; /* the one that counts */
};

static enum status
refuse(struct verification *v, enum status status, const char *reason)
{
	v->refusal->reason = reason;
	return status;
}

static enum status
invalid(struct verification *v, const char *reason)
{
	return refuse(v, STATUS_TOKEN_INVALID, reason);
}

/* ------------------------------------------------------------------- form */

/* Decode *segment*, which may not be empty. */
static enum status
decode(struct verification *v, struct slice segment, struct slice *bytes)
{
	enum status status = segment.length == 0
	    ? STATUS_INVALID
	    : base64url_decode(v->arena, segment, bytes);

	if (status == STATUS_INVALID)
		return invalid(v, "form: a segment is not base64url");
	return status;
}

/*
 * Find out which of our secrets made *signature* of *input*.  It is done first,
 * though the outcome is told only when it is its turn, because it takes little
 * and always the same: whoever cannot sign can still write a header or payload
 * that takes a hundred times longer to read.
 */
static enum status
find_signers(struct verification *v, struct slice input, struct slice signature)
{
	const struct token_policy *policy = v->policy;

	for (size_t i = 0; i < policy->secrets.count; i++) {
		enum status status = crypto_check_mac(
		    policy->secrets.list[i].key, input, signature);

		if (status == STATUS_OK)
			v->signers |= 1U << i;
		else if (status != STATUS_INVALID)
			return status;
	}
	return STATUS_OK;
}

/*
 * libjwt takes spaces and other letters inside a segment, and reads past the
 * end of an empty one.
 */
static enum status
check_form(struct verification *v)
{
	struct slice signature = v->token, header, payload, bytes, input;
	enum status status;

	if (v->token.length == 0 || v->token.length > TOKEN_LENGTH_MAX)
		return invalid(v, "form: empty or longer than 4096 bytes");
	if (!slice_take_until(&signature, '.', &header) ||
	    !slice_take_until(&signature, '.', &payload))
		return invalid(v, "form: not three segments");
	if ((status = decode(v, header, &v->header)) != STATUS_OK ||
	    (status = decode(v, payload, &v->payload)) != STATUS_OK ||
	    (status = decode(v, signature, &bytes)) != STATUS_OK)
		return status;
	v->signature_length = signature.length;
	input = (struct slice) { v->token.data,
		v->token.length - signature.length - 1 };
	return find_signers(v, input, bytes);
}

/* ----------------------------------------------------------------- header */

/*
 * libjwt knows neither crit nor b64 nor zip and ignores them, takes alg in any
 * case and HS384 and HS512 under the same key, and is fifty times slower to
 * say no to RS256.
 */
static enum status
check_header(struct verification *v)
{
	static const char *const refused[] = { "crit", "b64", "zip", "cty" };
	struct json header, member;
	struct slice alg;
	enum status status;

	if (v->signers == 0 && v->header.length > FOREIGN_HEADER_MAX)
		return invalid(v, "signature: not ours");
	status = json_read(v->arena, v->header, &header);
	if (status == STATUS_INVALID)
		return invalid(v, "header: not JSON");
	if (status != STATUS_OK)
		return status;
	if (header.type != JSON_OBJECT)
		return invalid(v, "header: not an object");

	if (!json_member(header, "alg", &member) || member.type != JSON_STRING)
		return invalid(v, "header: no alg");
	alg = json_as_string(member);
	if (!slice_equal(alg, SLICE("HS256"))) {
		if (alg.length > ALG_LOGGED_MAX)
			alg.length = ALG_LOGGED_MAX;
		if ((v->refusal->alg = arena_copy(v->arena, alg)) == NULL)
			return STATUS_INTERNAL;
		return invalid(v, "header: alg is not HS256");
	}
	v->refusal->alg = "HS256";
	/* Of another alg it has another length: that alg is what the operator
	 * should read, so the length is looked at only now. */
	if (v->signature_length != SIGNATURE_LENGTH)
		return invalid(v, "form: the signature is not 32 bytes");

	if (json_member(header, "typ", &member) &&
	    (member.type != JSON_STRING ||
		!slice_equal_nocase(json_as_string(member), SLICE("JWT"))))
		return invalid(v, "header: typ is not JWT");
	if (json_member(header, "kid", &member)) {
		if (member.type != JSON_STRING)
			return invalid(v, "header: kid is not a string");
		v->kid = json_as_string(member);
	}
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		if (json_member(header, refused[i], &member))
			return invalid(v, "header: has crit, b64, zip or cty");
	}
	return STATUS_OK;
}

/* -------------------------------------------------------------- signature */

/* The only secret to try *kid* with, or NULL if any will do. */
static const struct secret *
secret_named(const struct token_policy *policy, struct slice kid)
{
	for (size_t i = 0; i < policy->secrets.count; i++) {
		const struct secret *secret = &policy->secrets.list[i];

		if (kid.length > 0 && slice_equal(kid, secret->version))
			return secret;
	}
	return NULL;
}

static enum status
check_signature(struct verification *v)
{
	const struct token_policy *policy = v->policy;
	const struct secret *named = secret_named(policy, v->kid);

	for (size_t i = 0; i < policy->secrets.count; i++) {
		const struct secret *secret = &policy->secrets.list[i];

		if ((v->signers & 1U << i) != 0 &&
		    (named == NULL || named == secret))
			v->signer = secret;
	}
	if (v->signer == NULL)
		return invalid(v, "signature: not ours");
	return STATUS_OK;
}

/*
 * Nothing is believed that libjwt does not verify too.  It comes last, for it
 * makes trees of header and payload, in its own way, before it looks at the
 * signature: what is wrong anyway need not wait for that.  What it makes of
 * them is not used.
 *
 * It takes most of its failed allocations, and jansson's, for faults of the
 * token, so errno is asked; and if it finds no memory for the key it succeeds
 * without having looked at the signature, but then says that alg is none.
 */
static enum status
ask_libjwt(struct verification *v)
{
	const char *token = arena_copy(v->arena, v->token);
	struct slice key = v->signer->key;
	jwt_t *jwt = NULL;
	jwt_alg_t alg;
	int error;

	if (token == NULL)
		return STATUS_INTERNAL;
	errno = 0;
	error = jwt_decode(
	    &jwt, token, (const unsigned char *)key.data, (int)key.length);
	if (error == ENOMEM || errno == ENOMEM) {
		jwt_free(jwt);
		return STATUS_INTERNAL;
	}
	if (error != 0 || jwt == NULL)
		return invalid(v, "libjwt: does not take it");
	alg = jwt_get_alg(jwt);
	jwt_free(jwt);
	return alg == JWT_ALG_HS256 ? STATUS_OK : STATUS_INTERNAL;
}

/* ----------------------------------------------------------------- claims */

/* The claims as they came, each of the right type. */
struct claims {
	struct slice iss, sub, jti, user_id, user_email;
	struct json aud; /* a string or an array of strings */
	int64_t exp, iat;
	int64_t nbf; /* INT64_MIN if it did not come */
};

static bool
take_string(struct json payload, const char *name, struct slice *value)
{
	struct json member;

	if (!json_member(payload, name, &member) || member.type != JSON_STRING)
		return false;
	*value = json_as_string(member);
	return true;
}

/* What is out of range comes as the nearest number in it. */
static bool
take_integer(struct json payload, const char *name, int64_t *value)
{
	struct json member;

	if (!json_member(payload, name, &member) || member.type != JSON_INTEGER)
		return false;
	*value = json_as_integer(member);
	return true;
}

static bool
take_audience(struct json payload, struct json *aud)
{
	if (!json_member(payload, "aud", aud))
		return false;
	if (aud->type == JSON_STRING)
		return true;
	if (aud->type != JSON_ARRAY)
		return false;
	for (size_t i = 0; i < json_items(*aud); i++) {
		if (json_item(*aud, i).type != JSON_STRING)
			return false;
	}
	return true;
}

/* Other tokens signed with the same secret lack some of the eight. */
static enum status
take_claims(struct verification *v, struct claims *claims)
{
	struct json payload, member;
	enum status status;

	status = json_read(v->arena, v->payload, &payload);
	if (status == STATUS_INVALID)
		return invalid(v, "payload: not JSON");
	if (status != STATUS_OK)
		return status;
	if (payload.type != JSON_OBJECT)
		return invalid(v, "payload: not an object");

	if (!take_string(payload, "iss", &claims->iss))
		return invalid(v, "claims: no iss, or no string");
	if (!take_string(payload, "sub", &claims->sub))
		return invalid(v, "claims: no sub, or no string");
	if (!take_audience(payload, &claims->aud))
		return invalid(v, "claims: no aud, or no string or strings");
	if (!take_integer(payload, "exp", &claims->exp))
		return invalid(v, "claims: no exp, or no integer");
	if (!take_integer(payload, "iat", &claims->iat))
		return invalid(v, "claims: no iat, or no integer");
	if (!take_string(payload, "jti", &claims->jti))
		return invalid(v, "claims: no jti, or no string");
	if (!take_string(payload, "user_id", &claims->user_id))
		return invalid(v, "claims: no user_id, or no string");
	if (!take_string(payload, "user_email", &claims->user_email))
		return invalid(v, "claims: no user_email, or no string");

	claims->nbf = INT64_MIN;
	if (json_member(payload, "nbf", &member) &&
	    !take_integer(payload, "nbf", &claims->nbf))
		return invalid(v, "claims: nbf is no integer");
	return STATUS_OK;
}

static enum status
check_times(struct verification *v, const struct claims *claims, int64_t now)
{
	int64_t latest = now + v->policy->leeway;

	if (claims->exp <= now)
		return refuse(v, STATUS_TOKEN_EXPIRED, "claims: expired");
	if (claims->iat > latest)
		return invalid(v, "claims: iat is in the future");
	if (claims->nbf > latest)
		return invalid(v, "claims: nbf is in the future");
	/* exp is past now here, so this does not overflow; exp - iat might. */
	if (claims->iat < claims->exp - v->policy->max_lifetime)
		return invalid(v, "claims: lives longer than allowed");
	return STATUS_OK;
}

static bool
has_audience(struct json aud, struct slice audience)
{
	if (aud.type == JSON_STRING)
		return slice_equal(json_as_string(aud), audience);
	for (size_t i = 0; i < json_items(aud); i++) {
		if (slice_equal(json_as_string(json_item(aud, i)), audience))
			return true;
	}
	return false;
}

/* Only what RFC 3986 section 2.3 calls unreserved, and no dot segment. */
static bool
is_user_id(struct slice text)
{
	static const char marks[] = "-._~";

	if (text.length == 0 || text.length > USER_ID_MAX ||
	    slice_equal(text, SLICE(".")) || slice_equal(text, SLICE("..")))
		return false;
	for (size_t i = 0; i < text.length; i++) {
		char c = text.data[i];

		if (!(c >= 'A' && c <= 'Z') && !(c >= 'a' && c <= 'z') &&
		    !(c >= '0' && c <= '9') &&
		    memchr(marks, c, sizeof(marks) - 1) == NULL)
			return false;
	}
	return true;
}

static enum status
check_claims(struct verification *v, const struct claims *claims, int64_t now)
{
	enum status status;

	/* This may have come as the nearest to one from beyond, which is not
	 * expired but refused: libjwt can tell. */
	if (claims->exp == INT64_MIN && (status = ask_libjwt(v)) != STATUS_OK)
		return status;
	if ((status = check_times(v, claims, now)) != STATUS_OK)
		return status;
	if (!slice_equal(claims->iss, v->policy->issuer))
		return refuse(v, STATUS_TOKEN_ISSUER, "claims: another iss");
	if (!has_audience(claims->aud, v->policy->audience))
		return refuse(v, STATUS_TOKEN_AUDIENCE, "claims: another aud");
	if (!is_user_id(claims->user_id))
		return invalid(v, "claims: user_id is none");
	if (!slice_equal(claims->user_id, claims->sub))
		return invalid(v, "claims: user_id is not sub");
	if (claims->jti.length == 0 || claims->jti.length > JTI_MAX)
		return invalid(v, "claims: jti is empty or too long");
	if (claims->user_email.length == 0 ||
	    claims->user_email.length > EMAIL_MAX)
		return invalid(v, "claims: user_email is empty or too long");
	return STATUS_OK;
}

enum status
token_verify(struct arena *arena, const struct token_policy *policy,
    struct slice token, int64_t now, struct token_refusal *refusal,
    struct token_claims *claims)
{
	struct verification v = {
		.arena = arena,
		.policy = policy,
		.refusal = refusal,
		.token = token,
	};
	struct claims found;
	enum status status;

	*refusal = (struct token_refusal) { 0 };
	if ((status = check_form(&v)) != STATUS_OK ||
	    (status = check_header(&v)) != STATUS_OK ||
	    (status = check_signature(&v)) != STATUS_OK ||
	    (status = take_claims(&v, &found)) != STATUS_OK ||
	    (status = check_claims(&v, &found, now)) != STATUS_OK ||
	    (status = ask_libjwt(&v)) != STATUS_OK)
		return status;

	*refusal = (struct token_refusal) { 0 };
	*claims = (struct token_claims) {
		.user_id = found.user_id,
		.email = found.user_email,
		.issuer = found.iss,
		.issued_at = found.iat,
		.expires_at = found.exp,
		.not_before = found.nbf,
	};
	return STATUS_OK;
}

/* ----------------------------------------------------------------- memory */

/* What is kept of a token: its issuer is ours, and all the rest was right. */
struct remembered {
	int64_t exp, iat, nbf;
	uint16_t user_id_length, email_length;
	char text[]; /* the user_id, and the email behind it */
};

void
token_remember(
    struct cache *cache, struct slice token, const struct token_claims *claims)
{
	struct slice user_id = claims->user_id, email = claims->email;
	struct remembered *kept;

	if (token.length > REMEMBERED_MAX ||
	    (kept = cache_add(cache, token,
		 sizeof(*kept) + user_id.length + email.length)) == NULL)
		return;
	*kept = (struct remembered) {
		.exp = claims->expires_at,
		.iat = claims->issued_at,
		.nbf = claims->not_before,
		.user_id_length = (uint16_t)user_id.length,
		.email_length = (uint16_t)email.length,
	};
	memcpy(kept->text, user_id.data, user_id.length);
	memcpy(kept->text + user_id.length, email.data, email.length);
}

enum status
token_recall(const struct cache *cache, const struct token_policy *policy,
    struct slice token, int64_t now, struct token_refusal *refusal,
    struct token_claims *claims)
{
	struct verification v = { .policy = policy, .refusal = refusal };
	const struct remembered *kept;
	struct claims times;
	enum status status;

	*refusal = (struct token_refusal) { 0 };
	if (token.length > REMEMBERED_MAX ||
	    (kept = cache_find(cache, token)) == NULL)
		return STATUS_NONE;
	times = (struct claims) {
		.exp = kept->exp,
		.iat = kept->iat,
		.nbf = kept->nbf,
	};
	if ((status = check_times(&v, &times, now)) != STATUS_OK) {
		refusal->alg = "HS256";
		return status;
	}
	*claims = (struct token_claims) {
		.user_id = { kept->text, kept->user_id_length },
		.email = { kept->text + kept->user_id_length,
		    kept->email_length },
		.issuer = policy->issuer,
		.issued_at = kept->iat,
		.expires_at = kept->exp,
		.not_before = kept->nbf,
	};
	return STATUS_OK;
}
