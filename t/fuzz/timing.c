/*
 * Goal: what auth_identify() does, and how long it takes, says nothing of how
 * much of a signature is right, though the right one has come before and is
 * remembered.
 *
 * "timing ways" verifies signatures that are right up to some character, and
 * such as are wrong in one alone, each in a process of its own, whose number it
 * prints.  Run it under callgrind, which counts what verify() does.
 *
 * "timing times COUNT" verifies two, one wrong in each character and one in the
 * last alone, in turn by lot, COUNT times, and prints how much longer the
 * second took.  Run it often: where the loader puts things makes a difference
 * too, of up to a nanosecond, another one in each process.
 *
 * With "leak" behind that, an ordinary comparison comes after it, to see that
 * this would be seen.
 */
#include <sys/wait.h>

#include <openssl/rand.h>

#include "auth/auth.h"
#include "fuzz.h"

#define NOW 1800000000
#define SIGNATURE_LENGTH 43

/* "Bearer", and a token that is right up to its signature, which is written
 * over. */
static char field[1024] = "Bearer ";
static size_t field_length;
static char *signature; /* in it */
static char right[SIGNATURE_LENGTH + 1];
static char wrong[SIGNATURE_LENGTH + 1]; /* in each character */
static bool leaks;
static struct cache *tokens; /* where the right one is, from the beginning */
static struct token_policy policy; /* with one secret alone */

/*
 * Another character of the same kind, so that decoding it is no different: what
 * the attacker sends is no secret.  '\0' if there is none.
 */
static char
another(char c, bool last)
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
 * Make the token, one that has such another for each of its signature's; the
 * first there is behind number *serial*.
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
		memcpy(right, signature, SIGNATURE_LENGTH);
		for (i = 0; i < SIGNATURE_LENGTH; i++)
			if ((wrong[i] = another(
				 right[i], i + 1 == SIGNATURE_LENGTH)) == '\0')
				break;
	} while (i < SIGNATURE_LENGTH);
}

/* How not to do it. */
static __attribute__((noinline)) bool
ordinary_compare(const char *a, const char *b)
{
	for (size_t i = 0; i < SIGNATURE_LENGTH; i++)
		if (((const volatile char *)a)[i] != b[i])
			return false;
	return true;
}

static enum status
judge(struct arena *arena)
{
	const struct current_user *user;
	struct token_refusal refusal;

	return auth_identify(arena, &policy, tokens,
	    (struct slice) { field, field_length }, NOW, &refusal, &user);
}

static __attribute__((noinline)) enum status
verify(struct arena *arena)
{
	enum status status = judge(arena);

	if (leaks && ordinary_compare(signature, right))
		status = STATUS_OK;
	return status;
}

/* ------------------------------------------------------------------- ways */

#define CASES (2 * SIGNATURE_LENGTH + 1)

/*
 * Write signature number *n*: the first *n* characters right, the others wrong;
 * from SIGNATURE_LENGTH + 1 on, one alone wrong.  Returns what to call it.
 */
static const char *
set_signature(size_t n)
{
	static char name[64];

	if (n <= SIGNATURE_LENGTH) {
		memcpy(signature, right, n);
		memcpy(signature + n, wrong + n, SIGNATURE_LENGTH - n);
		(void)snprintf(name, sizeof(name), "%zu right", n);
	} else {
		n -= SIGNATURE_LENGTH + 1;
		memcpy(signature, right, SIGNATURE_LENGTH);
		signature[n] = wrong[n];
		(void)snprintf(name, sizeof(name), "only %zu wrong", n);
	}
	return name;
}

/*
 * Each in a process of its own, all of which begin with the same memory: where
 * malloc() finds room depends on what it gave before.
 */
static int
show_ways(void)
{
	struct arena *arena = arena_new(FUZZ_ARENA_CAP);

	/* What is made once is made now, standard output's buffer too. */
	printf("# process, signature\n");
	for (size_t n = 0; n < CASES; n++) {
		(void)set_signature(n);
		(void)judge(arena);
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

/* By lot, as it would come from a fair coin. */
static unsigned
lot(void)
{
	static uint64_t state;

	if (state == 0)
		state = UINT64_C(88172645463325252) ^ (uint64_t)getpid();
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state >> 40 & 1;
}

/* The signatures compared: wrong everywhere, and at its end. */
static char compared[2][SIGNATURE_LENGTH];
static unsigned swapped;

static double
measure(struct arena *arena, unsigned which)
{
	uint64_t start;

	/* What comes before is the same for both, to the instruction. */
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
	/* What is slower than so many of a hundred, most often because of
	 * somebody else on the machine, is left out. */
	static const unsigned percent[] = { 50, 75, 90 };
	enum { CUTS = sizeof(percent) / sizeof(percent[0]), PILOT = 5000 };
	struct arena *arena = arena_new(FUZZ_ARENA_CAP);
	struct mean means[CUTS][2] = { 0 };
	static double pilot[PILOT];

	swapped = getpid() & 1;
	for (size_t i = 0; i < 2; i++) {
		(void)set_signature(i == 0 ? 0 : SIGNATURE_LENGTH - 1);
		memcpy(compared[i ^ swapped], signature, SIGNATURE_LENGTH);
	}
	for (size_t i = 0; i < PILOT; i++)
		(void)measure(arena, lot());
	for (size_t i = 0; i < PILOT; i++)
		pilot[i] = measure(arena, lot());
	qsort(pilot, PILOT, sizeof(pilot[0]), by_size);
	while (count-- > 0) {
		unsigned which = lot();
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
 * The program's random numbers.  The key of the cache's hash is among them;
 * with another at each run, another token would now and then meet the right one
 * in its bucket, by chance.
 */
int
RAND_bytes(unsigned char *bytes, int count)
{
	memset(bytes, 5, (size_t)count);
	return 1;
}

/* Have the right token come once. */
static void
remember_right(void)
{
	struct arena *arena = arena_new(FUZZ_ARENA_CAP);

	(void)set_signature(SIGNATURE_LENGTH);
	never(judge(arena) != STATUS_OK);
	arena_free(arena);
}

int
main(int argc, char *argv[])
{
	bool times;

	policy = fuzz_settings.policy;
	policy.secrets.count = 1;
	/* In what chance has a part, such as the place that the cache has for
	 * a token, each process that is timed is to have its own. */
	times = argc > 2 && strcmp(argv[1], "times") == 0;
	make_token(times ? (unsigned)getpid() * 1000 : 0);
	tokens = cache_new((size_t)1024 * 1024);
	never(tokens == NULL);
	remember_right();
	leaks = argc > 1 && strcmp(argv[argc - 1], "leak") == 0;
	if (times)
		return show_times(strtoul(argv[2], NULL, 10));
	return show_ways();
}
