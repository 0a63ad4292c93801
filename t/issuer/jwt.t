# Goal: issuer/jwt.js, which others copy, names a wrong option when it is started,
# not at the first token.

use v5.36;
use FindBin;
use lib "$FindBin::Bin/../lib";
use JSON::PP ();
use Test::More;
use Stack;

my $stack = Stack->new;
my $frontend = $stack->frontend;
plan skip_all => 'Better Auth is not installed' if !defined $frontend;

# The error that todoJwt() throws for options, which are JavaScript; '' for none.
sub thrown ($options) {
	local $ENV{OPTIONS} = $options;
	my $script = q{
		import { todoJwt } from "./issuer/jwt.js";
		try { todoJwt(eval(`(${process.env.OPTIONS})`)); }
		catch (error) { console.log(`${error.name}: ${error.message}`); }
	};
	my $said = qx{cd "$frontend" && ./node --input-type=module -e '$script' 2>&1};
	return $said =~ s/\s+\z//r;
}

my $others = 'issuer: "https://a", audience: "https://a"';
my $right = qq{secret: "x".repeat(32), $others};
is(thrown("{ $_ }"), '', "accepted: $_")
    for $right, "$right, lifetime: 1", "$right, lifetime: 86400", "$right, kid: 0",
    "$right, kid: 'a'",
    qq{secret: "\\u00e9".repeat(16), $others};
like(thrown("{ $_->[1] }"), qr/\ATypeError: todoJwt: $_->[0] must be [^\n]*\z/, "refused: $_->[1]")
    for [secret => $others], [secret => "secret: undefined, $others"],
    [secret => "secret: null, $others"],
    [secret => qq{secret: "x".repeat(31), $others}],
    [secret => "secret: Buffer.alloc(32), $others"],
    [secret => qq{secret: "\\u00e9".repeat(15), $others}],
    [issuer => 'secret: "x".repeat(32), audience: "a"'], [issuer => "$right, issuer: undefined"],
    [issuer => "$right, issuer: ''"], [issuer => "$right, issuer: new URL('https://a')"],
    [audience => 'secret: "x".repeat(32), issuer: "a"'], [audience => "$right, audience: ['a']"],
    [audience => "$right, audience: ''"], [audience => "$right, audience: 7"],
    (map { [lifetime => "$right, lifetime: $_"] } '0', '-1', '86401', '1.5', 'NaN', '"60"', 'null',
    '1n'),
    [kid => "$right, kid: {}"], [kid => "$right, kid: 1.5"], [kid => "$right, kid: ''"];
like(thrown('undefined'), qr/\ATypeError: todoJwt: secret/, 'refused: no options at all');
unlike(thrown(qq{ { secret: "s3cret", $others } }), qr/s3cret/,
	'an error message does not hold the secret');

$stack->done;
