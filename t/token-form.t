# Goal: the form, the header and the signature of a token are checked as the
# contract says. A token is accepted only in canonical form, with alg HS256, under
# the right key; whatever is wrong, the client learns nothing but token_invalid.

use v5.36;
use Digest::SHA qw(hmac_sha1 hmac_sha256 hmac_sha384 hmac_sha512);
use FindBin;
use lib "$FindBin::Bin/lib";
use MIME::Base64 qw(decode_base64 encode_base64);
use Test::More;
use Facts;
use Stack;
use Token qw(b64u unb64u sign claims payload);

my $stack = Stack->new;
my $alice = $stack->user;
my $key = $stack->secret;
my ($h, $p, $s) = split /\./, $alice->token;

sub me ($token) { $alice->get('/api/me', { Authorization => "Bearer $token" }) }
sub taken ($token, $name) { answers(me($token), 200, $name) }
# The client learns nothing but "Invalid token".
sub refused ($token, $name) {
	refuses(me($token), token_invalid => $name, detail => qr/\AInvalid token\z/)
}

# Signs the segments as they are written.
sub signed ($header, $payload) { sign($header, $payload, $key) }

# Segments -----------------------------------------------------------------

taken("$h.$p.$s", 'three segments');
refused($h, 'one segment');
refused("$h.$p", 'two segments');
refused("$h.$p.", 'an empty signature');
refused("$h..$s", 'an empty payload');
refused(".$p.$s", 'an empty header');
refused('..', 'two dots alone');
refused('.', 'one dot alone');
refused(signed('', $p), 'an empty header, signed');
refused(signed($h, ''), 'an empty payload, signed');
refused("$h.$p.$s.", 'a dot at the end');
refused(".$h.$p.$s", 'a dot at the beginning');
refused("$h.$p.$s.$s", 'four segments');
refused("$h.$p.$s.$s.$s", 'five segments, as in a JWE');
refused(signed("$h.$p", $p), 'four segments, signed');

# Bytes outside the alphabet, in header, payload and signature.
my @foreign = ('=', '==', '+', '/', ' ', "\t", '#', '%', '*', ',', '~', '"',
    "\x7f", "\x80", "\xff", "\xc3\xa9", "\x01");
for my $byte (@foreign) {
	my $name = join ' ', map { sprintf '%02x', ord } split //, $byte;
	refused(signed("$h$byte", $p), "bytes $name after the header");
	refused(signed($h, "$p$byte"), "bytes $name after the payload");
	refused(signed(substr($h, 0, 8) . $byte . substr($h, 8), $p), "bytes $name in the header");
	refused(signed($h, substr($p, 0, 8) . $byte . substr($p, 8)), "bytes $name in the payload");
	refused("$h.$p.$s$byte", "bytes $name after the signature") if $byte !~ /\A[ \t]\z/;
	refused("$h.$p." . substr($s, 0, 8) . $byte . substr($s, 9),
		"bytes $name in the signature");
}

# No padding, even where base64 has it.
for my $spaces (0 .. 2) {
	my $header = b64u('{"alg":"HS256"' . ' ' x $spaces . '}');
	taken(signed($header, $p), 'a header of ' . length($header) . ' characters');
	my $padded = $header . '=' x (-length($header) % 4);
	refused(signed($padded, $p), "a padded header: $padded") if $padded ne $header;
}

# The other alphabet: + and / instead of - and _.
my $both = '{"alg":"HS256","x":"' . "\xc3\xbf\xe2\x8f\xbe~~~???>>>" . '"}';
my ($at) = grep { b64u($both . ' ' x $_) =~ /-.*_|_.*-/ } 0 .. 2;
$both .= ' ' x $at;
taken(signed(b64u($both), $p), 'a header with - and _');
refused(signed(b64u($both) =~ tr{-}{+}r, $p), 'a header with + instead of -');
refused(signed(b64u($both) =~ tr{_}{/}r, $p), 'a header with / instead of _');
my ($flip) = grep { $_ =~ tr/-_// } map { signed($h, b64u("{$_" . substr(unb64u($p), 1))) }
    map { ' ' x $_ } 0 .. 40;
taken($flip, 'a token with - or _');
refused($flip =~ s/[^.]*\z/$& =~ tr{-_}{+\/}r/er, 'a signature in the other alphabet')
    if $flip =~ /[-_][^.]*\z/;

# The last character is the canonical one: its unused bits are 0.
my @digits = ('A' .. 'Z', 'a' .. 'z', 0 .. 9, '-', '_');
my %value = map { $digits[$_] => $_ } 0 .. 63;
sub others ($segment) {
	my $spare = { 0 => 0, 2 => 4, 3 => 2 }->{ length($segment) % 4 };
	my $last = $value{ substr $segment, -1 };
	return map { substr($segment, 0, -1) . $digits[$last + $_] } 1 .. 2**$spare - 1;
}
for my $spaces (0 .. 2) {
	my $header = b64u('{"alg":"HS256"' . ' ' x $spaces . '}');
	refused(signed($_, $p), "a header that ends in another character: $_") for others($header);
	my $payload = b64u(unb64u($p) . ' ' x $spaces);
	taken(signed($h, $payload), 'a payload of ' . length($payload) . ' characters');
	refused(signed($h, $_), 'a payload that ends in ' . substr $_, -1) for others($payload);
}
refused("$h.$p.$_", 'a signature that ends in ' . substr $_, -1) for others($s);
my $impossible = length($h) - (3, 0, 1, 2)[length($h) % 4];
refused(signed(substr($h, 0, $impossible), $p), 'a header of an impossible length');

# Size: 4,096 bytes, and 4,097.
sub sized ($n) {
	for my $pad (2000 .. 3200) {
		my $token =
		    $stack->token_of($alice->id, claims => { pad => '"' . 'x' x $pad . '"' });
		return $token if length $token == $n;
	}
}
my $fits = sized(4096) // sized(4095);
taken($fits, 'a token of ' . length($fits) . ' bytes');
my $over = sized(4097) // sized(4098);
refused($over, 'a token of ' . length($over) . ' bytes');
refused('x' x 4096, '4,096 bytes without a dot');

# Header -------------------------------------------------------------------

sub header ($text) { signed(b64u($text), $p) }

taken(header('{"alg":"HS256"}'), 'a header without typ');
taken(header(qq({"typ":"$_","alg":"HS256"})), "typ $_") for qw(JWT jwt Jwt jWt);
taken(header('{"alg":"HS256","kid":"anything"}'), 'a kid');
taken(header('{"alg":"HS256","kid":""}'), 'an empty kid');
my $evil = '"https://evil.example/"';
taken(header(qq({"alg":"HS256","jku":$evil,"x5u":$evil,"jwk":{"kty":"oct","k":"AA"}})),
    'a header with jku, x5u and jwk, which are ignored');
taken(header(" {\"alg\" : \"HS256\"}\n"), 'a header with blanks');

refused(header($_), "alg: $_") for map { qq({"alg":$_,"typ":"JWT"}) }
    qw("hs256" "Hs256" "HS384" "HS512" "none" "None" "NONE" "" "RS256" "ES256" "PS256" "EdDSA"
    "HS256\u0000" "HS25" "HS2566" null 0 256 true [] {} ["HS256"] {"HS256":1}), '"HS256 "',
    '" HS256"';
refused(header($_), "typ: $_")
    for map { qq({"alg":"HS256","typ":$_}) }
    qw("JOSE" "at+jwt" "JWE" "" "JWT\u0000" "application/jwt" null 0 true [] {} ["JWT"]), '"JWT "',
    '" JWT"';
refused(header($_), "kid: $_")
    for map { qq({"alg":"HS256","kid":$_}) } qw(null 0 1 true [] {} ["1"]);
for my $name (qw(crit b64 zip cty)) {
	refused(header($_), $_) for map { qq({"alg":"HS256","$name":$_}) }
	    qw(null true false "" "DEF" "JWT" [] ["exp"]);
}
refused(header('{"alg":"HS256","\u0063rit":["exp"]}'), 'crit written with an escape');

refused(header($_), "header: $_") for '{}', '[]', '""', '"HS256"', 'null', '1', '',
    '{"typ":"JWT"}', '[{"alg":"HS256"}]', '{"alg":"HS256"', '"alg":"HS256"}', '{alg:"HS256"}',
    "{'alg':'HS256'}", '{"alg":"HS256",}', '{"alg":"HS256"}}', '{"alg":"HS256"}{"alg":"HS256"}',
    '{"alg":"HS256"} x', '{"alg":"HS256"}//', '{"alg":"HS256","x":NaN}', '{"alg":"HS256","x":01}',
    '{"ALG":"HS256"}', '{"alg ":"HS256"}', '{"alg":"HS256","x":"' . "\t" . '"}';
refused(header($_), "twice: $_")
    for '{"alg":"HS256","alg":"HS256"}', '{"alg":"none","alg":"HS256"}',
    '{"alg":"HS256","alg":"none"}', '{"alg":"HS256","typ":"JWT","typ":"JWT"}',
    '{"alg":"HS256","\u0061lg":"HS256"}', '{"alg":"HS256","x":1,"x":2}',
    '{"alg":"HS256","x":{"y":1,"y":2}}';
refused(header("\xef\xbb\xbf{\"alg\":\"HS256\"}"), 'a byte order mark before the header');
refused(header("{\"alg\":\"HS256\"}\0"), 'NUL after the header');
refused(header("{\"alg\":\"HS256\"}\0garbage"), 'NUL and garbage after the header');
refused(header("\0{\"alg\":\"HS256\"}"), 'NUL before the header');
refused(header("{\"alg\":\"HS256\",\"x\":\"\0\"}"), 'NUL in the header');
refused(header('{"alg":"HS256","x\u0000":1}'), 'NUL in the name of a member');
refused(header("{\"alg\":\"HS256\",\"x\":\"$_\"}"), 'bad UTF-8 in the header')
    for "\xff", "\xc0\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xe2\x82";
refused(header("\xff\xfe{\0}\0"), 'a header in UTF-16');
refused(header('{"alg":"HS256","x":' . '[' x 1000 . ']' x 1000 . '}'),
	'a header with 1,000 brackets');

# Signature ----------------------------------------------------------------

my $input = "$h.$p";
refused("$h.$p." . b64u(hmac_sha256($input, $_->[1])), "a key: $_->[0]") for
    ['different', 'a different secret of thirty-two bytes'], ['empty', ''],
    ['with a newline', "$key\n"], ['with a blank', "$key "], ['with NUL', "$key\0x"],
    ['cut short', substr $key, 0, -1], ['base64-decoded', decode_base64($key)],
    ['base64url-decoded', unb64u($key)], ['base64-encoded', encode_base64($key, '')],
    ['the built-in default', 'better-auth-secret-12345678901234567890'];
refused("$h.$p." . b64u($_->[1]), "a signature: $_->[0]") for
    ['HMAC-SHA1', hmac_sha1($input, $key)], ['HMAC-SHA384', hmac_sha384($input, $key)],
    ['HMAC-SHA512', hmac_sha512($input, $key)],
    ['HMAC-SHA512, its first half', substr hmac_sha512($input, $key), 0, 32],
    ['HMAC over the payload alone', hmac_sha256($p, $key)],
    ['HMAC over decoded segments', hmac_sha256(unb64u($h) . '.' . unb64u($p), $key)],
    ['zeros', "\0" x 32], ['one byte less', substr hmac_sha256($input, $key), 0, 31],
    ['one byte more', hmac_sha256($input, $key) . "\0"], ['one byte', "\0"];
refused("$h.$p." . unpack('H*', hmac_sha256($input, $key)), 'a signature in hexadecimal');
refused("$h.$p." . substr($s, 0, $_), "a signature cut to $_ characters") for 1, 21, 42;
refused("$h.$p.${s}A", 'a signature with one more character');
refused("$h.$p.$s$s", 'a signature twice');
my $wrong = 0;
for my $i (0 .. 42) {
	my $c = substr $s, $i, 1;
	my $other = $i < 42 ? $digits[$value{$c} ^ 1] : $digits[$value{$c} ^ 4];
	my $answer = me("$h.$p." . substr($s, 0, $i) . $other . substr $s, $i + 1);
	$wrong++ if $answer->status != 401;
}
is($wrong, 0, 'one bit changed in any of the 43 characters of the signature');

# A token without a signature, or with another kind, and the header for it.
for my $alg (qw(none None HS384 HS512)) {
	my $header = b64u(qq({"alg":"$alg","typ":"JWT"}));
	my %mac = (HS384 => \&hmac_sha384, HS512 => \&hmac_sha512);
	my $mac = $mac{$alg} // \&hmac_sha256;
	refused("$header.$p." . b64u($mac->("$header.$p", $key)), "alg $alg, signed as it says");
	refused("$header.$p.", "alg $alg, without a signature");
}

# Parts of two right tokens.
my (undef, $p2, $s2) = split /\./, $stack->token_of($alice->id, claims => { extra => 1 });
taken("$h.$p2.$s2", 'a second right token');
refused("$h.$p.$s2", 'the first payload with the second signature');
refused("$h.$p2.$s", 'the second payload with the first signature');

# The log has the code and the alg for the operator, and no byte of the token.
refuses(my $eddsa = me(header('{"alg":"EdDSA","typ":"JWT","kid":"k"}')),
    token_invalid => 'alg EdDSA, which Better Auth uses by default');
SKIP: {
	skip 'no access to the log', 4 if !defined $stack->dir;
	my $line = $stack->logged($eddsa);
	is($line->{code}, 'token_invalid', 'the log names the code');
	is($line->{alg}, 'EdDSA', 'the log names the alg of the token');
	ok(length($line->{reason} // ''), 'the log has a reason');
	is($stack->logged(me(header('{"alg":"' . 'x' x 300 . '\n\u001b[31m"}')))->{status}, 401,
	    'an alg with control bytes stays on its log line');
}

$stack->done;
