#include "http/origin.h"

#include <arpa/inet.h>

#include "base/array.h"
#include "base/text.h"

#define PORT_MAX 65535

/* Take "SCHEME://" off *rest*; *port* is the scheme's default. */
static bool
take_scheme(struct slice *rest, uint64_t *port)
{
	static const struct {
		struct slice text;
		uint64_t port;
	} schemes[] = {
		{ { "https://", 8 }, 443 },
		{ { "http://", 7 }, 80 },
	};

	for (size_t i = 0; i < ARRAY_COUNT(schemes); i++) {
		if (!slice_take_prefix(rest, schemes[i].text))
			continue;
		*port = schemes[i].port;
		return true;
	}
	return false;
}

/* Take what is before the first slash, host and port, off *rest*. */
static struct slice
take_authority(struct slice *rest)
{
	const char *slash = memchr(rest->data, '/', rest->length);

	return slice_take(
	    rest, slash == NULL ? rest->length : (size_t)(slash - rest->data));
}

/* Take the host off *authority*; a port is left with its colon. */
static struct slice
take_host(struct slice *authority)
{
	char end = authority->length > 0 && authority->data[0] == '[' ? ']'
								      : ':';
	const char *found = memchr(authority->data, end, authority->length);

	if (found == NULL)
		return slice_take(authority, authority->length);
	return slice_take(
	    authority, (size_t)(found - authority->data) + (end == ']'));
}

/* Copy *text* into *buffer*, terminated.  False if the buffer is too small. */
static bool
terminate(struct slice text, char *buffer, size_t size)
{
	if (text.length >= size)
		return false;
	memcpy(buffer, text.data, text.length);
	buffer[text.length] = '\0';
	return true;
}

/*
 * True if *text* is an IPv6 address as RFC 5952 writes it.  inet_ntop() writes
 * one that embeds an IPv4 address with dots, browsers without.
 */
static bool
is_ipv6(struct slice text)
{
	char given[INET6_ADDRSTRLEN], written[INET6_ADDRSTRLEN];
	struct in6_addr address;

	return terminate(text, given, sizeof(given)) &&
	    inet_pton(AF_INET6, given, &address) == 1 &&
	    inet_ntop(AF_INET6, &address, written, sizeof(written)) != NULL &&
	    slice_equal(text, slice_of(written)) &&
	    strchr(written, '.') == NULL;
}

static bool
is_ipv4(struct slice text)
{
	char given[INET_ADDRSTRLEN];
	struct in_addr address;

	return terminate(text, given, sizeof(given)) &&
	    inet_pton(AF_INET, given, &address) == 1;
}

static bool
is_label(struct slice text)
{
	for (size_t i = 0; i < text.length; i++) {
		char c = text.data[i];

		if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') &&
		    c != '-' && c != '_')
			return false;
	}
	return text.length > 0;
}

/* True if browsers take a host with the last *label* for an IPv4 address. */
static bool
is_number(struct slice label)
{
	uint64_t number;

	return text_read_decimal(label, &number) ||
	    (label.length >= 2 && label.data[0] == '0' && label.data[1] == 'x');
}

static bool
is_name(struct slice host)
{
	struct slice rest = host, label;

	while (slice_take_until(&rest, '.', &label)) {
		if (!is_label(label))
			return false;
	}
	return is_label(rest) && (!is_number(rest) || is_ipv4(host));
}

static bool
is_host(struct slice host)
{
	if (host.length < 2 || host.data[0] != '[')
		return is_name(host);
	return host.data[host.length - 1] == ']' &&
	    is_ipv6((struct slice) { host.data + 1, host.length - 2 });
}

/*
 * Read *url*, in lower case, into *origin*, which is the beginning of it.
 * Returns what is wrong with the URL, or NULL.
 */
static const char *
read_lower(struct slice url, struct slice *origin)
{
	struct slice rest = url, authority, host;
	uint64_t standard_port, port;

	if (!take_scheme(&rest, &standard_port))
		return "does not begin with https:// or http://";
	authority = take_authority(&rest);
	if (memchr(authority.data, '@', authority.length) != NULL)
		return "has a user or password: write scheme, host and port "
		       "alone";
	host = take_host(&authority);
	if (!is_host(host) ||
	    (authority.length > 0 && authority.data[0] != ':'))
		return "host is not a name of A-Z a-z 0-9 - _ and single dots, "
		       "an IPv4 address, or an IPv6 address in brackets, "
		       "each in its shortest form";

	origin->data = url.data;
	origin->length = (size_t)(authority.data - url.data);
	if (authority.length == 0)
		return NULL;
	(void)slice_take(&authority, 1);
	if (!text_read_number(authority, 1, PORT_MAX, &port))
		return "port is not a number from 1 "
		       "to " TEXT_OF(PORT_MAX) " in plain decimal digits";
	if (port != standard_port)
		origin->length += 1 + authority.length;
	return NULL;
}

enum status
origin_read(struct arena *arena, struct slice url, const char **problem,
    struct slice *origin)
{
	char *copy;

	if ((copy = arena_copy(arena, url)) == NULL)
		return STATUS_INTERNAL;
	for (size_t i = 0; i < url.length; i++) {
		if (copy[i] >= 'A' && copy[i] <= 'Z')
			copy[i] |= 0x20;
	}
	*problem = read_lower((struct slice) { copy, url.length }, origin);
	return *problem == NULL ? STATUS_OK : STATUS_INVALID;
}
