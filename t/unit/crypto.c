/*
 * Goal: a digest is SHA-256; a MAC is HMAC-SHA256, all of it; a box opens with
 * a secret that is still there and with nothing else, no byte of it can be
 * changed, and want of memory opens none.
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
digests(void)
{
	/* FIPS 180-4's examples. */
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

	for (size_t i = 0; i < COUNT(table); i++) {
		unsigned char digest[CRYPTO_DIGEST_LENGTH];
		char text[2 * CRYPTO_DIGEST_LENGTH + 1];
		enum status status = crypto_digest(table[i].text, digest);

		for (size_t n = 0; n < sizeof(digest); n++)
			snprintf(text + 2 * n, 3, "%02x", digest[n]);
		ok(status == STATUS_OK && strcmp(text, table[i].digest) == 0,
		    "digest %zu", i);
	}
}

static void
macs(void)
{
	/* RFC 4231 section 4.3. */
	static const struct slice jefe = SLICE("Jefe");
	static const struct slice text = SLICE("what do ya want for nothing?");
	unsigned char mac[] = { 0x5b, 0xdc, 0xc1, 0x46, 0xbf, 0x60, 0x75, 0x4e,
		0x6a, 0x04, 0x24, 0x26, 0x08, 0x95, 0x75, 0xc7, 0x5a, 0x00,
		0x3f, 0x08, 0x9d, 0x27, 0x39, 0x83, 0x9d, 0xec, 0x58, 0xb9,
		0x64, 0xec, 0x38, 0x43 };
	const struct slice right = { (const char *)mac, sizeof(mac) };
	unsigned taken = 0;

	ok(crypto_check_mac(jefe, text, right) == STATUS_OK, "a right MAC");
	ok(crypto_check_mac(SLICE("Jeff"), text, right) == STATUS_INVALID,
	    "not under another key");
	ok(crypto_check_mac(jefe, SLICE("what do ya want for nothing!"),
	       right) == STATUS_INVALID,
	    "nor of another text");
	for (size_t length = 0; length < sizeof(mac); length++)
		taken += crypto_check_mac(jefe, text,
			     (struct slice) { (const char *)mac, length }) !=
		    STATUS_INVALID;
	for (size_t bit = 0; bit < 8 * sizeof(mac); bit++) {
		mac[bit / 8] ^= (unsigned char)(1 << bit % 8);
		taken += crypto_check_mac(jefe, text, right) != STATUS_INVALID;
		mac[bit / 8] ^= (unsigned char)(1 << bit % 8);
	}
	ok(taken == 0, "a part of it is none, nor one with a bit changed");
}

/* Does *box* open to *plain*? */
static bool
opens(const struct secrets *secrets, struct slice context, struct slice box,
    struct slice plain)
{
	struct slice opened = { 0 };

	return secrets_open(arena, secrets, context, box, &opened) ==
	    STATUS_OK &&
	    slice_equal(opened, plain) && opened.data[opened.length] == '\0';
}

/* Is *box* refused, and as what it should be? */
static bool
refused(const struct secrets *secrets, struct slice context, struct slice box)
{
	struct slice opened;

	return secrets_open(arena, secrets, context, box, &opened) ==
	    STATUS_INVALID;
}

static void
boxes(void)
{
	static char big[65537];
	static const struct slice texts[] = { SLICE(""), SLICE("x"),
		SLICE("Buy milk"), SLICE("with\0NUL\xFF"), { big, 65536 } };
	static const struct slice contexts[] = { SLICE(""), { NULL, 0 },
		SLICE("created desc all"), { big, 65536 } };
	struct slice box, again;

	for (size_t i = 0; i < COUNT(texts); i++)
		for (size_t n = 0; n < COUNT(contexts); n++)
			ok(secrets_seal(arena, &old_secrets, contexts[n],
			       texts[i], &box) == STATUS_OK &&
				opens(&old_secrets, contexts[n], box, texts[i]),
			    "text %zu with context %zu comes back", i, n);

	ok(secrets_seal(arena, &old_secrets, SLICE(""),
	       (struct slice) { big, 65537 }, &box) == STATUS_INTERNAL,
	    "a text too long is not sealed");
	ok(secrets_seal(arena, &old_secrets, SLICE("c"), SLICE("text"), &box) ==
		    STATUS_OK &&
		secrets_seal(arena, &old_secrets, SLICE("c"), SLICE("text"),
		    &again) == STATUS_OK &&
		!slice_equal(box, again),
	    "the same text makes another box each time");
	ok(box.length == (12 + 4 + 16 + 2) / 3 * 4 - 1,
	    "a box is nonce, text and tag: %zu", box.length);
	ok(memmem(box.data, box.length, "text", 4) == NULL,
	    "the text does not show");

	/* Made once with Node's hkdfSync() and createCipheriv(). */
	ok(opens(&old_secrets, SLICE("created desc all"),
	       SLICE("AAECAwQFBgcICQoLUuVE3MExb5tBgYtzU4qcKh0CySGHQ3pq"),
	       SLICE("Buy milk")),
	    "a box is what the documents say, from release to release");

	ok(refused(&old_secrets, SLICE("C"), box), "another context");
	ok(refused(&old_secrets, SLICE(""), box), "no context");
	ok(refused(&new_secrets, SLICE("c"), box), "another secret");
	ok(opens(&rotated_secrets, SLICE("c"), box, SLICE("text")),
	    "the second secret opens it");
	ok(secrets_seal(arena, &rotated_secrets, SLICE("c"), SLICE("text"),
	       &box) == STATUS_OK &&
		opens(&new_secrets, SLICE("c"), box, SLICE("text")) &&
		refused(&old_secrets, SLICE("c"), box),
	    "the first secret seals");
}

static void
forgeries(void)
{
	static const struct slice table[] = {
		SLICE(""),
		SLICE("A"),
		SLICE("AAAA"),
		SLICE("not base64url!"),
		/* 27 bytes of nothing, 28, and 29. */
		SLICE("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"),
		SLICE("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"),
		SLICE("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"),
	};
	struct slice box, bytes, changed;
	unsigned opened = 0;
	char *copy;

	for (size_t i = 0; i < COUNT(table); i++)
		ok(refused(&old_secrets, SLICE(""), table[i]),
		    "forgery %zu is refused", i);

	if (secrets_seal(arena, &old_secrets, SLICE("c"), SLICE("some text"),
		&box) != STATUS_OK ||
	    base64url_decode(arena, box, &bytes) != STATUS_OK ||
	    (copy = arena_copy(arena, bytes)) == NULL) {
		ok(false, "a box to change");
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
	ok(opened == 0, "each bit changed is refused: %u are not", opened);
	for (size_t length = 0; length < bytes.length; length++) {
		if (base64url_encode(arena, (struct slice) { copy, length },
			&changed) != STATUS_OK ||
		    !refused(&old_secrets, SLICE("c"), changed))
			opened++;
	}
	ok(opened == 0, "each shorter box is refused");
	ok(opens(&old_secrets, SLICE("c"), box, SLICE("some text")),
	    "and the box itself opens");
}

static uint64_t
value_of(const struct crypto_hash *hash, struct slice text)
{
	uint64_t value = 0;

	ok(crypto_hash_value(hash, text, &value) == STATUS_OK, "a hash");
	return value;
}

static void
hashes(void)
{
	struct crypto_hash *one = crypto_hash_new(), *other = crypto_hash_new();
	uint64_t value;

	if (one == NULL || other == NULL) {
		ok(false, "two hashes");
		return;
	}
	value = value_of(one, SLICE("some text"));
	(void)value_of(one, SLICE("another text"));
	ok(value_of(one, SLICE("some text")) == value,
	    "the same text has the same value, whatever came between");
	ok(value_of(one, SLICE("some texu")) != value, "another has another");
	ok(value_of(one, (struct slice) { NULL, 0 }) != value, "so has none");
	ok(value_of(other, SLICE("some text")) != value,
	    "and under another key it is another");
	crypto_hash_free(one);
	crypto_hash_free(other);
	crypto_hash_free(NULL);
}

/* Let each allocation of libcrypto's in turn fail, as a box is made and opened.
 */
static void
memory(void)
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
	    "a box");
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
	    "none of %ld failed allocations opens what should stay closed: %u",
	    n - 1, wrong);
}

static void
full_pools(void)
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
	ok(status == STATUS_OK && left > 1, "a full arena opens no box");
	status = STATUS_INTERNAL;
	left = 0;
	while (status == STATUS_INTERNAL && left < 100) {
		struct arena *full = full_arena(left++);

		status = secrets_seal(
		    full, &old_secrets, SLICE("c"), SLICE("text"), &plain);
		arena_free(full);
	}
	ok(status == STATUS_OK && left > 1, "nor does it make one");
}

int
main(void)
{
	arena = arena_new(1 << 23);
	digests();
	macs();
	boxes();
	forgeries();
	hashes();
	memory();
	full_pools();
	arena_free(arena);
	return tap_done();
}
