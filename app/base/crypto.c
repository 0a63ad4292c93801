#include "base/crypto.h"

#include <stdlib.h>

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <openssl/rand.h>

#include "base/base64url.h"

/* A box is base64url of: nonce, cipher text, tag (NIST SP 800-38D). */
#define KEY_LENGTH 32
#define NONCE_LENGTH 12
#define TAG_LENGTH 16

/* libcrypto counts in int; nothing here comes near this. */
#define LENGTH_MAX ((size_t)65536)

/*
 * Where libcrypto fails it leaves notes in a queue, which the TLS of the
 * database connection would take for its own troubles.
 */
static enum status
failed(enum status status)
{
	ERR_clear_error();
	return status;
}

static const unsigned char *
bytes_of(struct slice slice)
{
	return (const unsigned char *)slice.data;
}

enum status
crypto_digest(struct slice text, unsigned char digest[CRYPTO_DIGEST_LENGTH])
{
	if (EVP_Digest(
		text.data, text.length, digest, NULL, EVP_sha256(), NULL) != 1)
		return failed(STATUS_INTERNAL);
	return STATUS_OK;
}

enum status
crypto_check_mac(struct slice key, struct slice text, struct slice mac)
{
	unsigned char right[CRYPTO_DIGEST_LENGTH];

	if (key.length > LENGTH_MAX ||
	    HMAC(EVP_sha256(), key.data, (int)key.length, bytes_of(text),
		text.length, right, NULL) == NULL)
		return failed(STATUS_INTERNAL);
	return mac.length == sizeof(right) &&
		CRYPTO_memcmp(mac.data, right, sizeof(right)) == 0
	    ? STATUS_OK
	    : STATUS_INVALID;
}

/*
 * Derive the key of boxes from *secret* with HKDF-SHA256 (RFC 5869), so that
 * a box tells nothing of the key that tokens are signed with.
 */
static enum status
derive_key(struct slice secret, unsigned char key[KEY_LENGTH])
{
	static char digest[] = "SHA256", label[] = "todo-fcgi box 1";
	/* The parameters are read only, but their type cannot say so. */
	OSSL_PARAM parameters[] = {
		OSSL_PARAM_construct_utf8_string(
		    OSSL_KDF_PARAM_DIGEST, digest, 0),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY,
		    (void *)(uintptr_t)secret.data, secret.length),
		OSSL_PARAM_construct_octet_string(
		    OSSL_KDF_PARAM_INFO, label, sizeof(label) - 1),
		OSSL_PARAM_construct_end(),
	};
	EVP_KDF *kdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
	EVP_KDF_CTX *context = kdf == NULL ? NULL : EVP_KDF_CTX_new(kdf);
	bool good = context != NULL &&
	    EVP_KDF_derive(context, key, KEY_LENGTH, parameters) == 1;

	EVP_KDF_CTX_free(context);
	EVP_KDF_free(kdf);
	return good ? STATUS_OK : failed(STATUS_INTERNAL);
}

static bool
encrypt(EVP_CIPHER_CTX *cipher, const unsigned char *key, struct slice context,
    struct slice plain, unsigned char *box)
{
	unsigned char *out = box + NONCE_LENGTH;
	int length;

	return EVP_EncryptInit_ex2(cipher, EVP_aes_256_gcm(), key, box, NULL) ==
	    1 &&
	    EVP_EncryptUpdate(cipher, NULL, &length, bytes_of(context),
		(int)context.length) == 1 &&
	    EVP_EncryptUpdate(cipher, out, &length, bytes_of(plain),
		(int)plain.length) == 1 &&
	    EVP_EncryptFinal_ex(cipher, out + plain.length, &length) == 1 &&
	    EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_AEAD_GET_TAG, TAG_LENGTH,
		out + plain.length) == 1;
}

/* The opposite; *authentic* says whether the tag is right. */
static bool
decrypt(EVP_CIPHER_CTX *cipher, const unsigned char *key, struct slice context,
    struct slice box, unsigned char *plain, bool *authentic)
{
	size_t inside = box.length - NONCE_LENGTH - TAG_LENGTH;
	const unsigned char *in = bytes_of(box) + NONCE_LENGTH;
	unsigned char tag[TAG_LENGTH];
	int length;

	memcpy(tag, in + inside, TAG_LENGTH);
	if (EVP_DecryptInit_ex2(
		cipher, EVP_aes_256_gcm(), key, bytes_of(box), NULL) != 1 ||
	    EVP_CIPHER_CTX_ctrl(
		cipher, EVP_CTRL_AEAD_SET_TAG, TAG_LENGTH, tag) != 1 ||
	    EVP_DecryptUpdate(cipher, NULL, &length, bytes_of(context),
		(int)context.length) != 1 ||
	    EVP_DecryptUpdate(cipher, plain, &length, in, (int)inside) != 1)
		return false;
	*authentic = EVP_DecryptFinal_ex(cipher, plain + inside, &length) == 1;
	return true;
}

enum status
crypto_seal(struct arena *arena, struct slice secret, struct slice context,
    struct slice plain, struct slice *box)
{
	size_t length = NONCE_LENGTH + plain.length + TAG_LENGTH;
	unsigned char key[KEY_LENGTH];
	unsigned char *bytes;
	EVP_CIPHER_CTX *cipher;
	bool good;

	if (plain.length > LENGTH_MAX || context.length > LENGTH_MAX ||
	    (bytes = arena_alloc(arena, length)) == NULL ||
	    RAND_bytes(bytes, NONCE_LENGTH) != 1 ||
	    derive_key(secret, key) != STATUS_OK)
		return failed(STATUS_INTERNAL);

	cipher = EVP_CIPHER_CTX_new();
	good = cipher != NULL && encrypt(cipher, key, context, plain, bytes);
	EVP_CIPHER_CTX_free(cipher);
	OPENSSL_cleanse(key, sizeof(key));
	if (!good)
		return failed(STATUS_INTERNAL);
	return base64url_encode(
	    arena, (struct slice) { (const char *)bytes, length }, box);
}

/* Open the *sealed* bytes with *secret*. */
static enum status
open_sealed(struct slice secret, struct slice context, struct slice sealed,
    unsigned char *plain)
{
	unsigned char key[KEY_LENGTH];
	EVP_CIPHER_CTX *cipher;
	bool good, authentic = false;

	if (derive_key(secret, key) != STATUS_OK)
		return STATUS_INTERNAL;
	cipher = EVP_CIPHER_CTX_new();
	good = cipher != NULL &&
	    decrypt(cipher, key, context, sealed, plain, &authentic);
	EVP_CIPHER_CTX_free(cipher);
	OPENSSL_cleanse(key, sizeof(key));
	if (!good)
		return failed(STATUS_INTERNAL);
	return authentic ? STATUS_OK : failed(STATUS_INVALID);
}

enum status
crypto_open(struct arena *arena, struct slice secret, struct slice context,
    struct slice box, struct slice *plain)
{
	struct slice sealed;
	unsigned char *bytes;
	size_t length;
	enum status status;

	if ((status = base64url_decode(arena, box, &sealed)) != STATUS_OK)
		return status;
	if (sealed.length < NONCE_LENGTH + TAG_LENGTH)
		return STATUS_INVALID;
	length = sealed.length - NONCE_LENGTH - TAG_LENGTH;
	if (length > LENGTH_MAX || context.length > LENGTH_MAX)
		return STATUS_INVALID;
	if ((bytes = arena_alloc(arena, length + 1)) == NULL)
		return STATUS_INTERNAL;

	status = open_sealed(secret, context, sealed, bytes);
	if (status != STATUS_OK)
		return status;
	bytes[length] = '\0';
	*plain = (struct slice) { (const char *)bytes, length };
	return STATUS_OK;
}

struct crypto_hash {
	EVP_MAC_CTX *context;
	unsigned char key[16];
};

struct crypto_hash *
crypto_hash_new(void)
{
	struct crypto_hash *hash;
	EVP_MAC *siphash;

	if ((hash = calloc(1, sizeof(*hash))) == NULL)
		return NULL;
	if ((siphash = EVP_MAC_fetch(NULL, "SIPHASH", NULL)) != NULL)
		hash->context = EVP_MAC_CTX_new(siphash);
	EVP_MAC_free(siphash);
	if (hash->context == NULL ||
	    RAND_bytes(hash->key, sizeof(hash->key)) != 1) {
		(void)failed(STATUS_INTERNAL);
		crypto_hash_free(hash);
		return NULL;
	}
	return hash;
}

void
crypto_hash_free(struct crypto_hash *hash)
{
	if (hash == NULL)
		return;
	EVP_MAC_CTX_free(hash->context);
	free(hash);
}

enum status
crypto_hash_value(
    const struct crypto_hash *hash, struct slice text, uint64_t *value)
{
	unsigned char bytes[16];
	size_t length;

	if (EVP_MAC_init(hash->context, hash->key, sizeof(hash->key), NULL) !=
		1 ||
	    EVP_MAC_update(hash->context, bytes_of(text), text.length) != 1 ||
	    EVP_MAC_final(hash->context, bytes, &length, sizeof(bytes)) != 1)
		return failed(STATUS_INTERNAL);
	memcpy(value, bytes, sizeof(*value));
	return STATUS_OK;
}
