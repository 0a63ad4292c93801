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

/* A box is the base64url of nonce, cipher text and tag, in this order. */
#define KEY_LENGTH 32
#define NONCE_LENGTH 12
#define TAG_LENGTH 16

/* libcrypto takes lengths as int.  All texts here are far shorter. */
#define LENGTH_MAX ((size_t)65536)

/*
 * Clear the error queue of libcrypto and return *status*.  The TLS of the
 * database connection uses the same queue, and would take errors that are left
 * there for its own.
 */
static enum status
clear_errors(enum status status)
{
	ERR_clear_error();
	return status;
}

static const unsigned char *
as_bytes(struct slice slice)
{
	return (const unsigned char *)slice.data;
}

enum status
crypto_digest(struct slice text, unsigned char digest[CRYPTO_DIGEST_LENGTH])
{
	if (EVP_Digest(
		text.data, text.length, digest, NULL, EVP_sha256(), NULL) != 1)
		return clear_errors(STATUS_INTERNAL);
	return STATUS_OK;
}

enum status
crypto_check_mac(struct slice key, struct slice text, struct slice mac)
{
	unsigned char correct[CRYPTO_DIGEST_LENGTH];

	if (key.length > LENGTH_MAX ||
	    HMAC(EVP_sha256(), key.data, (int)key.length, as_bytes(text),
		text.length, correct, NULL) == NULL)
		return clear_errors(STATUS_INTERNAL);
	return mac.length == sizeof(correct) &&
		CRYPTO_memcmp(mac.data, correct, sizeof(correct)) == 0
	    ? STATUS_OK
	    : STATUS_INVALID;
}

/*
 * Derive the key of boxes from *secret* with HKDF-SHA256 (RFC 5869), so that a
 * box reveals nothing about *secret*, which signs the tokens.
 */
static enum status
derive_key(struct slice secret, unsigned char key[KEY_LENGTH])
{
	static char digest[] = "SHA256", label[] = "todo-fcgi box 1";
	/* The type asks for pointers without const; libcrypto only reads. */
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
	bool derived = context != NULL &&
	    EVP_KDF_derive(context, key, KEY_LENGTH, parameters) == 1;

	EVP_KDF_CTX_free(context);
	EVP_KDF_free(kdf);
	return derived ? STATUS_OK : clear_errors(STATUS_INTERNAL);
}

/* Write cipher text and tag into *box*, behind the nonce that is there. */
static bool
encrypt(EVP_CIPHER_CTX *cipher, const unsigned char *key, struct slice context,
    struct slice plain, unsigned char *box)
{
	unsigned char *out = box + NONCE_LENGTH;
	int length;

	return EVP_EncryptInit_ex2(cipher, EVP_aes_256_gcm(), key, box, NULL) ==
	    1 &&
	    EVP_EncryptUpdate(cipher, NULL, &length, as_bytes(context),
		(int)context.length) == 1 &&
	    EVP_EncryptUpdate(cipher, out, &length, as_bytes(plain),
		(int)plain.length) == 1 &&
	    EVP_EncryptFinal_ex(cipher, out + plain.length, &length) == 1 &&
	    EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_AEAD_GET_TAG, TAG_LENGTH,
		out + plain.length) == 1;
}

/*
 * Decrypt *box*, which holds at least a nonce and a tag, into *plain*.
 * *authentic* is true if the tag is right.  Returns false if libcrypto fails.
 */
static bool
decrypt(EVP_CIPHER_CTX *cipher, const unsigned char *key, struct slice context,
    struct slice box, unsigned char *plain, bool *authentic)
{
	size_t plain_length = box.length - NONCE_LENGTH - TAG_LENGTH;
	const unsigned char *in = as_bytes(box) + NONCE_LENGTH;
	unsigned char tag[TAG_LENGTH];
	int length;

	memcpy(tag, in + plain_length, TAG_LENGTH);
	if (EVP_DecryptInit_ex2(
		cipher, EVP_aes_256_gcm(), key, as_bytes(box), NULL) != 1 ||
	    EVP_CIPHER_CTX_ctrl(
		cipher, EVP_CTRL_AEAD_SET_TAG, TAG_LENGTH, tag) != 1 ||
	    EVP_DecryptUpdate(cipher, NULL, &length, as_bytes(context),
		(int)context.length) != 1 ||
	    EVP_DecryptUpdate(cipher, plain, &length, in, (int)plain_length) !=
		1)
		return false;
	*authentic = EVP_DecryptFinal_ex(
			 cipher, plain + plain_length, &length) == 1;
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
	bool sealed;

	if (plain.length > LENGTH_MAX || context.length > LENGTH_MAX ||
	    (bytes = arena_alloc(arena, length)) == NULL ||
	    RAND_bytes(bytes, NONCE_LENGTH) != 1 ||
	    derive_key(secret, key) != STATUS_OK)
		return clear_errors(STATUS_INTERNAL);

	cipher = EVP_CIPHER_CTX_new();
	sealed = cipher != NULL && encrypt(cipher, key, context, plain, bytes);
	EVP_CIPHER_CTX_free(cipher);
	OPENSSL_cleanse(key, sizeof(key));
	if (!sealed)
		return clear_errors(STATUS_INTERNAL);
	return base64url_encode(
	    arena, (struct slice) { (const char *)bytes, length }, box);
}

/* As crypto_open(), with the bytes that the box encodes. */
static enum status
open_bytes(struct slice secret, struct slice context, struct slice sealed,
    unsigned char *plain)
{
	unsigned char key[KEY_LENGTH];
	EVP_CIPHER_CTX *cipher;
	bool decrypted, authentic = false;

	if (derive_key(secret, key) != STATUS_OK)
		return STATUS_INTERNAL;
	cipher = EVP_CIPHER_CTX_new();
	decrypted = cipher != NULL &&
	    decrypt(cipher, key, context, sealed, plain, &authentic);
	EVP_CIPHER_CTX_free(cipher);
	OPENSSL_cleanse(key, sizeof(key));
	if (!decrypted)
		return clear_errors(STATUS_INTERNAL);
	return authentic ? STATUS_OK : clear_errors(STATUS_INVALID);
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

	status = open_bytes(secret, context, sealed, bytes);
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
		(void)clear_errors(STATUS_INTERNAL);
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
	    EVP_MAC_update(hash->context, as_bytes(text), text.length) != 1 ||
	    EVP_MAC_final(hash->context, bytes, &length, sizeof(bytes)) != 1)
		return clear_errors(STATUS_INTERNAL);
	memcpy(value, bytes, sizeof(*value));
	return STATUS_OK;
}
