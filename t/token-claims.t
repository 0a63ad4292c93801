# Goal: the payload and the claims of a token are checked as the contract says, on
# both sides of each bound, and of several faults the first is named.

use v5.36;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Facts;
use Stack;
use Token qw(b64u claims payload json_string);

my $stack = Stack->new;
my $alice = $stack->user;
my $id = $alice->id;
my ($iss, $aud) = ($stack->issuer, $stack->audience);

sub me ($token) { $alice->get('/api/me', { Authorization => "Bearer $token" }) }
sub me_with (%claims) { me($stack->token_of($id, claims => \%claims)) }
sub me_saying ($payload) { me($stack->token_of($id, payload => $payload)) }
sub taken ($name, %claims) { answers(me_with(%claims), 200, $name) }
# The client learns nothing but "Invalid token".
sub refused ($name, %claims) {
	refuses(me_with(%claims), token_invalid => $name, detail => qr/\AInvalid token\z/)
}

my $json = payload(claims($id, $iss, $aud));
my $inner = substr $json, 1, -1;

# Payload ------------------------------------------------------------------

answers(me_saying($json), 200, 'a payload of eight claims');
answers(me_saying(" \t\r\n$json\n "), 200, 'a payload with blanks around it');
answers(me_saying('{"x":{"y":[1,2.5e3,null,true,"\u00e9\ud83d\ude00"]},' . "$inner}"), 200,
	'a payload with more members');
answers(me_saying("{\"name\":\"\xf0\x9f\x98\x80\",$inner}"), 200, 'a payload with UTF-8');

refuses(me_saying($_->[1]), token_invalid => "payload: $_->[0]")
    for ['an array', '[]'], ['an array of a right payload', "[$json]"], ['a string', '"x"'],
    ['a number', '1'],
    ['null', 'null'], ['true', 'true'], ['{}', '{}'], ['blanks', '  '], ['not JSON', 'x'],
    ['cut short', substr $json, 0, -1], ['a comma at the end', "{$inner,}"],
    ['a comma before', "{,$inner}"],
    ['a bracket after', "$json}"], ['a text after', "$json x"], ['the payload twice', "$json$json"],
    ['a comment', "$json//x"], ['a comment inside', "{/**/$inner}"], ['NaN', "{\"x\":NaN,$inner}"],
    ['Infinity', "{\"x\":-Infinity,$inner}"], ['a number 01', "{\"x\":01,$inner}"],
    ['a number 1.', "{\"x\":1.,$inner}"], ['a number .5', "{\"x\":.5,$inner}"],
    ['single quotes', "{'x':1,$inner}"], ['a bare name', "{x:1,$inner}"],
    ['a raw tab in a string', "{\"x\":\"\t\",$inner}"], ['a raw newline', "{\"x\":\"\n\",$inner}"],
    ['a wrong escape', "{\"x\":\"\\x41\",$inner}"], ['a byte order mark', "\xef\xbb\xbf$json"],
    ['NUL after', "$json\0"], ['NUL and garbage after', "$json\0garbage"],
    ['NUL and another payload after', "$json\0$json"], ['NUL before', "\0$json"],
    ['NUL in a string', "{\"x\":\"a\0b\",$inner}"],
    ['NUL as an escape', "{\"x\":\"a\\u0000b\",$inner}"],
    ['NUL in a name', "{\"x\\u0000\":1,$inner}"],
    ['a lone high surrogate', "{\"x\":\"\\ud83d\",$inner}"],
    ['a lone low surrogate', "{\"x\":\"\\ude00\",$inner}"],
    (
	map { ["bad UTF-8 " . unpack('H*', $_), "{\"x\":\"$_\",$inner}"] } "\xff", "\x80", "\xc3",
	"\xc0\x80",
	"\xc1\xbf", "\xe0\x80\x80", "\xed\xa0\x80", "\xed\xbf\xbf", "\xf0\x80\x80\x80",
	"\xf4\x90\x80\x80", "\xf8\x88\x80\x80\x80");

# No member twice: a claim, an unknown member, a member deep inside, a name with an escape.
refuses(me_saying("{$inner,\"$_->[0]\":$_->[1]}"), token_invalid => "$_->[0] twice")
    for claims($id, $iss, $aud);
refuses(me_saying("{\"user_id\":\"mallory\",$inner}"), token_invalid => 'another user_id first');
refuses(me_saying("{$inner,\"x\":1,\"x\":1}"), token_invalid => 'an unknown member twice');
refuses(me_saying("{$inner,\"x\":[{\"y\":1,\"y\":1}]}"),
	token_invalid => 'a member twice inside another');
refuses(me_saying("{$inner,\"\\u0065xp\":9999999999}"),
	token_invalid => 'exp twice, once by an escape');

# Required claims ----------------------------------------------------------

for my $name (qw(iss sub aud exp iat jti user_id user_email)) {
	refused("no $name", $name => undef);
	refused("$name is $_", $name => $_)
	    for 'null', 'true', '{}', '1.5', $name eq 'aud' ? () : '[]';
}
refused("$_ is a number", $_ => 1) for qw(iss sub aud jti user_id user_email);
refused("$_ is a string", $_ => '"' . (time + 60) . '"') for qw(exp iat nbf);
refused("$_ is an array of its right value", $_ => '["' . ({ iss => $iss }->{$_} // $id) . '"]')
    for qw(iss sub user_id user_email jti);

# exp, iat, nbf ------------------------------------------------------------

my $now = time;
for my $name (qw(exp iat nbf)) {
	my $t = $name eq 'exp' ? $now + 60 : $now - 60;
	taken("$name is an integer", $name => $t);
	refused("$name is $_", $name => $_) for "$t.0", "$t.5", "${t}e0", "${t}E+0", '1.7e9',
	    '99999999999999999999', '9223372036854775808', '-9223372036854775809', '1e400', "[$t]",
	    $name eq 'nbf' ? ('null', 'true', '{}') : ();
}
refuses(me_with(exp => $_->[1], iat => $_->[1] - 60), token_expired => "exp $_->[0]") for
    ['now', time], ['one second ago', $now - 1], ['an hour ago', $now - 3600],
    ['a day ago', $now - 86400];
refuses(me_with(exp => -1, iat => -2), token_expired => 'exp before 1970');
taken('nbf before 1970', nbf => -1);
refuses(me_with(exp => 1, iat => 0), token_expired => 'exp in 1970');
refuses(me_with(exp => 0, iat => 0), token_expired => 'exp 0');
taken('exp in a minute', exp => time + 60);

taken('iat long ago', iat => $now - 80000, exp => $now + 60);
taken('iat within the leeway', iat => time + 5);
refused('iat beyond the leeway', iat => time + 60);
refused('iat in a day', iat => time + 86400, exp => time + 86460);
refused('iat of the largest integer', iat => '9223372036854775807');
taken('nbf now', nbf => time);
taken('nbf within the leeway', nbf => time + 5);
taken('nbf 0', nbf => 0);
refused('nbf beyond the leeway', nbf => time + 60);
refused('nbf of the largest integer', nbf => '9223372036854775807');

taken('exp - iat of 86,400', iat => $now - 100, exp => $now - 100 + 86400);
refused('exp - iat of 86,401', iat => $now - 100, exp => $now - 100 + 86401);
refused('exp in 2200', exp => 7258118400);
refused('exp of the largest integer', exp => '9223372036854775807');
refused('exp - iat beyond 64 bits', exp => '9223372036854775807', iat => '-9223372036854775808');

# iss, aud -----------------------------------------------------------------

sub foreign ($code, $name, %claims) { refuses(me_with(%claims), $code => $name) }

foreign(token_issuer => "iss $_", iss => json_string($_))
    for 'https://evil.example', '', uc $iss, "$iss/",
    " $iss", "$iss ", substr($iss, 0, -1), "${iss}x", $iss =~ s/^https?/ftp/r;
foreign(token_audience => "aud $_", aud => json_string($_))
    for 'https://evil.example', '', uc $aud, "$aud/",
    " $aud", "$aud ", substr($aud, 0, -1), "${aud}x", "$aud,$aud", "[\"$aud\"]";
my $a = json_string($aud);
taken("aud $_", aud => $_)
    for "[$a]", "[\"x\",$a]", "[$a,\"x\"]", "[\"x\",\"y\",$a,\"z\"]", "[$a,$a]";
foreign(token_audience => "aud $_", aud => $_) for '["x"]', '["x","y"]', '[""]', '[]';
refused("aud $_", aud => $_)
    for "[$a,1]", "[1,$a]", "[$a,null]", "[[$a]]", "[{}]", "[$a,[]]", "{\"a\":$a}", "{$a:1}";

# user_id ------------------------------------------------------------------

sub named ($name, $sub = $name) { me_with(sub => json_string($sub), user_id => json_string($name)) }

for my $name ('a', 'x' x 64, 'Az09-._~', '...', '.a', 'a.', '-', '~', '_', '0', 'auth', 'me',
	'null')
{
	answers(named($name), 200, "user_id $name");
}
refuses(named($_), token_invalid => "user_id '$_'")
    for '', '.', '..', 'x' x 65, 'x' x 255, "a\xc3\xa9", "\xef\xbb\xbfa",
    map { "a${_}b" } ' ', '/', '\\', '%', '%41', '+', '@', ':', ';', ',', '?', '#', '&', '=', '!',
    '$', "'", '(', ')', '*',
    '"', '<', '>', '[', ']', '^', '`', '{', '|', '}', "\t", "\n", "\r", "\x01", "\x7f", "\0";
refuses(named("$id "), token_invalid => 'a blank after user_id');
refuses(named(" $id"), token_invalid => 'a blank before user_id');
refuses(named($id, "${id}x"), token_invalid => 'sub longer than user_id');
refuses(named($id, substr $id, 0, -1), token_invalid => 'sub shorter than user_id');
refuses(named($id, lc $id), token_invalid => 'sub in another case');
refuses(named($id, 'mallory'), token_invalid => 'sub of another user');
refuses(named('mallory', $id), token_invalid => 'user_id of another user');
answers(me_saying(payload(claims($id, $iss, $aud,
	user_id => '"' . join('', map { sprintf '\u%04x', ord } split //, $id) . '"'))), 200,
    'user_id written in escapes');

# jti, user_email: counted in bytes ----------------------------------------

taken('jti of 1 byte', jti => '"x"');
taken('jti of 255 bytes', jti => '"' . 'x' x 255 . '"');
refused('jti of 256 bytes', jti => '"' . 'x' x 256 . '"');
refused('jti of 0 bytes', jti => '""');
refused('jti of 256 bytes in 128 characters', jti => '"' . "\xc3\xa9" x 128 . '"');
taken('user_email of 1 byte', user_email => '"x"');
taken('user_email of 320 bytes', user_email => '"' . 'x' x 320 . '"');
taken('user_email of 320 bytes in 160 characters', user_email => '"' . "\xc3\xa9" x 160 . '"');
refused('user_email of 321 bytes', user_email => '"' . 'x' x 321 . '"');
refused('user_email of 322 bytes in 161 characters', user_email => '"' . "\xc3\xa9" x 161 . '"');
refused('user_email of 0 bytes', user_email => '""');

# Which fault is named first -------------------------------------------------

my %late = (exp => $now - 60, iat => $now - 120);
my %wrong_iss = (iss => '"https://evil.example"');
my %wrong_aud = (aud => '"https://evil.example"');
foreign(token_expired => 'expiry comes before the issuer', %late, %wrong_iss, %wrong_aud);
foreign(token_issuer => 'the issuer comes before the audience', %wrong_iss, %wrong_aud);
foreign(token_issuer => 'the issuer comes before user_id', %wrong_iss, user_id => '"a b"',
	sub => '"a b"');
foreign(token_audience => 'the audience comes before user_id', %wrong_aud, user_id => '"x"');
foreign(token_audience => 'the audience comes before jti', %wrong_aud, jti => '""');
foreign(token_invalid => 'a missing claim comes before expiry', %late, jti => undef);
foreign(token_invalid => 'a wrong type comes before expiry', %late, user_email => 'null');
foreign(token_invalid => 'a wrong type comes before the issuer', %wrong_iss, aud => '1');
my $other_key = 'another secret, of over 32 bytes';
for (['expiry', %late], ['the issuer', %wrong_iss], ['the audience', %wrong_aud]) {
	my ($what, %claims) = @$_;
	refuses(me($stack->token_of($id, claims => \%claims, key => $other_key)),
	    token_invalid => "the signature comes before $what");
}

# Better Auth signs these with the same secret for other purposes.
my $lifetime = qq("iat":$now,"exp":) . ($now + 300);
refuses(me_saying($_), token_invalid => $_) for
    qq({"email":"a\@example.com",$lifetime}),
    qq({"email":"a\@example.com","updateTo":"b\@example.com",$lifetime}),
    qq({"session":{"session":{},"user":{"id":"$id"}},"expiresAt":1,$lifetime});

# The identity comes from the token alone.
answers(me_with(iat => $now - 5, exp => $now + 60, user_email => '"a\u0062c\"\u00e9@example.com"'),
	200,
	'GET /api/me has the claims of the token',
	{
		user_id => $id, email => "abc\"\x{e9}\@example.com", issuer => $iss,
		issued_at => rfc3339($now - 5), expires_at => rfc3339($now + 60),
	});

sub rfc3339 ($t) {
	my @t = gmtime $t;
	return sprintf '%04d-%02d-%02dT%02d:%02d:%02dZ', $t[5] + 1900, $t[4] + 1, @t[3, 2, 1, 0];
}

# A token that was accepted expires all the same.
my $brief = $stack->token_of($id, claims => { exp => time + 3 });
answers(me($brief), 200, 'a token that is about to expire') for 1 .. 10;
poll { me($brief)->status == 401 } 'the token expires';
refuses(me($brief), token_expired => 'an expired token that was accepted before') for 1 .. 10;

# The log tells the operator the code.
SKIP: {
	skip 'no access to the log', 2 if !defined $stack->dir;
	my $line = $stack->logged(me_with(%late));
	is("$line->{status} $line->{code}", '401 token_expired',
		'the log names the code token_expired');
	is(($stack->logged(me_with(%wrong_aud)))->{code}, 'token_audience',
		'the log names the code token_audience');
}

$stack->done;
