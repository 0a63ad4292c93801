# Goal: no mutated token, many of them signed after the mutation, is accepted here that a
# second, independent verifier (Crypt::JWT of Perl) refuses. Where the program alone
# refuses, the reason is explained below.
#
# FUZZ_SEED repeats a run, FUZZ_COUNT makes it longer.

use v5.36;
use FindBin;
use lib "$FindBin::Bin/../lib";
use IPC::Open2;
use Test::More;
use Faults;
use Token qw(b64u unb64u sign);

eval { require Crypt::JWT; 1 } or plan skip_all => 'libcrypt-jwt-perl is not installed';
my $build = $ENV{STAGING_BUILD} // (defined $ENV{STAGING_DIR} ? "$ENV{STAGING_DIR}/build" : undef);
plan skip_all => 'no build tree' if !defined $build || !-e "$build/libtodo.a";
plan skip_all => 'a build with sanitizers' if sanitized($build);
my $verify = compiled('fuzz/verify.c', build => $build) or plan skip_all => 'no C compiler';
my $seed = $ENV{FUZZ_SEED} // time % 1_000_000;
my $count = $ENV{FUZZ_COUNT} // long(15_000, 1_000_000);
srand $seed;
note("FUZZ_SEED=$seed");
my $KEY = '0123456789abcdef0123456789abcdef';
my $ORIGIN = 'https://todo.example';

# Where Crypt::JWT accepts what the program refuses: the program's reason => explanation.
my %explained = (
	'form: a segment is not base64url' =>
	    'Crypt::JWT decodes leniently: padding, other letters, unused bits (RFC 7515)',
	'form: not three segments' => 'Crypt::JWT accepts an empty segment',
	'form: signature is not 32 bytes' => 'Crypt::JWT decodes a signature leniently',
	'form: token is empty or longer than 4096 bytes' => 'Crypt::JWT has no limit',
	'header: not JSON' => 'its JSON parser accepts repeated members and invalid UTF-8',
	'header: not an object' => 'the contract requires an object',
	'header: typ is not JWT' => 'Crypt::JWT does not check typ',
	'header: kid is not a string' => 'Crypt::JWT checks kid only with keys by kid',
	'header: has crit, b64, zip or cty' =>
	    'Crypt::JWT inflates zip, and ignores b64, cty and crit (RFC 7515, section 4.1.11)',
	'payload: not JSON' => 'its JSON parser accepts repeated members, U+0000, lone surrogates',
	'libjwt: refuses the token' => 'Crypt::JWT accepts numbers that are too large',
	'payload: not an object' => 'Crypt::JWT is not told to require an object',
	(
		map { ("claims: no $_, or $_ is not a string" =>
			    'Crypt::JWT does not check its type') }
		    qw(iss sub jti user_id user_email)
	),
	(
		map { ("claims: no $_, or $_ is not an integer" =>
			    'Crypt::JWT accepts fractions and strings') } qw(exp iat)
	),
	'claims: no aud, or aud is not a string or strings' =>
	    'Crypt::JWT accepts an array of anything',
	'claims: nbf is not an integer' => 'Crypt::JWT accepts fractions and strings of digits',
	'claims: iat is in the future' => 'Crypt::JWT compares floating-point numbers',
	'claims: nbf is in the future' => 'Crypt::JWT compares floating-point numbers',
	'claims: exp is in the past' =>
	    'Crypt::JWT accepts a floating-point number, or exp equal to now',
	'claims: exp - iat is longer than JWT_MAX_LIFETIME' => 'Crypt::JWT has no longest lifetime',
	'claims: iss is not the configured issuer' =>
	    'equal for Perl, which compares numbers and strings alike',
	'claims: aud lacks the configured audience' =>
	    'equal for Perl, which compares numbers and strings alike',
	'claims: user_id is empty or longer than 64 bytes' => 'a rule of the contract alone',
	'claims: user_id has a character outside A-Z a-z 0-9 - . _ ~' =>
	    'a rule of the contract alone',
	'claims: user_id is . or ..' => 'a rule of the contract alone',
	'claims: user_id and sub differ' => 'a rule of the contract alone',
	'claims: jti is empty or longer than 255 bytes' => 'a rule of the contract alone',
	'claims: user_email is empty or longer than 320 bytes' => 'a rule of the contract alone',
);

sub any { $_[rand @_] }
my @values = (
	'null', 'true', '""', '"x"', '[]', '{}', '0', '1', '-1', '1.5', '1e9', '1800000000',
	'"1800000000"', '1800003600', '1800000001', '1799999999', '1800000010', '1800000011',
	'1800086400', '1800086401', '9999999999', '99999999999999999999', '-0', "\"$ORIGIN\"",
	"[\"$ORIGIN\"]", "[\"a\",\"$ORIGIN\"]", "[1,\"$ORIGIN\"]", '"alice"', '"Alice"',
	'"alice "', '".."', '"a/b"', '"\u0061lice"', '"al\u0000ice"', '"\ud800"', "\"\xc3\xa9\"",
	"\"\xff\"",
	'"' . 'a' x 64 . '"', '"' . 'a' x 65 . '"', '"' . 'j' x 255 . '"', '"' . 'j' x 256 . '"',
	'"' . 'e' x 320 . '"', '"' . 'e' x 321 . '"'
);
my %claims = (iss => "\"$ORIGIN\"", aud => "\"$ORIGIN\"", sub => '"alice"', user_id => '"alice"',
	user_email => '"a@b.example"', jti => '"1"', iat => 1_800_000_000, exp => 1_800_003_600);
my @headers =
    ('{"alg":"HS256"}', '{"alg":"HS256","typ":"JWT"}', '{"typ":"jwt","alg":"HS256","kid":"x"}');
my @odd = (
	'{"alg":"HS256","typ":"at+jwt"}', '{"alg":"hs256"}', '{"alg":"none"}', '{"alg":"HS512"}',
	'{"alg":"HS256","kid":1}', '{"alg":"HS256","crit":["x"],"x":1}',
	'{"alg":"HS256","b64":false}', '{"alg":"HS256","zip":"DEF"}', '{"alg":"HS256","cty":"JWT"}',
	'{"alg":"none","alg":"HS256"}', '{"alg":"HS256","alg":"none"}', '["HS256"]',
	'{"alg":["HS256"]}', ' {"alg":"HS256"} ', "{\"alg\":\"HS256\"}\0", '{"alg":"HS256",}',
	'{"alg":"\u0048S256"}', '', '{}', 'null'
);
my $jsonish = sub ($text) {
	substr $text, rand(1 + length $text), any(0, 0, 1, 1, 3),
	    any('', '"', '\\', '{', '}', ',', ':', '\u0000', ' ', "\t", "\0", "\xff", chr rand 256,
		'1', 'null', '"exp":1800003600,')
	    for 1 .. 1 + rand 2;
	return $text;
};
sub payload {
	my %c = %claims;
	$c{ any(keys %c) } = any(@values) for 1 .. any(0, 1, 1, 1, 2);
	delete $c{ any(keys %c) } if rand() < .1;
	$c{nbf} = any(@values) if rand() < .2;
	$c{user_id} = $c{sub} = any(@values) if rand() < .1;
	return '{'
	    . join(',', (map { "\"$_\":$c{$_}" } keys %c),
		rand() < .1 ? any(map { "\"$_\":$claims{$_}" } keys %claims) : ())
	    . '}';
}
sub token {
	my $header = rand() < .8 ? any(@headers) : any(@odd);
	$header = $jsonish->($header) if rand() < .1;
	my $payload = payload();
	$payload = $jsonish->($payload) if rand() < .2;
	$payload =
	    any('', 'null', '[]', '"x"', '1', "{}\0", "\xef\xbb\xbf$payload", "$payload$payload",
		" $payload\n")
	    if rand() < .05;
	my ($h, $p) = (b64u($header), b64u($payload));
	# Signed after the mutation, so that the checks after the signature are reached.
	for ($h, $p) {
		$_ = rand() < .5 ? $_ . any('=', '==', 'A', '%3d', "\n", ' ') : do {
			my $t = $_;
			substr $t, rand(length $t), any(0, 1), any('+', '/', '.', ' ', 'A', '_');
			$t
		} if rand() < .04
	}
	my $token = sign($h, $p, rand() < .03 ? 'another key, of thirty-two bytes!' : $KEY);
	if (rand() < .15) { # a mutation after the signing
		substr $token, rand(length $token), any(0, 1, 1, 2),
		    any('', '.', 'A', 'b', '=', chr rand 256);
	} elsif (rand() < .05) {
		$token =~ s/.\z/any('A' .. 'Z', '=')/e
	}
	return $token;
}

my $pid = open2(my $from, my $to, $verify);
my ($now, $done) = (1_800_000_000, 0);
my (%ours, %stricter, @looser, @other, $both, $neither);
($both, $neither) = (0, 0);
# The payload that Crypt::JWT accepts, or undef. It checks as much of the contract as it can.
sub theirs ($token) {
	return scalar eval {
		local $SIG{__WARN__} = sub { };
		my $payload = Crypt::JWT::decode_jwt(
			token => $token, key => $KEY, accepted_alg => 'HS256', accepted_enc => [],
			verify_iss => sub ($v) { defined $v && $v eq $ORIGIN },
			verify_aud => sub ($v) {
				defined $v
				    && (ref $v eq 'ARRAY'
					? scalar grep { defined && $_ eq $ORIGIN } @$v
					: $v eq $ORIGIN)
			},
			verify_sub => sub ($v) { defined $v },
			verify_jti => sub ($v) { defined $v },
			verify_exp => 1,
			verify_nbf => undef,
			verify_iat => 1,
			leeway => 0);
		ref $payload eq 'HASH' && !(grep { !defined $payload->{$_} } qw(user_id user_email))
		    ? $payload
		    : undef;
	};
}
BEGIN { *CORE::GLOBAL::time = sub { $main::clock // CORE::time() } }
$main::clock = $now;
while ($done < $count) {
	my @batch = map { token() } 1 .. 100;
	print {$to} map { "$now " . unpack('H*', $_) . "\n" } @batch;
	$to->flush;
	for my $token (@batch) {
		my ($verdict, $why) = split /\t/, scalar(<$from>) =~ s/\n\z//r, 2;
		my $theirs = theirs($token);
		$done++;
		if ($verdict eq 'ok') {
			$ours{ok}++;
			if (!$theirs) { push @looser, "$token: $@" }
			elsif ($theirs->{user_id} ne $why) { push @other, $token }
			else { $both++ }
		}
		elsif ($theirs) { $stricter{$why}++ }
		else { $neither++ }
	}
}
close $to;
waitpid $pid, 0;
is(scalar @looser, 0, "of $count tokens the program accepts none that Crypt::JWT refuses")
    or diag(@looser[0 .. ($#looser > 4 ? 4 : $#looser)]);
is(scalar @other, 0, 'both verifiers name the same user') or diag(@other);
cmp_ok($both, '>', $count / 50, "$both tokens are accepted by both verifiers, $neither by neither");
my @unexplained = grep { !$explained{$_} } keys %stricter;
is_deeply(\@unexplained, [], 'each reason for which the program alone refuses is explained')
    or diag(explain({ map { $_ => $stricter{$_} } @unexplained }));
my $sum = 0;
for (sort { $stricter{$b} <=> $stricter{$a} } keys %stricter) {
	$sum += $stricter{$_};
	is_long() ? diag("  $stricter{$_} x $_: $explained{$_}") : note("$stricter{$_} x $_");
}
figure('differential', "$count tokens (FUZZ_SEED=$seed): both take $both, both refuse $neither,"
    . " the program alone refuses $sum for " . keys(%stricter)
    . ' explained reasons, the program alone takes ' . @looser);
done_testing;
