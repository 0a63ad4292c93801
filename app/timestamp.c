#include "timestamp.h"

#include <time.h>

int64_t
timestamp_now(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * TIMESTAMP_SECOND + now.tv_nsec / 1000;
}

struct timestamp_parts
timestamp_split(int64_t time)
{
	time_t seconds = (time_t)(time / TIMESTAMP_SECOND);
	struct tm tm;

	(void)gmtime_r(&seconds, &tm);
	return (struct timestamp_parts) {
		.year = (unsigned)tm.tm_year + 1900,
		.month = (unsigned)tm.tm_mon + 1,
		.day = (unsigned)tm.tm_mday,
		.hour = (unsigned)tm.tm_hour,
		.minute = (unsigned)tm.tm_min,
		.second = (unsigned)tm.tm_sec,
		.microsecond = (unsigned)(time % TIMESTAMP_SECOND),
	};
}

int64_t
timestamp_join(const struct timestamp_parts *parts)
{
	struct tm tm = {
		.tm_year = (int)parts->year - 1900,
		.tm_mon = (int)parts->month - 1,
		.tm_mday = (int)parts->day,
		.tm_hour = (int)parts->hour,
		.tm_min = (int)parts->minute,
		.tm_sec = (int)parts->second,
	};

	return (int64_t)timegm(&tm) * TIMESTAMP_SECOND + parts->microsecond;
}

/* Write *number* in *digits* decimal digits and return what follows. */
static char *
write_digits(char *out, unsigned number, unsigned digits)
{
	for (unsigned i = digits; i-- > 0; number /= 10)
		out[i] = (char)('0' + number % 10);
	return out + digits;
}

/* Write up to the seconds and return what follows. */
static char *
write_seconds(char *out, const struct timestamp_parts *parts)
{
	out = write_digits(out, parts->year, 4);
	*out++ = '-';
	out = write_digits(out, parts->month, 2);
	*out++ = '-';
	out = write_digits(out, parts->day, 2);
	*out++ = 'T';
	out = write_digits(out, parts->hour, 2);
	*out++ = ':';
	out = write_digits(out, parts->minute, 2);
	*out++ = ':';
	return write_digits(out, parts->second, 2);
}

void
timestamp_write(int64_t time, char out[TIMESTAMP_LENGTH])
{
	struct timestamp_parts parts = timestamp_split(time);

	out = write_seconds(out, &parts);
	*out++ = '.';
	out = write_digits(out, parts.microsecond, 6);
	*out = 'Z';
}

void
timestamp_write_seconds(int64_t time, char out[TIMESTAMP_SECONDS_LENGTH])
{
	struct timestamp_parts parts = timestamp_split(time);

	out = write_seconds(out, &parts);
	*out = 'Z';
}
