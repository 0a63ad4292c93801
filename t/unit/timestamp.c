/*
 * Goal: times are split and joined as the C library does it, on every day of
 * the years 1970 to 9999, and written as in RFC 3339.
 */

#include "base/timestamp.h"

#include <string.h>
#include <time.h>

#include "tap.h"

#define DAY_US (INT64_C(86400) * TIMESTAMP_SECOND)
#define DAY_COUNT 2932897 /* from 1970 to the end of 9999 */

/* True if *time* is split as by gmtime_r(), and joined again to *time*. */
static bool
is_right(int64_t time)
{
	struct timestamp_parts parts = timestamp_split(time);
	time_t seconds = (time_t)(time / TIMESTAMP_SECOND);
	struct tm tm;

	return gmtime_r(&seconds, &tm) != NULL &&
	    parts.year == (unsigned)tm.tm_year + 1900 &&
	    parts.month == (unsigned)tm.tm_mon + 1 &&
	    parts.day == (unsigned)tm.tm_mday &&
	    parts.hour == (unsigned)tm.tm_hour &&
	    parts.minute == (unsigned)tm.tm_min &&
	    parts.second == (unsigned)tm.tm_sec &&
	    parts.microsecond == time % TIMESTAMP_SECOND &&
	    timestamp_join(&parts) == time;
}

static void
test_calendar(void)
{
	int64_t wrong = -1;

	/* On each day the first and the last microsecond, and a second. */
	for (int64_t day = 0; day < DAY_COUNT && wrong < 0; day++) {
		int64_t second = day * 7919 % 86400;

		if (!is_right(day * DAY_US) ||
		    !is_right(day * DAY_US + DAY_US - 1) ||
		    !is_right(day * DAY_US + second * TIMESTAMP_SECOND))
			wrong = day;
	}
	ok(wrong < 0, "each day from 1970 to 9999 is split as by gmtime_r()");
	if (wrong >= 0)
		printf("# the first wrong day: %lld\n", (long long)wrong);
}

static void
test_times(void)
{
	static const struct {
		int64_t time;
		const char *text;
	} table[] = {
		{ 0, "1970-01-01T00:00:00.000000Z" },
		{ 1, "1970-01-01T00:00:00.000001Z" },
		{ INT64_C(951782399999999), "2000-02-28T23:59:59.999999Z" },
		{ INT64_C(951782400000000), "2000-02-29T00:00:00.000000Z" },
		{ INT64_C(1795516200123456), "2026-11-24T10:30:00.123456Z" },
		{ INT64_C(4107542399000000), "2100-02-28T23:59:59.000000Z" },
		{ INT64_C(4107542400000000), "2100-03-01T00:00:00.000000Z" },
		{ INT64_C(253402300799999999), "9999-12-31T23:59:59.999999Z" },
	};
	char out[TIMESTAMP_LENGTH];
	char seconds[TIMESTAMP_SECONDS_LENGTH];

	for (size_t i = 0; i < ARRAY_COUNT(table); i++) {
		struct timestamp_parts parts = timestamp_split(table[i].time);

		timestamp_write(table[i].time, out);
		ok(memcmp(out, table[i].text, sizeof(out)) == 0,
		    "%s is written", table[i].text);
		ok(timestamp_join(&parts) == table[i].time,
		    "%s is joined again", table[i].text);
		timestamp_write_seconds(table[i].time, seconds);
		ok(memcmp(seconds, table[i].text, sizeof(seconds) - 1) == 0 &&
			seconds[sizeof(seconds) - 1] == 'Z',
		    "%s is written with whole seconds", table[i].text);
	}
}

int
main(void)
{
	test_calendar();
	test_times();
	return tap_done();
}
