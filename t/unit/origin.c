/*
 * Goal: the origin of a URL is what a browser says it is; a URL that a browser
 * would rewrite by more than case and default port is refused.
 */
#include "http/origin.h"

#include "full.h"
#include "tap.h"

#define SCHEME "does not begin with https:// or http://"
#define USER "has a user or password: write scheme, host and port alone"
#define HOST                                                              \
	"host is not a name of A-Z a-z 0-9 - _ and single dots, an IPv4 " \
	"address, or an IPv6 address in brackets, each in its shortest form"
#define PORT "port is not a number from 1 to 65535 in plain decimal digits"

static void
test_accepted(struct arena *arena)
{
	static const struct {
		const char *url, *origin;
	} table[] = {
		{ "https://todo.example", "https://todo.example" },
		{ "https://todo.example/", "https://todo.example" },
		{ "HTTPS://ToDo.Example/Api/Auth?a=b#c",
		    "https://todo.example" },
		{ "https://todo.example:443", "https://todo.example" },
		{ "https://todo.example:80", "https://todo.example:80" },
		{ "https://todo.example:8443/x", "https://todo.example:8443" },
		{ "https://todo.example:1", "https://todo.example:1" },
		{ "https://todo.example:65535", "https://todo.example:65535" },
		{ "http://localhost", "http://localhost" },
		{ "http://LOCALHOST:80", "http://localhost" },
		{ "http://localhost:443", "http://localhost:443" },
		{ "http://127.0.0.1:3000", "http://127.0.0.1:3000" },
		{ "http://1.2.3.4.example", "http://1.2.3.4.example" },
		{ "http://a-b_c.example", "http://a-b_c.example" },
		{ "http://xn--bcher-kva.example",
		    "http://xn--bcher-kva.example" },
		{ "http://[::1]", "http://[::1]" },
		{ "http://[::1]:80/", "http://[::1]" },
		{ "http://[::1]:8080/", "http://[::1]:8080" },
		{ "http://[2001:DB8::1]", "http://[2001:db8::1]" },
		{ "http://u1/path:80@x", "http://u1" },
	};

	for (size_t i = 0; i < ARRAY_COUNT(table); i++) {
		const char *problem = NULL;
		struct slice origin = { NULL, 0 };

		ok(origin_read(arena, slice_of(table[i].url), &problem,
		       &origin) == STATUS_OK &&
			slice_equal(origin, slice_of(table[i].origin)),
		    "URL %zu has the origin %s", i, table[i].origin);
	}
}

static void
test_refused(struct arena *arena)
{
	static const struct {
		struct slice url;
		const char *problem;
	} table[] = {
		{ SLICE(""), SCHEME },
		{ SLICE("todo.example"), SCHEME },
		{ SLICE("//todo.example"), SCHEME },
		{ SLICE("https:todo.example"), SCHEME },
		{ SLICE("https:/todo.example"), SCHEME },
		{ SLICE("https//todo.example"), SCHEME },
		{ SLICE("ftp://todo.example"), SCHEME },
		{ SLICE("httpss://todo.example"), SCHEME },
		{ SLICE("javascript://todo.example"), SCHEME },
		{ SLICE(" https://todo.example"), SCHEME },

		{ SLICE("https://user@todo.example"), USER },
		{ SLICE("https://user:pass@todo.example/"), USER },
		{ SLICE("https://@todo.example"), USER },

		{ SLICE("https://"), HOST },
		{ SLICE("https:///"), HOST },
		{ SLICE("https://:443"), HOST },
		{ SLICE("https:///todo.example"), HOST },
		{ SLICE("https://?x"), HOST },
		{ SLICE("https://todo.example?x"), HOST },
		{ SLICE("https://todo.example#x@y"), USER },
		{ SLICE("https://todo.example#x"), HOST },
		{ SLICE("https://todo.example\\x"), HOST },
		{ SLICE("https://todo example"), HOST },
		{ SLICE("https://todo.example "), HOST },
		{ SLICE("https://todo.example\n"), HOST },
		{ SLICE("https://todo.example\0"), HOST },
		{ SLICE("https://to%64o.example"), HOST },
		{ SLICE("https://t\xC3\xB6"
			"do.example"),
		    HOST },
		{ SLICE("https://todo.example,https://b.example"), HOST },
		{ SLICE("https://*.example"), HOST },
		{ SLICE("https://todo.example."), HOST },
		{ SLICE("https://.todo.example"), HOST },
		{ SLICE("https://todo..example"), HOST },
		{ SLICE("https://."), HOST },
		{ SLICE("https://127.1"), HOST },
		{ SLICE("https://127.0.0.01"), HOST },
		{ SLICE("https://0x7f.1"), HOST },
		{ SLICE("https://127.0.0.0x1"), HOST },
		{ SLICE("https://127.0.0.0X1"), HOST },
		{ SLICE("https://2130706433"), HOST },
		{ SLICE("https://1.2.3.4."), HOST },
		{ SLICE("https://1.2.3.256"), HOST },
		{ SLICE("https://1.2.3.4.5"), HOST },
		{ SLICE("https://[::1"), HOST },
		{ SLICE("https://["), HOST },
		{ SLICE("https://[]"), HOST },
		{ SLICE("https://[::1]x"), HOST },
		{ SLICE("https://[::1]x:80"), HOST },
		{ SLICE("https://[::1\0]"), HOST },
		{ SLICE("https://::1"), HOST },
		{ SLICE("https://[::1%25lo]"), HOST },
		{ SLICE("https://[2001:DB8:0:0::0001]"), HOST },
		{ SLICE("https://[0:0:0:0:0:0:0:1]"), HOST },
		{ SLICE("https://[1:2:3:4:5:6:7:8:9]"), HOST },
		/* Browsers write these without dots, inet_ntop() with. */
		{ SLICE("https://[::ffff:1.2.3.4]"), HOST },
		{ SLICE("https://[::ffff:102:304]"), HOST },
		{ SLICE("https://[::102:304]"), HOST },
		{ SLICE("https://[todo.example]"), HOST },
		{ SLICE("https://[1111:2222:3333:4444:5555:6666:7777:8888:"
			"9999:AAAA]"),
		    HOST },

		{ SLICE("https://todo.example:"), PORT },
		{ SLICE("https://todo.example:/x"), PORT },
		{ SLICE("https://todo.example:0"), PORT },
		{ SLICE("https://todo.example:00443/"), PORT },
		{ SLICE("https://todo.example:65536"), PORT },
		{ SLICE("https://todo.example:99999999999"), PORT },
		{ SLICE("https://todo.example:18446744073709551696"), PORT },
		{ SLICE("https://todo.example:-1"), PORT },
		{ SLICE("https://todo.example:+80"), PORT },
		{ SLICE("https://todo.example:80a"), PORT },
		{ SLICE("https://todo.example: 80"), PORT },
		{ SLICE("https://todo.example:80:80"), PORT },
		{ SLICE("https://todo.example:443?x"), PORT },
		{ SLICE("https://[::1]:"), PORT },
	};

	for (size_t i = 0; i < ARRAY_COUNT(table); i++) {
		const char *problem = NULL;
		struct slice origin;
		enum status status = origin_read(
		    arena, table[i].url, &problem, &origin);

		ok(status == STATUS_INVALID && problem != NULL &&
			strcmp(problem, table[i].problem) == 0,
		    "URL %zu is refused: %s", i,
		    problem == NULL ? "not at all" : problem);
	}
}

static void
test_memory(void)
{
	struct arena *full = full_arena(0);
	struct slice origin;
	const char *problem;

	ok(origin_read(full, SLICE("https://todo.example"), &problem,
	       &origin) == STATUS_INTERNAL,
	    "without memory there is no verdict");
	arena_free(full);
}

int
main(void)
{
	struct arena *arena;

	if ((arena = arena_new(1 << 20)) == NULL)
		return 1;
	test_accepted(arena);
	test_refused(arena);
	test_memory();
	arena_free(arena);
	return tap_done();
}
