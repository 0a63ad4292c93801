#ifndef JSON_WRITE_H
#define JSON_WRITE_H

#include "base/buffer.h"
#include "base/slice.h"

/*
 * Append *text*, which must be valid UTF-8, to *out* as a JSON string with its
 * quotes (RFC 8259 section 7).  Only characters that must be escaped are.
 */
void json_write_string(struct buffer *out, struct slice text);

#endif
