#ifndef IDENTITY_H
#define IDENTITY_H

#include "auth/auth.h"
#include "base/status.h"
#include "http/exchange.h"

/* Answer with the verified claims of the user's token. */
enum status identity_read(
    struct exchange *x, const struct current_user *user) MUST_CHECK;

#endif
