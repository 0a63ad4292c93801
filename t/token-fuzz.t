# Goal: 20,000 random mutations of a right token are all 401, and the unmodified
# token is always accepted. A mutated token with a right signature is 401, or the
# user whom sub and user_id both name.
#
# FUZZ_SEED repeats a run, FUZZ_COUNT makes it longer.

use v5.36;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Facts;
use JSON::PP ();
use Stack;
use Token qw(b64u unb64u);

my $seed = $ENV{FUZZ_SEED} // time % 1_000_000;
my $count = $ENV{FUZZ_COUNT} // 20_000;
my $stack = Stack->new;
my $alice = $stack->user;
my $bob = $stack->user;
diag("FUZZ_SEED=$seed") if $ENV{FUZZ_SEED};
note("FUZZ_SEED=$seed");
srand $seed;

my @alphabet = ('A' .. 'Z', 'a' .. 'z', 0 .. 9, '-', '_');
my $good = $alice->token;
my @parts = split /\./, $good;
my @bobs = split /\./, $bob->token;

sub any { $_[rand @_] }
sub place ($text) { int rand length $text }

# A byte that a header line can hold: any except NUL, CR and LF.
sub byte { my $b = 1 + int rand 255; $b = 65 if $b == 10 || $b == 13; chr $b }

my @mutations = (
	sub ($t) { substr $t, place($t), 1, any(@alphabet); $t },
	sub ($t) { substr $t, place($t), 1, byte(); $t },
	sub ($t) { substr $t, place($t), 0, any(@alphabet); $t },
	sub ($t) { substr $t, place($t), 0, byte(); $t },
	sub ($t) { substr $t, place($t), 1 + int rand 5, ''; $t },
	sub ($t) { substr $t, 0, place($t) },
	sub ($t) { length $t ? substr $t, 1 + place($t) : $t },
	sub ($t) { my $i = place($t); substr $t, $i, 1, substr($t, $i, 1) ^. chr(1 << rand 7); $t },
	sub ($t) {
		my $i = place($t);
		substr $t, $i, 1, substr($t, $i, 1) =~ tr/A-Za-z/a-zA-Z/r;
		$t
	},
	sub ($t) { my $i = place($t); substr $t, $i, 0, substr $t, $i, 1 + rand 20; $t },
	sub ($t) {
		my ($i, $j) = (place($t), place($t));
		my $c = substr $t, $i, 1;
		substr $t, $i, 1, substr $t, $j, 1;
		substr $t, $j, 1, $c;
		$t
	},
	sub ($t) { join '.', map { rand() < .5 ? $parts[$_] : $bobs[$_] } 0 .. 2 },
	sub ($t) { join '.', map { $parts[rand 3] } 1 .. 1 + rand 4 },
	sub ($t) {
		my @p = @parts;
		my $d = unb64u($p[my $i = int rand 3]);
		vec($d, place($d) * 8 + int rand 8, 1) ^= 1;
		$p[$i] = b64u($d);
		join '.', @p
	},
	sub ($t) {
		my @p = @parts;
		my $d = unb64u($p[my $i = int rand 3]);
		substr $d, place($d), 1 + rand 3, '';
		$p[$i] = b64u($d);
		join '.', @p
	},
	sub ($t) {
		my @p = @parts;
		$p[rand 3] .= any('=', '==', '.', 'A', 'AA', "\t", "\x80", '%3d');
		join '.', @p
	},
	sub ($t) {
		my @p = @parts;
		$p[0] = b64u(any(
			'{"alg":"none"}', '{"alg":"HS512"}', '{"alg":"hs256"}', '{}', '[]',
			'{"alg":"HS256","crit":[]}', '{"alg":"HS256","alg":"none"}',
			'{"alg":"RS256"}'));
		join '.', @p
	},
	sub ($t) {
		my @p = @parts;
		$p[2] = any('', 'A' x 43, 'A' x 86, $p[0], $p[1], $bobs[2]);
		join '.', @p
	},
	sub ($t) { $t x (1 + rand 4) . any(@alphabet) },
	sub ($t) { join '', map { byte() } 1 .. 1 + rand 200 },
);

# The longest value that nginx accepts in a header line.
use constant LINE => 8000;

sub mutate {
	my $token = $good;
	$token = any(@mutations)->($token) for 1 .. (rand() < .7 ? 1 : 1 + rand 3);
	$token =~ tr/\0\r\n/AAA/;
	substr $token, LINE, length($token), '' if length $token > LINE;
	# Blanks around the whole value do not count.
	$token =~ s/[ \t]+\z//;
	return $token eq $good || $token eq $bob->token ? mutate() : $token;
}

sub me_with ($token) { ['GET', '/api/me', { Authorization => "Bearer $token" }] }

my @groups;
my $left = $count;
my ($unmodified, %status) = (0);
while ($left > 0) {
	my @tokens = map { mutate() } 1 .. ($left < 60 ? $left : 60);
	$left -= @tokens;
	splice @tokens, rand @tokens, 0, $good;
	my @answers = $alice->pipeline(map { me_with($_) } @tokens);
	for my $i (0 .. $#tokens) {
		my $status = $answers[$i]->status;
		if ($tokens[$i] eq $good) { $unmodified += $status == 200; next }
		$status{$status}++;
		diag("$status for " . ($tokens[$i] =~ s/[^ -~]/sprintf '\\x%02x', ord $&/ger))
		    if $status != 401;
	}
	push @groups, scalar @answers;
}
is_deeply(\%status, { 401 => $count }, "$count mutations are 401 (FUZZ_SEED=$seed)");
is($unmodified, scalar @groups, 'the unmodified token is 200 each time');

# Mutations with a right signature. An accepted token names the same user in sub
# and user_id, and the answer is for that user; all others are 401.
my ($who, $odd, $n) = (0, 0, int($count / 5));
my $json = JSON::PP->new->utf8;
%status = ();

sub named ($payload) {
	my $claims = eval { $json->decode($payload) } // return;
	return $claims->{sub} eq $claims->{user_id} ? $claims->{sub} : undef;
}

# A header and a payload of the right token, with one or two places changed.
sub mutated_parts {
	my ($h, $p) = map { unb64u($_) } @parts[0, 1];
	for (1 .. 1 + rand 2) {
		my $text = rand() < .2 ? \$h : \$p;
		my $copied = substr $$text, place($$text), 1 + rand 9;
		my $new = any('', '"', ',', ':', '{', '}', '[', '\\', '\u0000', '0', ' ', '.', 'e',
		    "\0", "\xff", chr rand 256, $copied);
		substr $$text, place($$text), any(0, 1, 1, 1, 2), $new;
	}
	return $h, $p;
}

for (1 .. $n / 50) {
	my (@tokens, @payloads);
	for (1 .. 50) {
		my ($h, $p) = mutated_parts();
		push @payloads, $p;
		push @tokens, Token::sign(b64u($h), b64u($p), $stack->secret);
	}
	my @answers = $alice->pipeline(map { me_with($_) } @tokens);
	for my $i (0 .. $#answers) {
		my $answer = $answers[$i];
		$status{ $answer->status }++;
		$odd++, diag($answer->dump) if $answer->status != 200 && $answer->status != 401;
		next if $answer->status != 200;
		my $named = named($payloads[$i]);
		$who++, diag($payloads[$i], $answer->dump)
		    if !defined $named || $answer->json->{user_id} ne $named;
	}
}
is($odd, 0, "$n mutations with a right signature are 200 or 401");
is($who, 0, 'each accepted mutation is the user whom sub and user_id name');
ok($status{200} && $status{401},
	'some mutations with a right signature are accepted, some are not');

$stack->done;
