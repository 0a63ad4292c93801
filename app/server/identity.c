#include "server/identity.h"

#include "base/json_write.h"
#include "base/timestamp.h"

static void
write_time(struct buffer *out, const char *name, int64_t seconds)
{
	char text[TIMESTAMP_SECONDS_LENGTH];

	timestamp_write_seconds(seconds * TIMESTAMP_SECOND, text);
	buffer_add_text(out, name);
	buffer_add(out, (struct slice) { text, sizeof(text) });
}

enum status
identity_read(struct exchange *x, const struct current_user *user)
{
	const struct token_claims *claims = &user->claims;
	struct buffer *out = &x->response.body;

	buffer_add(out, SLICE("{\"user_id\":"));
	json_write_string(out, claims->user_id);
	buffer_add(out, SLICE(",\"email\":"));
	json_write_string(out, claims->email);
	buffer_add(out, SLICE(",\"issuer\":"));
	json_write_string(out, claims->issuer);
	write_time(out, ",\"issued_at\":\"", claims->issued_at);
	write_time(out, "\",\"expires_at\":\"", claims->expires_at);
	buffer_add(out, SLICE("\"}"));
	return STATUS_OK;
}
