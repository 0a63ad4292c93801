#include "auth/auth.h"

/*
 * Find the token in *field*.  Another scheme than Bearer brings no token of
 * ours.  Whatever follows Bearer and its one space is one, even if it is
 * empty or begins with the wrong kind of space: token_verify() will say so.
 */
static enum status
bearer_token(struct slice field, struct slice *token)
{
	static const struct slice scheme = { "Bearer", 6 };
	struct slice start;

	field = slice_trim(field);
	start = (struct slice) { field.data, scheme.length };
	if (field.length < scheme.length || !slice_equal_nocase(start, scheme))
		return STATUS_TOKEN_MISSING;
	field.data += scheme.length;
	field.length -= scheme.length;
	if (field.length > 0 && slice_is_tchar(field.data[0]))
		return STATUS_TOKEN_MISSING;
	if (field.length > 0 && field.data[0] == ' ') {
		field.data++;
		field.length--;
	}
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
