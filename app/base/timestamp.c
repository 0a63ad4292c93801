#include "base/timestamp.h"

#include <time.h>

static int64_t
read_clock_us(clockid_t clock)
{
	struct timespec now;

	(void)clock_gettime(clock, &now);
	return (int64_t)now.tv_sec * TIMESTAMP_SECOND + now.tv_nsec / 1000;
}

int64_t
timestamp_now(void)
{
	return read_clock_us(CLOCK_REALTIME);
}

int64_t
timestamp_monotonic(void)
{
	return read_clock_us(CLOCK_MONOTONIC);
}

/*
 * The Gregorian calendar in UTC.  Here, years begin in March: the leap day is
 * then the last day of its year, and the lengths of the months repeat as 31,
 * 30, 31, 30, 31 days, 153 days in five months.  Day 0 is 1 March of the year
 * 0.
 *
 * gmtime_r() and timegm() compute the same, but take a lock and look up the
 * time zone on each call; a page of tasks has about a thousand times.
 */
#define DAY_OF_1970 719468 /* 1 January 1970 */

#define DAY_SECONDS 86400
#define YEAR_DAYS 365
#define FOUR_YEARS_DAYS (4 * YEAR_DAYS + 1)
#define CENTURY_DAYS (25 * FOUR_YEARS_DAYS - 1)
#define FOUR_CENTURIES_DAYS (4 * CENTURY_DAYS + 1)

/* The days of a year before *month*, which is 0 for March. */
static unsigned
days_before_month(unsigned month)
{
	return (153 * month + 2) / 5;
}

struct timestamp_parts
timestamp_split(int64_t time_us)
{
	uint64_t seconds = (uint64_t)(time_us / TIMESTAMP_SECOND);
	unsigned second = (unsigned)(seconds % DAY_SECONDS);
	unsigned day = (unsigned)(seconds / DAY_SECONDS) + DAY_OF_1970;
	unsigned year, count, month;

	/* The fourth century of 400 years, and the fourth year of four, can
	 * have one day more than the divisor; this day must not be counted as
	 * the first day of a fifth. */
	year = day / FOUR_CENTURIES_DAYS * 400;
	day %= FOUR_CENTURIES_DAYS;
	count = day / CENTURY_DAYS;
	count -= count == 4;
	year += count * 100;
	day -= count * CENTURY_DAYS;
	year += day / FOUR_YEARS_DAYS * 4;
	day %= FOUR_YEARS_DAYS;
	count = day / YEAR_DAYS;
	count -= count == 4;
	year += count;
	day -= count * YEAR_DAYS;
	month = (5 * day + 2) / 153;

	return (struct timestamp_parts) {
		.year = year + (month >= 10),
		.month = month < 10 ? month + 3 : month - 9,
		.day = day - days_before_month(month) + 1,
		.hour = second / 3600,
		.minute = second / 60 % 60,
		.second = second % 60,
		.microsecond = (unsigned)(time_us % TIMESTAMP_SECOND),
	};
}

int64_t
timestamp_join(const struct timestamp_parts *parts)
{
	unsigned month = (parts->month + 9) % 12;
	unsigned year = parts->year - (month >= 10);
	int64_t day = (int64_t)YEAR_DAYS * year + year / 4 - year / 100 +
	    year / 400 + days_before_month(month) + parts->day - 1;
	int64_t second = (int64_t)parts->hour * 3600 +
	    (int64_t)parts->minute * 60 + parts->second;

	return ((day - DAY_OF_1970) * DAY_SECONDS + second) * TIMESTAMP_SECOND +
	    parts->microsecond;
}

/*
 * Write *number*, which is below 100, in two digits, and return the position
 * after them.
 */
static char *
write_two(char *out, unsigned number)
{
	out[0] = (char)('0' + number / 10);
	out[1] = (char)('0' + number % 10);
	return out + 2;
}

/* Write the date and the time up to the seconds; return as write_two() does. */
static char *
write_seconds(char *out, const struct timestamp_parts *parts)
{
	out = write_two(out, parts->year / 100);
	out = write_two(out, parts->year % 100);
	*out++ = '-';
	out = write_two(out, parts->month);
	*out++ = '-';
	out = write_two(out, parts->day);
	*out++ = 'T';
	out = write_two(out, parts->hour);
	*out++ = ':';
	out = write_two(out, parts->minute);
	*out++ = ':';
	return write_two(out, parts->second);
}

void
timestamp_write(int64_t time_us, char out[TIMESTAMP_LENGTH])
{
	struct timestamp_parts parts = timestamp_split(time_us);

	out = write_seconds(out, &parts);
	*out++ = '.';
	out = write_two(out, parts.microsecond / 10000);
	out = write_two(out, parts.microsecond / 100 % 100);
	out = write_two(out, parts.microsecond % 100);
	*out = 'Z';
}

void
timestamp_write_seconds(int64_t time_us, char out[TIMESTAMP_SECONDS_LENGTH])
{
	struct timestamp_parts parts = timestamp_split(time_us);

	out = write_seconds(out, &parts);
	*out = 'Z';
}
