/*
 * Verifies tokens as the program does.  Reads lines: the time in seconds, a
 * space, and a token in hexadecimal digits.  Writes one line for each: "ok" and
 * the user, or the number of the status and the reason, separated by a tab.
 */

#include "fuzz.h"

int
main(void)
{
	static char line[1 << 20];
	struct arena *arena = arena_new(FUZZ_ARENA_CAP);
	/* The verifier that this one is compared with has one secret, and one
	 * leeway for all claims. */
	struct token_policy policy = fuzz_settings.policy;

	policy.leeway = 0;
	policy.secrets.count = 1;
	policy.secrets.list[0].version = (struct slice) { NULL, 0 };
	(void)setvbuf(stdout, NULL, _IOLBF, 0);
	while (fgets(line, sizeof(line), stdin) != NULL) {
		struct token_refusal refusal;
		struct token_claims claims;
		char *hex, *token;
		int64_t now = strtoll(line, &hex, 10);
		size_t length;
		enum status status;

		hex++;
		length = strcspn(hex, "\n") / 2;
		token = malloc(length + 1);
		for (size_t i = 0; i < length; i++) {
			unsigned byte;

			(void)sscanf(hex + 2 * i, "%2x", &byte);
			token[i] = (char)byte;
		}
		status = token_verify(arena, &policy,
		    (struct slice) { token, length }, now, &refusal, &claims);
		if (status == STATUS_OK)
			(void)printf("ok\t%.*s\n", (int)claims.user_id.length,
			    claims.user_id.data);
		else
			(void)printf(
			    "%u\t%s\n", (unsigned)status, refusal.reason);
		free(token);
		arena_reset(arena);
	}
	return 0;
}
