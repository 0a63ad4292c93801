#ifndef FCGI_RECORD_H
#define FCGI_RECORD_H

#include "base/slice.h"

/*
 * Write *answer* to the connection *fd* as the FastCGI records that answer and
 * end the request *request_id* (FastCGI specification, sections 3.3 and 5).
 *
 * An answer of up to 2 MB goes out in a single write.  Gives up without a
 * report if the write fails or is interrupted by a signal.
 */
void fcgi_record_send(int fd, unsigned request_id, struct slice answer);

#endif
