#ifndef SETTINGS_H
#define SETTINGS_H

#include <stddef.h>
#include <stdint.h>

#include "auth/token.h"
#include "base/status.h"

/*
 * What the environment says, read once at the start and constant after.  (But
 * for TODO_LOG, which main() reads first, so that the log can have what is
 * wrong with the others.)
 */

/* Room for a complaint and its NUL. */
#define SETTINGS_COMPLAINT_SIZE 512

struct settings {
	struct token_policy policy;
	const char *db_defaults_file; /* a MariaDB option file */
	const char *secret_source;    /* the setting that the secrets are of */
};

/*
 * Read the settings from *environment*, a list of "NAME=value" ended by NULL.
 * STATUS_INVALID if one is wrong, with one line that names it, never its
 * value, in *complaint*; STATUS_INTERNAL if there is no memory.
 * The caller owns *settings*; settings_free() clears the secrets and ends it.
 */
enum status settings_read(char *const *environment,
    char complaint[SETTINGS_COMPLAINT_SIZE],
    struct settings **settings) MUST_CHECK;

/*
 * Call *warn* for each name in *environment* that looks like a setting of the
 * program's and is none: it begins with JWT_ or TODO_, or is one or two
 * letters away from one.  (Other names of Better Auth's are the issuer's.)
 */
void settings_warn(char *const *environment, void (*warn)(const char *warning));

/* End *settings*, which may be NULL. */
void settings_free(struct settings *settings);

/*
 * Overwrite, in place, the values of all settings that hold a secret, so that
 * /proc/PID/environ does not show them.
 */
void settings_scrub(char **environment);

#endif
