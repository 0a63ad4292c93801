/*
 * Goal: neither the instructions nor the time of auth_identify() depend on how
 * much of a signature is correct, although the cache holds the token with the
 * correct signature.
 *
 * "timing ways" verifies signatures that are correct up to some character, and
 * signatures with a single wrong character, each in a process of its own, and
 * prints the process ids.  Run it under callgrind, which counts the
 * instructions of verify().
 *
 * "timing times COUNT" verifies two signatures COUNT times, in random order:
 * one with all characters wrong, and one with only the last wrong.  It prints
 * how much longer the second one took.  Run it often: the addresses that the
 * loader chooses make a difference too, of up to a nanosecond, which varies
 * from process to process.
 *
 * With "leak" as the last argument, an ordinary comparison is added, to show
 * that a leak would be found.
 */

#include <sys/wait.h>

#include <openssl/rand.h>

#include "auth/auth.h"
#include "base/array.h"
#include "fuzz.h"

#define NOW 1800000000
#define SIGNATURE_LENGTH 43

/* "Bearer" and a valid token.  The signature is overwritten by each test. */
static char field[1024] = "Bearer ";
static size_t field_length;
static char *signature; /* within *field* */
static char correct[SIGNATURE_LENGTH + 1];
static char wrong[SIGNATURE_LENGTH + 1]; /* each character is wrong */
static bool leaks;
static struct cache *tokens; /* holds the valid token from the beginning */
static struct token_policy policy; /* with a single secret */

/*
 * Return another character of the same kind as *c*, which base64url_decode()
 * decodes by the same instructions: how the attacker's own characters are
 * decoded reveals no secret.  '\0' if there is none.
 */
static char
other_character(char c, bool last)
{
	/* The last of 43 characters holds four bits. */
	static const char *const kinds[2][3] = {
		{ "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz",
		    "0123456789" },
		{ "AEIMQUY", "cgkosw", "048" },
	};

	for (size_t i = 0; i < 3; i++) {
		const char *kind = kinds[last][i];
		const char *at = c == '\0' ? NULL : strchr(kind, c);

		if (at != NULL)
			return at[1] != '\0' ? at[1] : kind[0];
	}
	return '\0';
}

/*
 * Make the token.  Its signature must have an other_character() for each of its
 * characters, so try one serial number after the other, from *serial* + 1.
 */
static void
make_token(unsigned serial)
{
	static const char header[] = "{\"alg\":\"HS256\"}";
	size_t i;

	do {
		char payload[512];
		int length = snprintf(payload, sizeof(payload),
		    "{\"iss\":\"%s\",\"aud\":\"%s\",\"sub\":\"alice\","
		    "\"user_id\":\"alice\",\"user_email\":\"a@b\","
		    "\"jti\":\"%u\",\"iat\":%d,\"exp\":%d}",
		    FUZZ_ISSUER, FUZZ_ISSUER, ++serial, NOW, NOW + 3600);
		char *made = fuzz_sign((const uint8_t *)header,
		    sizeof(header) - 1, (const uint8_t *)payload,
		    (size_t)length, FUZZ_SECRET);

		field_length = 7 + strlen(made);
		never(field_length >= sizeof(field));
		memcpy(field + 7, made, strlen(made));
		free(made);
		signature = field + field_length - SIGNATURE_LENGTH;
		memcpy(correct, signature, SIGNATURE_LENGTH);
		for (i = 0; i < SIGNATURE_LENGTH; i++)
			if ((wrong[i] = other_character(correct[i],
				 i + 1 == SIGNATURE_LENGTH)) == '\0')
				break;
	} while (i < SIGNATURE_LENGTH);
}

/* Not in constant time. */
static __attribute__((noinline)) bool
ordinary_compare(const char *a, const char *b)
{
	for (size_t i = 0; i < SIGNATURE_LENGTH; i++)
		if (((const volatile char *)a)[i] != b[i])
			return false;
	return true;
}

static enum status
identify(struct arena *arena)
{
	const struct current_user *user;
	struct token_refusal refusal;

	return auth_identify(arena, &policy, tokens,
	    (struct slice) { field, field_length }, NOW, &refusal, &user);
}

/* What is measured. */
static __attribute__((noinline)) enum status
verify(struct arena *arena)
{
	enum status status = identify(arena);

	if (leaks && ordinary_compare(signature, correct))
		status = STATUS_OK;
	return status;
}

/* ------------------------------------------------------------------- ways */

#define CASES (2 * SIGNATURE_LENGTH + 1)

/*
 * Write signature *n*: up to SIGNATURE_LENGTH with the first *n* characters
 * correct and the others wrong; after that with a single wrong character.
 * Returns the name of the case.
 */
static const char *
set_signature(size_t n)
{
	static char name[64];

	if (n <= SIGNATURE_LENGTH) {
		memcpy(signature, correct, n);
		memcpy(signature + n, wrong + n, SIGNATURE_LENGTH - n);
		(void)snprintf(name, sizeof(name), "%zu right", n);
	} else {
		n -= SIGNATURE_LENGTH + 1;
		memcpy(signature, correct, SIGNATURE_LENGTH);
		signature[n] = wrong[n];
		(void)snprintf(name, sizeof(name), "only %zu wrong", n);
	}
	return name;
}

/*
 * Verify each signature in a process of its own.  All of them begin with the
 * same memory, because what malloc() does depends on earlier allocations.
 */
static int
show_ways(void)
{
	struct arena *arena = arena_new(FUZZ_ARENA_CAP);

	/* Let everything that is allocated once be allocated now, the buffer of
	 * standard output too. */
	printf("# process, signature\n");
	for (size_t n = 0; n < CASES; n++) {
		(void)set_signature(n);
		(void)identify(arena);
		arena_reset(arena);
	}
	for (size_t n = 0; n < CASES; n++) {
		const char *name = set_signature(n);
		pid_t child;
		int outcome;

		(void)fflush(stdout);
		never((child = fork()) < 0);
		if (child == 0) {
			bool good = verify(arena) == STATUS_OK;

			_exit(good == (n == SIGNATURE_LENGTH) ? 0 : 1);
		}
		never(waitpid(child, &outcome, 0) != child || outcome != 0);
		printf("%ld\t%s\n", (long)child, name);
	}
	arena_free(arena);
	return 0;
}

/* ------------------------------------------------------------------ times */

static uint64_t
nanoseconds(void)
{
	struct timespec time;

	(void)clock_gettime(CLOCK_MONOTONIC, &time);
	return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

struct mean {
	double count, sum;
};

static int
by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* Return 0 or 1 at random. */
static unsigned
toss_coin(void)
{
	static uint64_t state;

	if (state == 0)
		state = UINT64_C(88172645463325252) ^ (uint64_t)getpid();
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state >> 40 & 1;
}

/* The two signatures: wrong everywhere, and wrong at the end. */
static char compared[2][SIGNATURE_LENGTH];
static unsigned swapped;

static double
measure(struct arena *arena, unsigned which)
{
	uint64_t start;

	/* Up to here the instructions are the same for both. */
	memcpy(signature, compared[which ^ swapped], SIGNATURE_LENGTH);
	start = nanoseconds();
	(void)verify(arena);
	start = nanoseconds() - start;
	arena_reset(arena);
	return (double)start;
}

static int
show_times(unsigned long count)
{
	/* Times above these percentiles of the pilot are left out: most are
	 * caused by other processes on the machine. */
	static const unsigned percent[] = { 50, 75, 90 };
	enum { CUTS = ARRAY_COUNT(percent), PILOT = 5000 };
	struct arena *arena = arena_new(FUZZ_ARENA_CAP);
	struct mean means[CUTS][2] = { 0 };
	static double pilot[PILOT];

	swapped = getpid() & 1;
	for (size_t i = 0; i < 2; i++) {
		(void)set_signature(i == 0 ? 0 : SIGNATURE_LENGTH - 1);
		memcpy(compared[i ^ swapped], signature, SIGNATURE_LENGTH);
	}
	for (size_t i = 0; i < PILOT; i++)
		(void)measure(arena, toss_coin());
	for (size_t i = 0; i < PILOT; i++)
		pilot[i] = measure(arena, toss_coin());
	qsort(pilot, PILOT, sizeof(pilot[0]), by_size);
	while (count-- > 0) {
		unsigned which = toss_coin();
		double time = measure(arena, which);

		for (size_t c = 0; c < CUTS; c++)
			if (time < pilot[PILOT * percent[c] / 100]) {
				means[c][which].count++;
				means[c][which].sum += time;
			}
	}
	for (size_t c = 0; c < CUTS; c++) {
		const struct mean *a = &means[c][0], *b = &means[c][1];

		printf("%u\t%.3f\t%.3f\n", percent[c], a->sum / a->count,
		    b->sum / b->count - a->sum / a->count);
	}
	return 0;
}

/*
 * Replaces the random numbers of the program, among them the key of the cache's
 * hash.  With a random key, a wrong token could by chance fall into the bucket
 * of the valid token in some runs.
 */
int
RAND_bytes(unsigned char *bytes, int count)
{
	memset(bytes, 5, (size_t)count);
	return 1;
}

/* Put the valid token into the cache. */
static void
remember_token(void)
{
	struct arena *arena = arena_new(FUZZ_ARENA_CAP);

	(void)set_signature(SIGNATURE_LENGTH);
	never(identify(arena) != STATUS_OK);
	arena_free(arena);
}

int
main(int argc, char *argv[])
{
	bool times;

	policy = fuzz_settings.policy;
	policy.secrets.count = 1;
	/* Each process that is timed has a token of its own, so that what
	 * depends on the token by chance, such as its bucket in the cache,
	 * varies. */
	times = argc > 2 && strcmp(argv[1], "times") == 0;
	make_token(times ? (unsigned)getpid() * 1000 : 0);
	tokens = cache_new((size_t)1024 * 1024);
	never(tokens == NULL);
	remember_token();
	leaks = argc > 1 && strcmp(argv[argc - 1], "leak") == 0;
	if (times)
		return show_times(strtoul(argv[2], NULL, 10));
	return show_ways();
}
