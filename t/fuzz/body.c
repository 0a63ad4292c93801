/*
 * Goal: no body leads to a 500, and a body that is not JSON in UTF-8 is
 * answered with 400.
 *
 * Input: one byte, 'p' for POST, 'u' for PUT or 'c' for PATCH .../complete;
 * then the body.
 */

#include <iconv.h>

#include "fuzz.h"

/* True if *text* is UTF-8, decided by iconv() instead of utf8.c. */
static bool
is_utf8(const char *text, size_t length)
{
	static iconv_t to_utf32;
	static char out[4 * REQUEST_BODY_MAX + 4];
	char *in = (char *)(uintptr_t)text, *at = out;
	size_t room = sizeof(out);

	if (to_utf32 == NULL)
		to_utf32 = iconv_open("UTF-32LE", "UTF-8");
	(void)iconv(to_utf32, NULL, NULL, NULL, NULL);
	return iconv(to_utf32, &in, &length, &at, &room) != (size_t)-1;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char task[] =
	    "/api/" FUZZ_USER "/tasks/019ab2f4-6c1e-7d3a-9f42-0b6f6e0c9a11";
	struct arena *arena = fuzz_arena();
	struct buffer out = buffer_in(arena);
	struct request request;
	char target[128];
	unsigned status;

	if (size == 0 || size > REQUEST_BODY_MAX ||
	    memchr("puc", data[0], 3) == NULL)
		return -1;
	(void)snprintf(target, sizeof(target), "%s%s",
	    data[0] == 'p' ? "/api/" FUZZ_USER "/tasks" : task,
	    data[0] == 'c' ? "/complete" : "");
	request = (struct request) {
		.method = data[0] == 'p' ? METHOD_POST
		    : data[0] == 'u'	 ? METHOD_PUT
					 : METHOD_PATCH,
		.target = slice_of(target),
		.authorization = slice_of(fuzz_authorization()),
		.content_type = SLICE("application/json"),
		.id = SLICE("0"),
		.body = { (const char *)data + 1, size - 1 },
	};
	dispatch(
	    &fuzz_settings, fuzz_tokens(), fuzz_db(), arena, &request, &out);
	status = fuzz_status(&out);
	never(status != 400 && status != 422 && status != 503);
	if (status != 400) {
		never(!is_utf8(request.body.data, request.body.length));
		never(memchr(data, '\0', size) != NULL);
		never(request.body.length > 0 &&
		    memmem(data, size, "\\u0000", 6) != NULL &&
		    memmem(data, size, "\\\\u0000", 7) == NULL);
	}
	if (status == 503 && request.body.length > 0)
		never(memchr(data, '{', size) == NULL ||
		    memchr(data, '}', size) == NULL);
	arena_reset(arena);
	return 0;
}
