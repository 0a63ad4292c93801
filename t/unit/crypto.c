/*
 * Goal: a digest is SHA-256, and a MAC is the whole HMAC-SHA256.  A box opens
 * only unchanged and with a current secret and its context; a failed allocation
 * opens no box.
 */

#include "base/crypto.h"
#include "auth/secrets.h"

#include "base/base64url.h"
#include "full.h"
#include "scarce.h"
#include "tap.h"

#define OLD "an old secret of more than 32 bytes"
#define NEW "a new secret of more than 32 bytes!"

static struct arena *arena;

static const struct secrets old_secrets = {
	.list = { { .key = { OLD, sizeof(OLD) - 1 } } },
	.count = 1,
};
static const struct secrets new_secrets = {
	.list = { { .key = { NEW, sizeof(NEW) - 1 } } },
	.count = 1,
};
static const struct secrets rotated_secrets = {
	.list = { { .key = { NEW, sizeof(NEW) - 1 } },
	    { .key = { OLD, sizeof(OLD) - 1 } } },
	.count = 2,
};

static void
test_digests(void)
{
	/* The examples for FIPS 180-4, and texts without a byte. */
	static const struct {
		struct slice text;
		const char *digest;
	} table[] = {
		{ SLICE(""),
		    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b"
		    "7852b855" },
		{ { NULL, 0 },
		    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b"
		    "7852b855" },
		{ SLICE("abc"),
		    "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61"
		    "f20015ad" },
		{ SLICE("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopno"
			"pq"),
		    "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd4"
		    "19db06c1" },
	};

	for (size_t i = 0; i < ARRAY_COUNT(table); i++) {
		unsigned char digest[CRYPTO_DIGEST_LENGTH];
		char text[2 * CRYPTO_DIGEST_LENGTH + 1];
		enum status status = crypto_digest(table[i].text, digest);

		for (size_t n = 0; n < sizeof(digest); n++)
			snprintf(text + 2 * n, 3, "%02x", digest[n]);
		ok(status == STATUS_OK && strcmp(text, table[i].digest) == 0,
		    "digest %zu is SHA-256", i);
	}
}

static void
test_macs(void)
{
	/* RFC 4231 section 4.3. */
	static const struct slice jefe = SLICE("Jefe");
	static const struct slice text = SLICE("what do ya want for nothing?");
	unsigned char mac[] = { 0x5b, 0xdc, 0xc1, 0x46, 0xbf, 0x60, 0x75, 0x4e,
		0x6a, 0x04, 0x24, 0x26, 0x08, 0x95, 0x75, 0xc7, 0x5a, 0x00,
		0x3f, 0x08, 0x9d, 0x27, 0x39, 0x83, 0x9d, 0xec, 0x58, 0xb9,
		0x64, 0xec, 0x38, 0x43 };
	const struct slice whole = { (const char *)mac, sizeof(mac) };
	unsigned accepted = 0;

	ok(crypto_check_mac(jefe, text, whole) == STATUS_OK,
	    "the MAC of the RFC is accepted");
	ok(crypto_check_mac(SLICE("Jeff"), text, whole) == STATUS_INVALID,
	    "the MAC is refused under another key");
	ok(crypto_check_mac(jefe, SLICE("what do ya want for nothing!"),
	       whole) == STATUS_INVALID,
	    "the MAC is refused for another text");
	for (size_t length = 0; length < sizeof(mac); length++)
		accepted += crypto_check_mac(jefe, text,
				(struct slice) { (const char *)mac, length }) !=
		    STATUS_INVALID;
	for (size_t bit = 0; bit < 8 * sizeof(mac); bit++) {
		mac[bit / 8] ^= (unsigned char)(1 << bit % 8);
		accepted += crypto_check_mac(jefe, text, whole) !=
		    STATUS_INVALID;
		mac[bit / 8] ^= (unsigned char)(1 << bit % 8);
	}
	ok(accepted == 0, "a part of the MAC is refused, and each changed bit");
}

/* True if *box* opens and holds *plain*. */
static bool
opens(const struct secrets *secrets, struct slice context, struct slice box,
    struct slice plain)
{
	struct slice opened = { 0 };

	return secrets_open(arena, secrets, context, box, &opened) ==
	    STATUS_OK &&
	    slice_equal(opened, plain) && opened.data[opened.length] == '\0';
}

/* True if *box* is refused with STATUS_INVALID. */
static bool
refused(const struct secrets *secrets, struct slice context, struct slice box)
{
	struct slice opened;

	return secrets_open(arena, secrets, context, box, &opened) ==
	    STATUS_INVALID;
}

static void
test_boxes(void)
{
	static char big[65537];
	static const struct slice texts[] = { SLICE(""), SLICE("x"),
		SLICE("Buy milk"), SLICE("with\0NUL\xFF"), { big, 65536 } };
	static const struct slice contexts[] = { SLICE(""), { NULL, 0 },
		SLICE("created desc all"), { big, 65536 } };
	struct slice box, again;

	for (size_t i = 0; i < ARRAY_COUNT(texts); i++)
		for (size_t n = 0; n < ARRAY_COUNT(contexts); n++)
			ok(secrets_seal(arena, &old_secrets, contexts[n],
			       texts[i], &box) == STATUS_OK &&
				opens(&old_secrets, contexts[n], box, texts[i]),
			    "text %zu with context %zu is sealed and opened", i,
			    n);

	ok(secrets_seal(arena, &old_secrets, SLICE(""),
	       (struct slice) { big, 65537 }, &box) == STATUS_INTERNAL,
	    "a text of 65,537 bytes is refused");
	ok(secrets_seal(arena, &old_secrets, SLICE("c"), SLICE("text"), &box) ==
		    STATUS_OK &&
		secrets_seal(arena, &old_secrets, SLICE("c"), SLICE("text"),
		    &again) == STATUS_OK &&
		!slice_equal(box, again),
	    "two boxes of the same text differ");
	ok(box.length == (12 + 4 + 16 + 2) / 3 * 4 - 1,
	    "a box is as long as nonce, text and tag in base64url: %zu",
	    box.length);
	ok(memmem(box.data, box.length, "text", 4) == NULL,
	    "the box does not contain the text");

	/* Made with hkdfSync() and createCipheriv() of Node.js. */
	ok(opens(&old_secrets, SLICE("created desc all"),
	       SLICE("AAECAwQFBgcICQoLUuVE3MExb5tBgYtzU4qcKh0CySGHQ3pq"),
	       SLICE("Buy milk")),
	    "a box that another program made opens");

	ok(refused(&old_secrets, SLICE("C"), box),
	    "the box is refused with another context");
	ok(refused(&old_secrets, SLICE(""), box),
	    "the box is refused without a context");
	ok(refused(&new_secrets, SLICE("c"), box),
	    "the box is refused with another secret");
	ok(opens(&rotated_secrets, SLICE("c"), box, SLICE("text")),
	    "the box opens with the second of two secrets");
	ok(secrets_seal(arena, &rotated_secrets, SLICE("c"), SLICE("text"),
	       &box) == STATUS_OK &&
		opens(&new_secrets, SLICE("c"), box, SLICE("text")) &&
		refused(&old_secrets, SLICE("c"), box),
	    "the first of two secrets seals");
}

static void
test_forgeries(void)
{
	static const struct slice table[] = {
		SLICE(""),
		SLICE("A"),
		SLICE("AAAA"),
		SLICE("not base64url!"),
		/* 27, 28 and 29 zero bytes; an empty box has 28. */
		SLICE("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"),
		SLICE("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"),
		SLICE("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"),
	};
	struct slice box, bytes, changed;
	unsigned opened = 0;
	char *copy;

	for (size_t i = 0; i < ARRAY_COUNT(table); i++)
		ok(refused(&old_secrets, SLICE(""), table[i]),
		    "forged box %zu is refused", i);

	if (secrets_seal(arena, &old_secrets, SLICE("c"), SLICE("some text"),
		&box) != STATUS_OK ||
	    base64url_decode(arena, box, &bytes) != STATUS_OK ||
	    (copy = arena_copy(arena, bytes)) == NULL) {
		ok(false, "a box is made, to be changed");
		return;
	}
	for (size_t bit = 0; bit < 8 * bytes.length; bit++) {
		copy[bit / 8] ^= (char)(1 << bit % 8);
		if (base64url_encode(arena,
			(struct slice) { copy, bytes.length },
			&changed) != STATUS_OK ||
		    !refused(&old_secrets, SLICE("c"), changed))
			opened++;
		copy[bit / 8] ^= (char)(1 << bit % 8);
	}
	ok(opened == 0, "a box with any bit changed is refused: %u are not",
	    opened);
	for (size_t length = 0; length < bytes.length; length++) {
		if (base64url_encode(arena, (struct slice) { copy, length },
			&changed) != STATUS_OK ||
		    !refused(&old_secrets, SLICE("c"), changed))
			opened++;
	}
	ok(opened == 0, "each part of a box is refused");
	ok(opens(&old_secrets, SLICE("c"), box, SLICE("some text")),
	    "the unchanged box opens");
}

static uint64_t
value_of(const struct crypto_hash *hash, struct slice text)
{
	uint64_t value = 0;

	ok(crypto_hash_value(hash, text, &value) == STATUS_OK,
	    "a hash is computed");
	return value;
}

static void
test_hashes(void)
{
	struct crypto_hash *one = crypto_hash_new(), *other = crypto_hash_new();
	uint64_t value;

	if (one == NULL || other == NULL) {
		ok(false, "two hashes are made");
		return;
	}
	value = value_of(one, SLICE("some text"));
	(void)value_of(one, SLICE("another text"));
	ok(value_of(one, SLICE("some text")) == value,
	    "a text has the same value after another text");
	ok(value_of(one, SLICE("some texu")) != value,
	    "another text has another value");
	ok(value_of(one, (struct slice) { NULL, 0 }) != value,
	    "the absent text has another value");
	ok(value_of(other, SLICE("some text")) != value,
	    "under another key a text has another value");
	crypto_hash_free(one);
	crypto_hash_free(other);
	crypto_hash_free(NULL);
}

/* Make each allocation of libcrypto fail in turn, while a box is sealed and
 * opened. */
static void
test_failed_allocations(void)
{
	struct slice box, plain, other;
	enum status sealed, opened, forged;
	unsigned wrong = 0;
	long n = 0;
	bool whole;

	if (!scarce_possible())
		return;
	ok(secrets_seal(arena, &old_secrets, SLICE("c"), SLICE("text"), &box) ==
		STATUS_OK,
	    "a box is made");
	do {
		scarce_after = n;
		sealed = secrets_seal(
		    arena, &old_secrets, SLICE("c"), SLICE("text"), &other);
		whole = scarce_after >= 0;
		scarce_after = n;
		opened = secrets_open(
		    arena, &rotated_secrets, SLICE("c"), box, &plain);
		whole = whole && scarce_after >= 0;
		scarce_after = n;
		forged = secrets_open(
		    arena, &new_secrets, SLICE("c"), box, &other);
		scarce_after = -1;
		wrong += forged == STATUS_OK ||
		    (opened == STATUS_OK &&
			!slice_equal(plain, SLICE("text"))) ||
		    (whole && (sealed != STATUS_OK || opened != STATUS_OK));
		n++;
	} while (!whole && n < 1000);
	ok(whole && n > 10 && wrong == 0,
	    "with each of %ld allocations failed, no wrong box opens: %u",
	    n - 1, wrong);
}

static void
test_full_arenas(void)
{
	struct slice box, plain;
	enum status status = STATUS_INTERNAL;
	unsigned left = 0;

	if (secrets_seal(arena, &old_secrets, SLICE("c"), SLICE("text"),
		&box) != STATUS_OK)
		return;
	while (status == STATUS_INTERNAL && left < 100) {
		struct arena *full = full_arena(left++);

		status = secrets_open(
		    full, &old_secrets, SLICE("c"), box, &plain);
		arena_free(full);
	}
	ok(status == STATUS_OK && left > 1, "no box opens in a full arena");
	status = STATUS_INTERNAL;
	left = 0;
	while (status == STATUS_INTERNAL && left < 100) {
		struct arena *full = full_arena(left++);

		status = secrets_seal(
		    full, &old_secrets, SLICE("c"), SLICE("text"), &plain);
		arena_free(full);
	}
	ok(status == STATUS_OK && left > 1, "no box is sealed in a full arena");
}

int
main(void)
{
	arena = arena_new(1 << 23);
	test_digests();
	test_macs();
	test_boxes();
	test_forgeries();
	test_hashes();
	test_failed_allocations();
	test_full_arenas();
	arena_free(arena);
	return tap_done();
}
