#include "auth/secrets.h"

#include "base/crypto.h"

enum status
secrets_seal(struct arena *arena, const struct secrets *secrets,
    struct slice context, struct slice plain, struct slice *box)
{
	return crypto_seal(arena, secrets->list[0].key, context, plain, box);
}

enum status
secrets_open(struct arena *arena, const struct secrets *secrets,
    struct slice context, struct slice box, struct slice *plain)
{
	enum status status = STATUS_INVALID;

	for (size_t i = 0; status == STATUS_INVALID && i < secrets->count; i++)
		status = crypto_open(
		    arena, secrets->list[i].key, context, box, plain);
	return status;
}
