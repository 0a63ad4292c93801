# Goal: with BETTER_AUTH_SECRETS the first of at most four signs and any of them
# verifies, but a token whose kid is a version is tried with that one alone.

use v5.36;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Facts;
use Stack;
use Token;

my $stack = Stack->new(inside => 1);
my $program = $stack->program;
my ($new, $old, $older) = map { "the $_ secret which has more than 32 bytes" } qw(new old older);
my $single = 'a secret in BETTER_AUTH_SECRET long enough';

my %user = map { $_ => $stack->fresh_id } 1;
sub me ($worker, $key, $kid = undef) {
	my $header = defined $kid ? qq({"alg":"HS256","typ":"JWT","kid":$kid}) : $Token::HEADER;
	return $stack->fastcgi($worker)->send(
		'GET', '/api/me',
		[[      Authorization => 'Bearer '
			    . $stack->token_of($user{1}, header => $header, key => $key)
		]]);
}
sub taken ($worker, $name, @how) { answers(me($worker, @how), 200, $name) }
sub refused ($worker, $name, @how) { refuses(me($worker, @how), token_invalid => $name) }

my $worker = $program->worker(BETTER_AUTH_SECRET => $single,
	BETTER_AUTH_SECRETS => "3:$new,2:$old,1:$older");
taken($worker, 'the new secret', $new);
taken($worker, 'the old one', $old);
taken($worker, 'the one before', $older);
refused($worker, 'BETTER_AUTH_SECRET counts no more', $single);
refused($worker, 'nor does any other', 'x' x 40);

taken($worker, 'kid 3 under the secret 3', $new, '"3"');
taken($worker, 'kid 2 under the secret 2', $old, '"2"');
taken($worker, 'kid 1 under the secret 1', $older, '"1"');
refused($worker, 'kid 3 under the secret 2', $old, '"3"');
refused($worker, 'kid 2 under the secret 3', $new, '"2"');
refused($worker, 'kid 1 under the secret 3', $new, '"1"');
refused($worker, 'kid 3 under no secret of ours', $single, '"3"');
for my $kid ('9', '0', '03', ' 3', '3 ', '3.0', '+3', '-3', '', 'x', '33', '1,2', '4294967299',
	'18446744073709551619')
{
	taken($worker, "kid '$kid' is no version: any secret may be it", $_, "\"$kid\"")
	    for $new, $old;
	refused($worker, "kid '$kid' under no secret of ours", $single, "\"$kid\"");
}
refused($worker, "kid $_ is no string", $new, $_) for 3, 'null', '["3"]';

sub with ($setting) {
	$program->worker(BETTER_AUTH_SECRET => undef, BETTER_AUTH_SECRETS => $setting)
}
taken(with("2:$new:colon,1:$old"), 'a colon belongs to the secret', "$new:colon");
taken(with("2:$new,1:$old"), 'a blank inside does too', $_) for $new, $old;

# What Better Auth itself would trim, or parse as a number, is refused.
for my $setting (" 2:$new", "2 :$new", "2: $new", "2:$new ,1:$old", "2:$new, 1:$old", "2:\t$new",
	"2:$new\n,1:$old", "2:\xc2\xa0$new", "2:$new\xe2\x80\x83,1:$old", "02:$new", "1x:$old")
{
	my ($exit) = $program->run(
		{ BETTER_AUTH_SECRET => undef, BETTER_AUTH_SECRETS => $setting }, '-T');
	is($exit, 78, 'refused: ' . $setting =~ s/[^!-~]/sprintf '%%%02x', ord $&/egr);
}

# An empty setting counts as not set.
my $w = $program->worker(BETTER_AUTH_SECRET => $single, BETTER_AUTH_SECRETS => '');
taken($w, 'an empty BETTER_AUTH_SECRETS leaves BETTER_AUTH_SECRET', $single);
taken($w, 'under which every kid will do', $single, '"7"');

# The other way round after the rotation: what the new first one was is still good.
my $before = with("1:$old");
my $after = with("2:$new,1:$old");
taken($_, 'a token from before the rotation', $old, '"1"') for $before, $after;
refused($before, 'one from after it is not known before', $new, '"2"');
taken($after, 'but is after', $new, '"2"');
refused(with("2:$new"), 'nor is the old one once it is struck out', $old, '"1"');

# The issuer signs with the first, as it reads the setting by itself.
SKIP: {
	my $frontend = $stack->frontend;
	skip "Better Auth is not here", 7 if !defined $frontend;
	my $sign = <<'END';
import { createAuth } from "./issuer/auth.js";
import { createDatabase } from "./issuer/database.js";
import { readSettings } from "./issuer/settings.js";
const settings = readSettings(process.env);
const jwt = createAuth(settings, createDatabase(settings.database)).options.plugins[0];
console.log(await jwt.options.jwt.sign(JSON.parse(process.argv[1])));
process.exit(0);
END
	my $claims = Token::payload(Token::claims($user{1}, $stack->issuer, $stack->audience));
	for (["2:$new,1:$old", 2], ["1:$old", 1], ["0:$new:colon,2:$old", 0]) {
		my ($setting, $kid) = @$_;
		local @ENV{qw(BETTER_AUTH_SECRETS BETTER_AUTH_URL ISSUER_DATABASE ISSUER_SOCKET)} =
		    ($setting, 'https://todo.example', 'mysql://x@localhost/x', '/x');
		delete local @ENV{qw(BETTER_AUTH_SECRET BETTER_AUTH_SECRET_FILE)};
		chdir $frontend or die $!;
		open my $node, '-|', './node', '--input-type=module', '-e', $sign, $claims
		    or die $!;
		chomp(my $token = <$node> // '');
		close $node;
		is(Token::unb64u($token =~ s/\..*//r), qq({"alg":"HS256","typ":"JWT","kid":"$kid"}),
			"the issuer signs with $kid as the kid");
		answers($stack->fastcgi(with($setting))
			    ->send('GET', '/api/me', [[Authorization => "Bearer $token"]]), 200,
			'and the program takes it');
	}
	refused(with("2:$new,1:$old"), 'but not every secret by that kid', $old, '"2"');
}

$stack->done;
