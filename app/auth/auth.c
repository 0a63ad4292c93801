#include "auth/auth.h"

/*
 * Find the token in *field*, the value of Authorization.  Whatever follows
 * "Bearer" and one space is the token, also if it is empty or begins with
 * another space: token_verify() refuses it.
 */
static enum status
bearer_token(struct slice field, struct slice *token)
{
	static const struct slice scheme = { "Bearer", 6 };

	field = slice_trim(field);
	if (field.length < scheme.length ||
	    !slice_equal_nocase(slice_take(&field, scheme.length), scheme))
		return STATUS_TOKEN_MISSING;
	/* A longer name is another scheme. */
	if (field.length > 0 && slice_is_tchar(field.data[0]))
		return STATUS_TOKEN_MISSING;
	if (field.length > 0 && field.data[0] == ' ')
		(void)slice_take(&field, 1);
	*token = field;
	return STATUS_OK;
}

enum status
auth_identify(struct arena *arena, const struct token_policy *policy,
    struct cache *tokens, struct slice authorization, int64_t now,
    struct token_refusal *refusal, const struct current_user **user)
{
	struct current_user *verified;
	struct token_claims *claims;
	struct slice token;
	enum status status;

	if ((status = bearer_token(authorization, &token)) != STATUS_OK)
		return status;
	if ((verified = arena_alloc(arena, sizeof(*verified))) == NULL)
		return STATUS_INTERNAL;
	claims = &verified->claims;

	status = STATUS_NONE;
	if (tokens != NULL)
		status = token_recall(
		    tokens, policy, token, now, refusal, claims);
	if (status == STATUS_NONE) {
		status = token_verify(
		    arena, policy, token, now, refusal, claims);
		if (status == STATUS_OK && tokens != NULL)
			token_remember(tokens, token, claims);
	}
	if (status == STATUS_OK)
		*user = verified;
	return status;
}
