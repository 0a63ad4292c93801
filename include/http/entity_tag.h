#ifndef ENTITY_TAG_H
#define ENTITY_TAG_H

#include <stdbool.h>

#include "base/slice.h"

/*
 * Remove the next entity tag (RFC 9110 section 8.8.3) from *field*, a list of
 * tags, and put it into *tag*, with its quotes but without a W/ prefix.
 * Returns false if there is no further tag: then *field* is empty, or not empty
 * if the list is malformed.
 */
bool entity_tag_next(struct slice *field, struct slice *tag);

#endif
