# Goal: the issuer does not repair its own settings: it uses a value as it stands, or
# refuses it in words that hold no part of it. The origin of each accepted URL is the one
# that a browser makes of the same text. (t/program/settings.t has the settings that the
# issuer shares with the program.)

use v5.36;
use FindBin;
use lib "$FindBin::Bin/../lib";
use IPC::Open2;
use JSON::PP ();
use Test::More;
use Stack;

my $stack = Stack->new;
my $frontend = $stack->frontend;
plan skip_all => 'Better Auth is not installed' if !defined $frontend;

# Runs a script with `input` as JSON. Returns the JSON that it prints.
sub node ($script, $input) {
	chdir $frontend or die $!;
	my $pid = open2(my $from, my $to, './node', '--input-type=module', '-e', $script);
	print {$to} JSON::PP->new->utf8->encode($input);
	close $to;
	my $text = do { local $/; <$from> };
	waitpid $pid, 0;
	return $? == 0 ? JSON::PP->new->utf8->decode($text) : [];
}

my %least = (
	BETTER_AUTH_SECRET => 'x' x 32, BETTER_AUTH_URL => 'https://todo.example',
	ISSUER_DATABASE => 'mysql://ann:p%3Bw@localhost/b?socketPath=/run/mysqld/mysqld.sock',
	ISSUER_SOCKET => '/run/a.sock',
);
my $host = 'host is not a name of A-Z a-z 0-9 - _ and single dots, an IPv4 address, '
    . 'or an IPv6 address in brackets, each in its shortest form';
my $trimmed = 'has white space or a control character at its beginning or end';
my $lifetime = 'is not a number of seconds from 1 to 86400 in plain decimal digits';
my $port = 'is not a number from 1 to 65535 in plain decimal digits';
my $scheme = 'does not begin with mysql:// or mariadb://';
my $normal = 'is not a URL in normal form: percent-encode special characters';

# [settings, their meaning or the refusal]
my @cases = (
	[{}, { lifetime => 86400, listen => { path => '/run/a.sock' }, rateLimit => 1,
		trustedOrigins => [], database => $least{ISSUER_DATABASE} }],

	[{ TOKEN_LIFETIME => 1 }, { lifetime => 1 }],
	[{ TOKEN_LIFETIME => 86400, JWT_MAX_LIFETIME => 60 }, { lifetime => 60 }],
	[{ TOKEN_LIFETIME => 50, JWT_MAX_LIFETIME => 60 }, { lifetime => 50 }],
	(map { [{ TOKEN_LIFETIME => $_ }, "TOKEN_LIFETIME: $lifetime"] }
	    '0', '86401', '060', '+60', '6e1', '0x3c', '60.0', '60s', "\x{666}\x{660}"),
	[{ TOKEN_LIFETIME => ' 60' }, "TOKEN_LIFETIME: $trimmed"],

	[{ ISSUER_SOCKET => '', ISSUER_PORT => 8080 },
	    { listen => { host => '127.0.0.1', port => 8080 } }],
	(map { [{ ISSUER_SOCKET => '', ISSUER_PORT => $_ }, "ISSUER_PORT: $port"] }
	    '0', '65536', '080', '8_080'),
	[{ ISSUER_PORT => 8080 }, 'ISSUER_SOCKET: ISSUER_PORT is set too: set only one of them'],
	[{ ISSUER_SOCKET => '' }, 'ISSUER_SOCKET: not set, nor is ISSUER_PORT'],
	[{ ISSUER_SOCKET => 'run/a.sock' }, 'ISSUER_SOCKET: is not an absolute path'],
	[{ ISSUER_SOCKET => '/run/a.sock ' }, "ISSUER_SOCKET: $trimmed"],

	[{ ISSUER_DATABASE => 'mariadb://ann@[::1]:3306/b' },
	    { database => 'mariadb://ann@[::1]:3306/b' }],
	[{ ISSUER_DATABASE => '' }, 'ISSUER_DATABASE: not set'],
	(map { [{ ISSUER_DATABASE => $_ }, "ISSUER_DATABASE: $scheme"] }
	    'localhost', 'MYSQL://ann@localhost/b', 'mysql:ann@localhost/b', 'postgres://a/b'),
	(map { [{ ISSUER_DATABASE => $_ }, "ISSUER_DATABASE: $normal"] }
	    'mysql://ann:a b@localhost/b', "mysql://ann\@local\thost/b",
	    'mysql://ann:a|b@localhost/b', 'mysql://ann@localhost:03306/b', 'mysql://a/x/../b'),
	(map { [{ ISSUER_DATABASE => $_ }, 'ISSUER_DATABASE: names no database'] }
	    'mysql://ann@localhost', 'mysql://ann@localhost/', 'mysql://',
	    'mysql://ann@localhost?socketPath=/x'),
	[{ ISSUER_DATABASE => "$least{ISSUER_DATABASE}\n" }, "ISSUER_DATABASE: $trimmed"],

	[{ TRUSTED_ORIGINS => 'https://a.example,http://[::1]:3000' },
	    { trustedOrigins => ['https://a.example', 'http://[::1]:3000'] }],
	[{ TRUSTED_ORIGINS => 'https://a.example, https://b.example' },
	    "TRUSTED_ORIGINS, entry 2: $trimmed"],
	[{ TRUSTED_ORIGINS => 'https://a.example,' },
	    'TRUSTED_ORIGINS, entry 2: does not begin with https:// or http://'],
	[{ TRUSTED_ORIGINS => 'https://A.example:443/,http://b.example/x?y' },
	    { trustedOrigins => ['https://a.example', 'http://b.example'] }],
	[{ TRUSTED_ORIGINS => 'https://a.example?y' }, "TRUSTED_ORIGINS, entry 1: $host"],
	[{ TRUSTED_ORIGINS => 'https://*.example' }, "TRUSTED_ORIGINS, entry 1: $host"],

	[{ ISSUER_RATE_LIMIT => 'off' }, { rateLimit => '' }],
	(map { [{ ISSUER_RATE_LIMIT => $_ }, 'ISSUER_RATE_LIMIT: is neither on nor off'] }
	    'Off', '0', 'false', 'none'),

	# Node's URL knows Punycode, which the program does not.
	[{ BETTER_AUTH_URL => 'https://xn--bcher-kva.example' },
	    { baseURL => 'https://xn--bcher-kva.example' }],
	[{ BETTER_AUTH_URL => 'https://xn--a.example' }, "BETTER_AUTH_URL: $host"],
);

# The environment holds texts.
my @environments = map { my %env = (%least, $_->[0]->%*); +{ map { $_ => "$env{$_}" } keys %env } }
    @cases;
my $told = node(<<'END', \@environments);
import { readFileSync } from "node:fs";
import { readSettings, SettingsError } from "./issuer/settings.js";
console.log(JSON.stringify(JSON.parse(readFileSync(0, "utf8")).map((env) => {
	try {
		return readSettings(env);
	} catch (error) {
		if (!(error instanceof SettingsError))
			throw error;
		return error.message;
	}
})));
END
is(scalar @$told, scalar @cases, 'the issuer says what it reads');
for (@cases) {
	my ($settings, $expected) = @$_;
	my $got = shift @$told;
	my $name = JSON::PP->new->ascii->canonical->encode($settings);
	if (!ref $expected) {
		is($got, $expected, "$name is refused");
		next;
	}
	$got->{rateLimit} = $got->{rateLimit} ? 1 : '' if ref $got;
	is_deeply(ref $got ? { map { $_ => $got->{$_} } keys %$expected } : $got, $expected,
		"$name is taken as it stands");
}

# Texts made of what URLs are made of: what is taken has the same origin for a
# browser.
my @parts = ('a', 'b.c', 'x', '-', '_', '.', '0', '1', '255', '0x', ':', '::', '[', ']', '443',
	'80', 'xn--', 'ffff', 'A', '%41', '~', '@', '/', "\x{e9}", "\x{3002}", "\t");
my @texts = map {
	my $bare = join '', map { $parts[rand @parts] } 1 .. 1 + rand 7;
	my $address = join ':', map { (0, 1, '', 'a', 'ffff', '01')[rand 6] } 1 .. 1 + rand 8;
	my $port = ('', ':80', ':443', ':8443', ':0', ':01')[rand 6];
	(('https://', 'http://', 'HTTP://')[rand 3] . (rand > 0.3 ? $bare : "[$address]$port"));
} 1 .. 50_000;
my $origins = node(<<'END', \@texts);
import { readFileSync } from "node:fs";
import { readOrigin } from "./issuer/origin.js";
import { SettingsError } from "./issuer/values.js";
const texts = JSON.parse(readFileSync(0, "utf8"));
const taken = new Map();
for (const text of texts) {
	try {
		taken.set(text, readOrigin("X", text));
	} catch (error) {
		if (!(error instanceof SettingsError))
			throw error;
	}
}
const differing = [...taken].filter(([text, origin]) => new URL(text).origin !== origin);
console.log(JSON.stringify([taken.size, differing]));
END
cmp_ok($origins->[0] // 0, '>', 2000, "$origins->[0] of 50,000 texts are accepted as URLs");
is_deeply($origins->[1], [], 'each accepted URL has the origin that a browser makes of it');

$stack->done;
