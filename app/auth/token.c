#include "auth/token.h"

#include <errno.h>

#include <jwt.h>

#include "base/array.h"
#include "base/base64url.h"
#include "base/crypto.h"
#include "base/json.h"
#include "base/text.h"

/*
 * The longest header, in bytes, that is parsed although no secret of ours made
 * the signature.  Issuers write much shorter ones.
 */
#define FOREIGN_HEADER_MAX 256

#define USER_ID_MAX 64
#define JTI_MAX 255
#define EMAIL_MAX 320

/* The longest token that is remembered: several times the usual length. */
#define REMEMBERED_MAX 1024

/* How many bytes of an unexpected alg are kept for the log. */
#define ALG_LOGGED_MAX 32

/* The claims of the payload, each of the right type. */
struct claims {
	struct slice iss, sub, jti, user_id, user_email;
	struct json aud; /* a string or an array of strings */
	int64_t exp, iat;
	int64_t nbf; /* INT64_MIN if the token has none */
};

/* A token while it is verified.  Each step fills what the next ones need. */
struct verification {
	struct arena *arena;
	const struct token_policy *policy;
	struct token_refusal *refusal;
	int64_t now; /* seconds since 1970 */
	struct slice token;

	struct slice signing_input;		 /* RFC 7515 section 2 */
	struct slice header, payload, signature; /* decoded segments */
	unsigned signers; /* bit i: secret i made the signature */
	struct json header_object, payload_object;
	struct slice kid;	     /* data is NULL if the token has none */
	const struct secret *signer; /* the signer that kid allows */
	struct claims claims;
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

static enum status
decode_segment(
    struct verification *v, struct slice segment, struct slice *bytes)
{
	enum status status = segment.length == 0
	    ? STATUS_INVALID
	    : base64url_decode(v->arena, segment, bytes);

	if (status == STATUS_INVALID)
		return invalid(v, "form: a segment is not base64url");
	return status;
}

/*
 * libjwt accepts spaces and foreign letters inside a segment, and reads past
 * the end of an empty one.
 */
static enum status
split_token(struct verification *v)
{
	struct slice signature = v->token, header, payload;
	enum status status;

	if (v->token.length == 0 || v->token.length > TOKEN_LENGTH_MAX)
		return invalid(v,
		    "form: token is empty or longer "
		    "than " TEXT_OF(TOKEN_LENGTH_MAX) " bytes");
	if (!slice_take_until(&signature, '.', &header) ||
	    !slice_take_until(&signature, '.', &payload))
		return invalid(v, "form: not three segments");
	v->signing_input = (struct slice) { v->token.data,
		v->token.length - signature.length - 1 };

	if ((status = decode_segment(v, header, &v->header)) != STATUS_OK ||
	    (status = decode_segment(v, payload, &v->payload)) != STATUS_OK)
		return status;
	return decode_segment(v, signature, &v->signature);
}

/* -------------------------------------------------------------- signature */

/*
 * Compute the MAC with each secret, and note which of them made the signature.
 * A wrong signature is refused only later, in its place, by check_signature().
 *
 * The MACs come before any JSON is parsed because they cost little, and always
 * the same: a client without a secret can still write a header or a payload
 * that takes a hundred times longer to parse.
 */
static enum status
compute_macs(struct verification *v)
{
	const struct secrets *secrets = &v->policy->secrets;

	for (size_t i = 0; i < secrets->count; i++) {
		enum status status = crypto_check_mac(
		    secrets->list[i].key, v->signing_input, v->signature);

		if (status == STATUS_OK)
			v->signers |= 1U << i;
		else if (status != STATUS_INVALID)
			return status;
	}
	return STATUS_OK;
}

/* Refuse a long header unparsed, unless one of our secrets signed it. */
static enum status
bound_foreign_header(struct verification *v)
{
	if (v->signers == 0 && v->header.length > FOREIGN_HEADER_MAX)
		return invalid(v, "signature: matches no secret");
	return STATUS_OK;
}

/* The secret that *kid* names; NULL if it names none. */
static const struct secret *
find_secret(const struct secrets *secrets, struct slice kid)
{
	for (size_t i = 0; i < secrets->count; i++) {
		const struct secret *secret = &secrets->list[i];

		if (kid.length > 0 && slice_equal(kid, secret->version))
			return secret;
	}
	return NULL;
}

/* A kid that names a secret excludes the other secrets. */
static enum status
check_signature(struct verification *v)
{
	const struct secrets *secrets = &v->policy->secrets;
	const struct secret *named = find_secret(secrets, v->kid);

	for (size_t i = 0; i < secrets->count; i++) {
		const struct secret *secret = &secrets->list[i];

		if ((v->signers & 1U << i) != 0 &&
		    (named == NULL || named == secret))
			v->signer = secret;
	}
	if (v->signer == NULL)
		return invalid(v, "signature: matches no secret");
	return STATUS_OK;
}

/* ----------------------------------------------------------------- header */

static enum status
read_header(struct verification *v)
{
	enum status status = json_read(v->arena, v->header, &v->header_object);

	if (status == STATUS_INVALID)
		return invalid(v, "header: not JSON");
	if (status != STATUS_OK)
		return status;
	if (v->header_object.type != JSON_OBJECT)
		return invalid(v, "header: not an object");
	return STATUS_OK;
}

/*
 * libjwt takes alg in any case, verifies HS384 and HS512 with the same key, and
 * is fifty times slower to refuse RS256.
 */
static enum status
check_alg(struct verification *v)
{
	struct json member;
	struct slice alg;

	if (!json_member(v->header_object, "alg", &member) ||
	    member.type != JSON_STRING)
		return invalid(v, "header: no alg, or alg is not a string");
	alg = json_as_string(member);
	if (slice_equal(alg, SLICE("HS256"))) {
		v->refusal->alg = "HS256";
		return STATUS_OK;
	}
	if (alg.length > ALG_LOGGED_MAX)
		alg.length = ALG_LOGGED_MAX;
	if ((v->refusal->alg = arena_copy(v->arena, alg)) == NULL)
		return STATUS_INTERNAL;
	return invalid(v, "header: alg is not HS256");
}

/*
 * HS256 signatures have 32 bytes (RFC 7518 section 3.2).  The length comes
 * after alg, because a signature of another length mostly has another alg, and
 * the alg tells the operator more.
 */
static enum status
check_signature_length(struct verification *v)
{
	if (v->signature.length != CRYPTO_DIGEST_LENGTH)
		return invalid(v,
		    "form: signature is "
		    "not " TEXT_OF(CRYPTO_DIGEST_LENGTH) " bytes");
	return STATUS_OK;
}

/* libjwt ignores crit, b64 and zip. */
static enum status
check_header_members(struct verification *v)
{
	static const char *const refused[] = { "crit", "b64", "zip", "cty" };
	struct json member;

	if (json_member(v->header_object, "typ", &member) &&
	    (member.type != JSON_STRING ||
		!slice_equal_nocase(json_as_string(member), SLICE("JWT"))))
		return invalid(v, "header: typ is not JWT");
	if (json_member(v->header_object, "kid", &member)) {
		if (member.type != JSON_STRING)
			return invalid(v, "header: kid is not a string");
		v->kid = json_as_string(member);
	}
	for (size_t i = 0; i < ARRAY_COUNT(refused); i++) {
		if (json_member(v->header_object, refused[i], &member))
			return invalid(v, "header: has crit, b64, zip or cty");
	}
	return STATUS_OK;
}

/* ---------------------------------------------------------------- payload */

static enum status
read_payload(struct verification *v)
{
	enum status status = json_read(
	    v->arena, v->payload, &v->payload_object);

	if (status == STATUS_INVALID)
		return invalid(v, "payload: not JSON");
	if (status != STATUS_OK)
		return status;
	if (v->payload_object.type != JSON_OBJECT)
		return invalid(v, "payload: not an object");
	return STATUS_OK;
}

static bool
read_string(struct json payload, const char *name, struct slice *value)
{
	struct json member;

	if (!json_member(payload, name, &member) || member.type != JSON_STRING)
		return false;
	*value = json_as_string(member);
	return true;
}

/* An integer outside int64_t gives the nearest value inside. */
static bool
read_integer(struct json payload, const char *name, int64_t *value)
{
	struct json member;

	if (!json_member(payload, name, &member) || member.type != JSON_INTEGER)
		return false;
	*value = json_as_integer(member);
	return true;
}

static bool
read_audience(struct json payload, struct json *aud)
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

/*
 * Better Auth signs other tokens with the same secret.  Each of those lacks
 * some of these claims.
 */
static enum status
read_claims(struct verification *v)
{
	struct json payload = v->payload_object, member;
	struct claims *claims = &v->claims;

	if (!read_string(payload, "iss", &claims->iss))
		return invalid(v, "claims: no iss, or iss is not a string");
	if (!read_string(payload, "sub", &claims->sub))
		return invalid(v, "claims: no sub, or sub is not a string");
	if (!read_audience(payload, &claims->aud))
		return invalid(
		    v, "claims: no aud, or aud is not a string or strings");
	if (!read_integer(payload, "exp", &claims->exp))
		return invalid(v, "claims: no exp, or exp is not an integer");
	if (!read_integer(payload, "iat", &claims->iat))
		return invalid(v, "claims: no iat, or iat is not an integer");
	if (!read_string(payload, "jti", &claims->jti))
		return invalid(v, "claims: no jti, or jti is not a string");
	if (!read_string(payload, "user_id", &claims->user_id))
		return invalid(
		    v, "claims: no user_id, or user_id is not a string");
	if (!read_string(payload, "user_email", &claims->user_email))
		return invalid(
		    v, "claims: no user_email, or user_email is not a string");

	claims->nbf = INT64_MIN;
	if (json_member(payload, "nbf", &member) &&
	    !read_integer(payload, "nbf", &claims->nbf))
		return invalid(v, "claims: nbf is not an integer");
	return STATUS_OK;
}

static enum status
check_times(struct verification *v)
{
	const struct claims *claims = &v->claims;
	int64_t latest = v->now + v->policy->leeway;

	if (claims->exp <= v->now)
		return refuse(
		    v, STATUS_TOKEN_EXPIRED, "claims: exp is in the past");
	if (claims->iat > latest)
		return invalid(v, "claims: iat is in the future");
	if (claims->nbf > latest)
		return invalid(v, "claims: nbf is in the future");
	/* exp is after now, so this cannot overflow; exp - iat could. */
	if (claims->iat < claims->exp - v->policy->max_lifetime)
		return invalid(
		    v, "claims: exp - iat is longer than JWT_MAX_LIFETIME");
	return STATUS_OK;
}

static enum status
check_issuer(struct verification *v)
{
	if (!slice_equal(v->claims.iss, v->policy->issuer))
		return refuse(v, STATUS_TOKEN_ISSUER,
		    "claims: iss is not the configured issuer");
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

static enum status
check_audience(struct verification *v)
{
	if (!has_audience(v->claims.aud, v->policy->audience))
		return refuse(v, STATUS_TOKEN_AUDIENCE,
		    "claims: aud lacks the configured audience");
	return STATUS_OK;
}

/* True if all of *text* is unreserved characters (RFC 3986 section 2.3). */
static bool
is_unreserved(struct slice text)
{
	for (size_t i = 0; i < text.length; i++) {
		char c = text.data[i];

		if (!slice_is_alphanumeric(c) && c != '-' && c != '.' &&
		    c != '_' && c != '~')
			return false;
	}
	return true;
}

/* The user_id becomes a path segment, which "." and ".." cannot be. */
static enum status
check_user_id(struct verification *v)
{
	struct slice user_id = v->claims.user_id;

	if (user_id.length == 0 || user_id.length > USER_ID_MAX)
		return invalid(v,
		    "claims: user_id is empty or longer "
		    "than " TEXT_OF(USER_ID_MAX) " bytes");
	if (!is_unreserved(user_id))
		return invalid(v,
		    "claims: user_id has a character outside "
		    "A-Z a-z 0-9 - . _ ~");
	if (slice_equal(user_id, SLICE(".")) ||
	    slice_equal(user_id, SLICE("..")))
		return invalid(v, "claims: user_id is . or ..");
	if (!slice_equal(user_id, v->claims.sub))
		return invalid(v, "claims: user_id and sub differ");
	return STATUS_OK;
}

static enum status
check_lengths(struct verification *v)
{
	struct slice jti = v->claims.jti, email = v->claims.user_email;

	if (jti.length == 0 || jti.length > JTI_MAX)
		return invalid(v,
		    "claims: jti is empty or longer "
		    "than " TEXT_OF(JTI_MAX) " bytes");
	if (email.length == 0 || email.length > EMAIL_MAX)
		return invalid(v,
		    "claims: user_email is empty or longer "
		    "than " TEXT_OF(EMAIL_MAX) " bytes");
	return STATUS_OK;
}

/* ----------------------------------------------------------------- libjwt */

/*
 * A token is accepted only if libjwt verifies it too.  libjwt comes last
 * because it builds trees of header and payload before it looks at the
 * signature.  Nothing that it parsed is used.
 *
 * libjwt reports most of its failed allocations, and jansson's, as faults of
 * the token; errno tells them apart.  If it has no memory for the key it
 * succeeds without having looked at the signature, but then its alg is none.
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
		return invalid(v, "libjwt: refuses the token");
	alg = jwt_get_alg(jwt);
	jwt_free(jwt);
	return alg == JWT_ALG_HS256 ? STATUS_OK : STATUS_INTERNAL;
}

/* ----------------------------------------------------------------- ladder */

/* The checks, in order.  The first that fails decides what is answered. */
static enum status (*const ladder[])(struct verification *v) = {
	split_token,
	compute_macs,
	bound_foreign_header,
	read_header,
	check_alg,
	check_signature_length,
	check_header_members,
	check_signature,
	read_payload,
	read_claims,
	check_times,
	check_issuer,
	check_audience,
	check_user_id,
	check_lengths,
};

static enum status
climb(struct verification *v)
{
	enum status status = STATUS_OK;

	for (size_t i = 0; i < ARRAY_COUNT(ladder); i++) {
		if ((status = ladder[i](v)) != STATUS_OK)
			break;
	}
	return status;
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
		.now = now,
		.token = token,
	};
	enum status status, verdict;

	*refusal = (struct token_refusal) { 0 };
	status = climb(&v);
	/*
	 * An exp of INT64_MIN is expired, but json_as_integer() gives INT64_MIN
	 * for smaller numbers too.  libjwt refuses those.
	 */
	if (status == STATUS_OK ||
	    (status == STATUS_TOKEN_EXPIRED && v.claims.exp == INT64_MIN)) {
		if ((verdict = ask_libjwt(&v)) != STATUS_OK)
			return verdict;
	}
	if (status != STATUS_OK)
		return status;

	*refusal = (struct token_refusal) { 0 };
	*claims = (struct token_claims) {
		.user_id = v.claims.user_id,
		.email = v.claims.user_email,
		.issuer = v.claims.iss,
		.issued_at = v.claims.iat,
		.expires_at = v.claims.exp,
		.not_before = v.claims.nbf,
	};
	return STATUS_OK;
}

/* ----------------------------------------------------------------- memory */

/* What is kept of an accepted token.  Its issuer is the policy's. */
struct remembered {
	int64_t exp, iat, nbf;
	uint16_t user_id_length, email_length;
	char text[]; /* the user_id, then the email */
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
	struct verification v = {
		.policy = policy,
		.refusal = refusal,
		.now = now,
	};
	const struct remembered *kept;
	enum status status;

	*refusal = (struct token_refusal) { 0 };
	if (token.length > REMEMBERED_MAX ||
	    (kept = cache_find(cache, token)) == NULL)
		return STATUS_NONE;
	v.claims = (struct claims) {
		.exp = kept->exp,
		.iat = kept->iat,
		.nbf = kept->nbf,
	};
	if ((status = check_times(&v)) != STATUS_OK) {
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
