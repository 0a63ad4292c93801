#ifndef SETTINGS_H
#define SETTINGS_H

#include <stddef.h>
#include <stdint.h>

#include "auth/token.h"
#include "base/status.h"

/*
 * The settings: read from the environment once, at the start, and constant
 * afterwards.  main() reads TODO_LOG earlier, so that what is wrong with the
 * other settings can be logged.
 */

/* Room for a complaint and its NUL. */
#define SETTINGS_COMPLAINT_SIZE 512

struct settings {
	struct token_policy policy;
	const char *db_defaults_file; /* a MariaDB option file */
	const char *secret_source;    /* the setting that has the secrets */
};

/*
 * Read the settings from *environment*, a list of "NAME=value" ended by NULL.
 * The caller owns *settings*; settings_free() overwrites the secrets and ends
 * it.
 *
 * An empty value counts as not set.  STATUS_INVALID if a setting is wrong:
 * *complaint* is then one line "NAME: what is wrong" without any part of the
 * value.  STATUS_INTERNAL if there is no memory.
 */
enum status settings_read(char *const *environment,
    char complaint[SETTINGS_COMPLAINT_SIZE],
    struct settings **settings) MUST_CHECK;

/*
 * Call *warn* for each name in *environment* that looks like a misspelt
 * setting: it begins with JWT_ or TODO_ but is no setting, or differs from a
 * setting by one or two letters.
 */
void settings_warn(char *const *environment, void (*warn)(const char *warning));

/* End *settings*, which may be NULL. */
void settings_free(struct settings *settings);

/*
 * Overwrite the values of all settings that hold a secret in *environment*
 * itself, so that /proc/PID/environ does not show them.
 */
void settings_scrub(char **environment);

#endif
