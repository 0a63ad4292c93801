#ifndef OPTION_FILE_H
#define OPTION_FILE_H

#include "base/status.h"

/*
 * A MariaDB option file, as Connector/C reads it: groups "[name]", and in them
 * lines "key" or "key = value".  The program uses the group [todo].
 */

/*
 * Is *path* a readable option file with a group [todo], or one that includes
 * others?  STATUS_INVALID if not, with the reason in errno, or errno 0 if the
 * file can be read and has no such group.
 */
enum status option_file_check(const char *path) MUST_CHECK;

/*
 * Find the lines of *path* that Connector/C ignores or misreads without
 * reporting an error:
 *
 *   in [todo]                a key that it does not know
 *   in [todo] and [client]   a number that is not in digits alone
 *   anywhere                 a line at which it stops reading the file
 *
 * For each of them, call *warn* with a line "SETTING: key: problem: path".
 * Returns the number of these lines.
 */
unsigned option_file_lint(
    const char *path, const char *setting, void (*warn)(const char *warning));

#endif
