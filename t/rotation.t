# Goal: BETTER_AUTH_SECRETS lists up to four secrets. The first signs and each of
# them verifies; a token whose kid is a version is verified with that secret alone.

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

my $id = $stack->fresh_id;
sub me ($worker, $key, $kid = undef) {
	my $header = defined $kid ? qq({"alg":"HS256","typ":"JWT","kid":$kid}) : $Token::HEADER;
	my $token = $stack->token_of($id, header => $header, key => $key);
	return $stack->fastcgi($worker)
	    ->send('GET', '/api/me', [[Authorization => "Bearer $token"]]);
}
sub taken ($worker, $name, @how) { answers(me($worker, @how), 200, $name) }
sub refused ($worker, $name, @how) { refuses(me($worker, @how), token_invalid => $name) }

my $worker = $program->worker(BETTER_AUTH_SECRET => $single,
	BETTER_AUTH_SECRETS => "3:$new,2:$old,1:$older");
taken($worker, 'the new secret', $new);
taken($worker, 'the old secret', $old);
taken($worker, 'the oldest secret', $older);
refused($worker, 'BETTER_AUTH_SECRET is ignored', $single);
refused($worker, 'an unknown secret', 'x' x 40);

taken($worker, 'kid 3 under the secret 3', $new, '"3"');
taken($worker, 'kid 2 under the secret 2', $old, '"2"');
taken($worker, 'kid 1 under the secret 1', $older, '"1"');
refused($worker, 'kid 3 under the secret 2', $old, '"3"');
refused($worker, 'kid 2 under the secret 3', $new, '"2"');
refused($worker, 'kid 1 under the secret 3', $new, '"1"');
refused($worker, 'kid 3 under an unknown secret', $single, '"3"');
for my $kid ('9', '0', '03', ' 3', '3 ', '3.0', '+3', '-3', '', 'x', '33', '1,2', '4294967299',
	'18446744073709551619')
{
	taken($worker, "kid '$kid' is no version: every secret is tried", $_, "\"$kid\"")
	    for $new, $old;
	refused($worker, "kid '$kid' under an unknown secret", $single, "\"$kid\"");
}
refused($worker, "kid $_ is not a string", $new, $_) for 3, 'null', '["3"]';

sub with ($setting) {
	$program->worker(BETTER_AUTH_SECRET => undef, BETTER_AUTH_SECRETS => $setting)
}
taken(with("2:$new:colon,1:$old"), 'a colon within a secret', "$new:colon");
taken(with("2:$new,1:$old"), 'a blank within a secret', $_) for $new, $old;

# Settings that Better Auth itself would trim, or parse as another number, are refused.
for my $setting (" 2:$new", "2 :$new", "2: $new", "2:$new ,1:$old", "2:$new, 1:$old", "2:\t$new",
    "2:$new\n,1:$old", "2:\xc2\xa0$new", "2:$new\xe2\x80\x83,1:$old", "02:$new", "1x:$old") {
	my %env = (BETTER_AUTH_SECRET => undef, BETTER_AUTH_SECRETS => $setting);
	my ($exit) = $program->run(\%env, '-T');
	is($exit, 78, 'refused: ' . $setting =~ s/[^!-~]/sprintf '%%%02x', ord $&/egr);
}

# An empty setting counts as unset.
my $w = $program->worker(BETTER_AUTH_SECRET => $single, BETTER_AUTH_SECRETS => '');
taken($w, 'an empty BETTER_AUTH_SECRETS leaves BETTER_AUTH_SECRET', $single);
taken($w, 'with BETTER_AUTH_SECRET alone every kid is accepted', $single, '"7"');

# A rotation: tokens from before it stay valid until the old secret is removed.
my $before = with("1:$old");
my $after = with("2:$new,1:$old");
taken($_, 'a token from before the rotation', $old, '"1"') for $before, $after;
refused($before, 'a token from after the rotation, before it', $new, '"2"');
taken($after, 'a token from after the rotation', $new, '"2"');
refused(with("2:$new"), 'a token under a secret that was removed', $old, '"1"');

# The issuer reads the setting itself and signs with the first secret.
SKIP: {
	my $frontend = $stack->frontend;
	skip 'Better Auth is not installed', 7 if !defined $frontend;
	my $sign = <<'END';
import { createAuth } from "./issuer/auth.js";
import { createDatabase } from "./issuer/database.js";
import { readSettings } from "./issuer/settings.js";
const settings = readSettings(process.env);
const jwt = createAuth(settings, createDatabase(settings.database)).options.plugins[0];
console.log(await jwt.options.jwt.sign(JSON.parse(process.argv[1])));
process.exit(0);
END
	my $claims = Token::payload(Token::claims($id, $stack->issuer, $stack->audience));
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
			"the program accepts the issuer's token with kid $kid");
	}
	refused(with("2:$new,1:$old"), 'a token with the kid of another secret', $old, '"2"');
}

$stack->done;
