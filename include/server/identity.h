#ifndef IDENTITY_H
#define IDENTITY_H

#include "auth/auth.h"
#include "base/status.h"
#include "http/exchange.h"

/* Tell the user who they are, from the token alone. */
enum status identity_read(
    struct exchange *x, const struct current_user *user) MUST_CHECK;

#endif
