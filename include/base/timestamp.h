#ifndef TIMESTAMP_H
#define TIMESTAMP_H

#include <stdint.h>

/*
 * Points in time are int64_t microseconds since 1970-01-01T00:00:00Z, without
 * leap seconds, as CLOCK_REALTIME counts.
 */
#define TIMESTAMP_SECOND INT64_C(1000000)

/* The bytes timestamp_write() and timestamp_write_seconds() write. */
#define TIMESTAMP_LENGTH 27
#define TIMESTAMP_SECONDS_LENGTH 20

/* A point in time, taken apart in UTC. */
struct timestamp_parts {
	unsigned year; /* 1970 to 9999 */
	unsigned month, day, hour, minute, second;
	unsigned microsecond;
};

/* Now. */
int64_t timestamp_now(void);

/* Microseconds from some point on, for durations: nobody sets this clock. */
int64_t timestamp_monotonic(void);

/* Take *time*, which lies between 1970 and 9999, apart, and back. */
struct timestamp_parts timestamp_split(int64_t time);
int64_t timestamp_join(const struct timestamp_parts *parts);

/*
 * Write *time* as RFC 3339 has it, 2026-11-23T10:30:00.123456Z or, without
 * the fraction, 2026-11-23T10:30:00Z.  Not terminated.
 */
void timestamp_write(int64_t time, char out[TIMESTAMP_LENGTH]);
void timestamp_write_seconds(int64_t time, char out[TIMESTAMP_SECONDS_LENGTH]);

#endif
