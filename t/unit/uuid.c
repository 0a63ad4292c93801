/*
 * Goal: a UUIDv7 holds the time it was made for, UUIDs sort by their time, and
 * only the lower-case form with hyphens is read.
 */

#include "base/uuid.h"

#include <stdlib.h>

#include "tap.h"

static void
test_v7(void)
{
	static const int64_t times[] = { 0, 1, 999, 1000, 1999, 123456789,
		INT64_C(1795516200123456), INT64_C(1795516200123457),
		INT64_C(1795516200124000), INT64_C(253402300799999999) };
	struct uuid before = { { 0 } }, uuid;

	for (size_t i = 0; i < ARRAY_COUNT(times); i++) {
		const unsigned char *b = uuid.bytes;
		int64_t milliseconds = 0;
		unsigned fraction;

		if (!ok(uuid_v7(times[i], &uuid) == STATUS_OK,
			"a UUID is made"))
			continue;
		for (size_t n = 0; n < 6; n++)
			milliseconds = milliseconds << 8 | b[n];
		fraction = (b[6] & 15U) << 8 | b[7];
		ok(b[6] >> 4 == 7 && b[8] >> 6 == 2,
		    "the version is 7 and the variant 2");
		ok(milliseconds == times[i] / 1000,
		    "the UUID holds the milliseconds of the time");
		ok((int64_t)(fraction * 1000 + 4095) / 4096 == times[i] % 1000,
		    "the UUID holds the microseconds of the time");
		ok(i == 0 || memcmp(&before, &uuid, 8) < 0,
		    "the UUID sorts after that of the time before");
		before = uuid;
	}
	ok(uuid_v7(times[0], &before) == STATUS_OK &&
		uuid_v7(times[0], &uuid) == STATUS_OK &&
		memcmp(&before, &uuid, sizeof(uuid)) != 0,
	    "two UUIDs of the same time differ");
}

static void
test_text(void)
{
	static const char text[] = "019ab2f4-6c1e-7d3a-9f42-0b6f6e0c9a11";
	static const char *const wrong[] = {
		"019ab2f4-6c1e-7d3a-9f42-0b6f6e0c9a1",
		"019ab2f4-6c1e-7d3a-9f42-0b6f6e0c9a111",
		"019AB2F4-6C1E-7D3A-9F42-0B6F6E0C9A11",
		"019ab2f4-6c1e-7d3a-9f42-0b6f6e0c9a1g",
		"019ab2f46c1e-7d3a-9f42-0b6f6e0c9a11-",
		"019ab2f4-6c1e-7d3a-9f420-b6f6e0c9a11",
		"{19ab2f4-6c1e-7d3a-9f42-0b6f6e0c9a1}",
		"",
	};
	char out[UUID_TEXT_LENGTH];
	struct uuid uuid;

	ok(uuid_read(slice_of(text), &uuid) == STATUS_OK, "a UUID is read");
	ok(uuid.bytes[0] == 0x01 && uuid.bytes[15] == 0x11,
	    "the first and the last byte are read");
	uuid_write(&uuid, out);
	ok(memcmp(out, text, sizeof(out)) == 0,
	    "the UUID is written as it was read");
	for (size_t i = 0; i < ARRAY_COUNT(wrong); i++)
		ok(uuid_read(slice_of(wrong[i]), &uuid) == STATUS_INVALID,
		    "<%s> is refused", wrong[i]);
}

int
main(void)
{
	test_v7();
	test_text();
	return tap_done();
}
