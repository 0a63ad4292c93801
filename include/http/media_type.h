#ifndef MEDIA_TYPE_H
#define MEDIA_TYPE_H

#include "base/slice.h"
#include "base/status.h"
#include "http/request.h"

/* The media types of bodies, as the values of Accept and Accept-Patch. */
#define MEDIA_TYPE_ACCEPT "application/json"
#define MEDIA_TYPE_ACCEPT_PATCH \
	"application/merge-patch+json, " MEDIA_TYPE_ACCEPT

/*
 * Check the value of Content-Type (RFC 9110 section 8.3) of a request with
 * *method*.  STATUS_OK if it is application/json or, for PATCH,
 * application/merge-patch+json (RFC 7396), without a charset or with UTF-8;
 * otherwise STATUS_UNSUPPORTED_MEDIA_TYPE.
 */
enum status media_type_check(
    enum method method, struct slice content_type) MUST_CHECK;

#endif
