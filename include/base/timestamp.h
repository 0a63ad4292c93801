#ifndef TIMESTAMP_H
#define TIMESTAMP_H

#include <stdint.h>

/*
 * Points in time are int64_t microseconds since 1970-01-01T00:00:00Z, without
 * leap seconds, as CLOCK_REALTIME counts.
 */
#define TIMESTAMP_SECOND INT64_C(1000000)

/* The bytes that timestamp_write() and timestamp_write_seconds() write. */
#define TIMESTAMP_LENGTH 27
#define TIMESTAMP_SECONDS_LENGTH 20

/* A point in time as date and time of day, in UTC. */
struct timestamp_parts {
	unsigned year;	/* 1970 to 9999 */
	unsigned month; /* 1 to 12 */
	unsigned day;	/* 1 to 31 */
	unsigned hour, minute, second;
	unsigned microsecond;
};

/* Return the current time. */
int64_t timestamp_now(void);

/*
 * Return the microseconds since an unspecified start.  For durations: setting
 * the system's time does not change this clock.
 */
int64_t timestamp_monotonic(void);

/*
 * Convert *time_us*, which must lie within the years 1970 to 9999, to its
 * parts, and back.
 */
struct timestamp_parts timestamp_split(int64_t time_us);
int64_t timestamp_join(const struct timestamp_parts *parts);

/*
 * Write *time_us* as in RFC 3339: 2026-11-23T10:30:00.123456Z or, with whole
 * seconds, 2026-11-23T10:30:00Z.  Not terminated.
 */
void timestamp_write(int64_t time_us, char out[TIMESTAMP_LENGTH]);
void timestamp_write_seconds(
    int64_t time_us, char out[TIMESTAMP_SECONDS_LENGTH]);

#endif
