/*
 * Goal: only a token that is signed with one of the secrets and has valid
 * claims is accepted.  At any later time, a remembered token gets the same
 * answer as one that is verified again.
 *
 * Input: 'R' and a token that is used unchanged; or 'S' (or 'T' for the older
 * secret), a header, a NUL and a payload, which are encoded and signed here.
 */

#include "base/array.h"
#include "fuzz.h"

#define NOW 1800000000

/* True if *token* is signed with *secret*, decided without libjwt. */
static bool
signed_with(const char *token, size_t length, const char *secret)
{
	const char *last = memrchr(token, '.', length);
	unsigned char digest[EVP_MAX_MD_SIZE];
	char text[64] = { 0 };
	unsigned size;

	if (last == NULL)
		return false;
	(void)HMAC(EVP_sha256(), secret, (int)strlen(secret),
	    (const unsigned char *)token, (size_t)(last - token), digest,
	    &size);
	(void)fuzz_base64url(text, digest, size);
	return length - (size_t)(last + 1 - token) == strlen(text) &&
	    memcmp(last + 1, text, strlen(text)) == 0;
}

/* Check that the cache answers for *token* as token_verify() does. */
static void
check_memory(
    struct slice token, enum status verified, const struct token_claims *claims)
{
	static const int64_t times[] = { NOW, NOW + 1, NOW + 3600, NOW - 20 };
	struct cache *tokens = fuzz_tokens();
	struct token_refusal refusal, recall_refusal;
	struct token_claims again, recalled;

	if (verified != STATUS_OK) {
		never(token_recall(tokens, &fuzz_settings.policy, token, NOW,
			  &refusal, &recalled) != STATUS_NONE);
		return;
	}
	if (token_recall(tokens, &fuzz_settings.policy, token, NOW, &refusal,
		&recalled) == STATUS_NONE)
		token_remember(tokens, token, claims);
	for (size_t i = 0; i < ARRAY_COUNT(times); i++) {
		enum status status = token_verify(fuzz_arena(),
		    &fuzz_settings.policy, token, times[i], &refusal, &again);
		enum status recall = token_recall(tokens, &fuzz_settings.policy,
		    token, times[i], &recall_refusal, &recalled);

		if (recall == STATUS_NONE)
			continue; /* too long for the cache */
		never(recall != status);
		never(refusal.reason != recall_refusal.reason);
		never(status == STATUS_OK &&
		    (!slice_equal(again.user_id, recalled.user_id) ||
			!slice_equal(again.email, recalled.email) ||
			!slice_equal(again.issuer, recalled.issuer) ||
			again.expires_at != recalled.expires_at ||
			again.issued_at != recalled.issued_at));
	}
}

static void
check(const char *token, size_t length)
{
	struct arena *arena = fuzz_arena();
	struct token_refusal refusal;
	struct token_claims claims;
	enum status status;

	status = token_verify(arena, &fuzz_settings.policy,
	    (struct slice) { token, length }, NOW, &refusal, &claims);
	if (status == STATUS_OK) {
		never(length > TOKEN_LENGTH_MAX);
		never(!signed_with(token, length, FUZZ_SECRET) &&
		    !signed_with(token, length, FUZZ_SECRET_OLD));
		never(claims.user_id.length < 1 || claims.user_id.length > 64);
		for (size_t i = 0; i < claims.user_id.length; i++)
			never(strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				     "abcdefghijklmnopqrstuvwxyz0123456789-._~",
				  claims.user_id.data[i]) == NULL);
		never(claims.expires_at <= NOW);
		never(claims.issued_at > NOW + 10);
		never(claims.expires_at - claims.issued_at > 86400);
		never(!slice_equal(claims.issuer, SLICE(FUZZ_ISSUER)));
		never(claims.email.length < 1 || claims.email.length > 320);
	} else {
		never(status != STATUS_TOKEN_INVALID &&
		    status != STATUS_TOKEN_EXPIRED &&
		    status != STATUS_TOKEN_ISSUER &&
		    status != STATUS_TOKEN_AUDIENCE);
		never(refusal.reason == NULL);
		never(status != STATUS_TOKEN_INVALID &&
		    !signed_with(token, length, FUZZ_SECRET) &&
		    !signed_with(token, length, FUZZ_SECRET_OLD));
	}
	check_memory((struct slice) { token, length }, status, &claims);
	arena_reset(arena);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *middle;
	char *token;

	if (size == 0)
		return 0;
	if (data[0] == 'R') {
		check((const char *)data + 1, size - 1);
		return 0;
	}
	if ((data[0] != 'S' && data[0] != 'T') ||
	    (middle = memchr(data, '\0', size)) == NULL)
		return -1;
	token = fuzz_sign(data + 1, (size_t)(middle - data) - 1, middle + 1,
	    (size_t)(data + size - middle) - 1,
	    data[0] == 'S' ? FUZZ_SECRET : FUZZ_SECRET_OLD);
	check(token, strlen(token));
	free(token);
	return 0;
}
