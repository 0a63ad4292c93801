/*
 * Goal: SipHash is SipHash-2-4, as its authors and as libcrypto have it, for
 * texts of every length.
 */
#include "siphash.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <string.h>

#include "tap.h"

#define LENGTH_MAX 600

static unsigned char key[SIPHASH_KEY_LENGTH];

/* What libcrypto makes of *text*. */
static uint64_t
theirs(EVP_MAC_CTX *context, struct slice text)
{
	size_t eight = 8;
	const OSSL_PARAM parameters[] = {
		OSSL_PARAM_construct_size_t(OSSL_MAC_PARAM_SIZE, &eight),
		OSSL_PARAM_construct_end(),
	};
	unsigned char out[8] = { 0 };
	uint64_t hash = 0;
	size_t length;

	if (EVP_MAC_init(context, key, sizeof(key), parameters) != 1 ||
	    EVP_MAC_update(
		context, (const unsigned char *)text.data, text.length) != 1 ||
	    EVP_MAC_final(context, out, &length, sizeof(out)) != 1)
		return 0;
	for (unsigned i = 0; i < 8; i++)
		hash |= (uint64_t)out[i] << 8 * i;
	return hash;
}

int
main(void)
{
	EVP_MAC *mac = EVP_MAC_fetch(NULL, "SIPHASH", NULL);
	EVP_MAC_CTX *context = EVP_MAC_CTX_new(mac);
	char text[LENGTH_MAX];
	unsigned wrong = 0;

	for (unsigned i = 0; i < sizeof(key); i++)
		key[i] = (unsigned char)i;
	for (unsigned i = 0; i < sizeof(text); i++)
		text[i] = (char)i;
	/* Appendix A of the paper. */
	ok(siphash(key, (struct slice) { text, 15 }) ==
		UINT64_C(0xa129ca6149be45e5),
	    "as in the paper");

	for (size_t length = 0; length <= sizeof(text); length++) {
		struct slice part = { text, length };

		key[length % sizeof(key)] ^= (unsigned char)(length * 41);
		wrong += siphash(key, part) != theirs(context, part);
	}
	ok(wrong == 0, "as in libcrypto, for every length: %u are not", wrong);
	EVP_MAC_CTX_free(context);
	EVP_MAC_free(mac);
	return tap_done();
}
