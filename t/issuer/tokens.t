# Goal: the program accepts the tokens of the real Better Auth, and nothing else that
# Better Auth hands out or signs with the same secret.

use v5.36;
use FindBin;
use lib "$FindBin::Bin/../lib";
use JSON::PP ();
use Test::More;
use BetterAuth;
use Facts;
use Stack;
use Token qw(b64u unb64u);

my $stack = Stack->new;
my $client = $stack->client;
my $JSON = JSON::PP->new->utf8->canonical;
my $there = $stack->of_others(sub { $client->send('GET', '/api/auth/ok') });
plan skip_all => 'no Better Auth here' if $there->status != 200 || $there->json->{ok} ne 1;

# An endpoint of Better Auth, with a cookie jar for each person.
my $better_auth = BetterAuth->new($stack);
my %jar;
sub auth ($who, $method, $path, $body = undef) {
	my $jar = $jar{$who} //= {};
	my $cookie = join '; ', map { "$_=$jar->{$_}" } sort keys %$jar;
	my $answer = $better_auth->ask($method, $path, $cookie || undef, $body);
	for my $set ($answer->all('Set-Cookie')) {
		my ($name, $value) = $set =~ /\A([^=]+)=([^;]*)/ or next;
		if (length $value) { $jar->{$name} = $value } else { delete $jar->{$name} }
	}
	return $answer;
}
sub me ($token) { $client->send('GET', '/api/me', [[Authorization => "Bearer $token"]]) }

# Sign up, fetch a token, ask the program.
my %account = map { $_ => { $better_auth->account($_) } } qw(ann ben);
my %user;
for my $who (qw(ann ben)) {
	my $up = auth($who, 'POST', '/sign-up/email', $account{$who});
	answers($up, 200, "$who signs up");
	my $issued = auth($who, 'GET', '/token');
	answers($issued, 200, "$who gets a token");
	is_deeply([keys $issued->json->%*], ['token'], "$who: the answer has the token alone");
	my $id = $up->json->{user}{id};
	$user{$who} = $stack->user(id => $id, token => $issued->json->{token});
	my ($h, $p, $s) = map { unb64u($_) } split /\./, $user{$who}->token;
	my $claims = $JSON->decode($p);
	is_deeply([sort keys %$claims], [sort qw(iss sub aud exp iat jti user_id user_email)],
		"$who: the token has the eight claims and no other");
	is($JSON->decode($h)->{alg}, 'HS256', "$who: the token is signed with HS256");
	is_deeply([@$claims{qw(iss sub aud user_id user_email)}],
		[$stack->issuer, $id, $stack->audience, $id, $account{$who}{email}],
		"$who: the token names the issuer, the audience and the user");
	cmp_ok($claims->{exp} - $claims->{iat}, '==', 86400, "$who: the token lives for 24 h");
	like($id, qr/\A[A-Za-z0-9]{32}\z/, "$who: the id has the form of Better Auth");
	my $me = me($user{$who}->token);
	answers($me, 200, "$who: the program accepts the token");
	is_deeply({ map { $_ => $me->json->{$_} } qw(user_id email issuer) },
		{ user_id => $id, email => $account{$who}{email}, issuer => $stack->issuer },
		"$who: the program reads the same identity");
}
# A value that the database cannot store is 400.
for my $wrong ({ name => 'n' x 256 }, { name => { toString => 1 } }, { name => 1 }, { image => [] })
{
	is(auth(ann => 'POST', '/update-user', $wrong)->status, 400,
		'the user may not be set to ' . substr $JSON->encode($wrong), 0, 30);
}
for my $right ({ name => 'n' x 255 }, { name => "\x{1F600}" x 127 }, { image => undef },
    { name => 'ann' }) {
	is(auth(ann => 'POST', '/update-user', $right)->status, 200,
	    'the user may be set to ' . substr $JSON->encode($right), 0, 30);
}

my $task = $user{ann}->task('of Ann');
answers($user{ann}->get('/tasks'), 200, 'Ann has her task',
	[{ map { $_ => $task->{$_} } grep { $_ ne 'etag' } keys %$task }]);
answers($user{ben}->get('/tasks'), 200, 'Ben has no task', []);
refuses($user{ben}->get($user{ann}->tasks), forbidden => "Ben is refused Ann's list");
refuses($user{ben}->get("/tasks/$task->{id}"),
	not_found => "Ben does not find Ann's task under his own path");
isnt(auth('ann', 'GET', '/token')->json->{token}, $user{ann}->token, 'two tokens of Ann differ');

# Sign in again: the field `token` of the answer is the session's id.
my $in =
    auth('again', 'POST', '/sign-in/email', { map { $_ => $account{ann}{$_} } qw(email password) });
answers($in, 200, 'Ann signs in again');
my $opaque = $in->json->{token};
ok(length $opaque, 'the answer has a field `token`');
refuses(me($opaque), token_invalid => 'the field `token` of the answer to a sign-in');
my ($cookie) = grep { /session_token/ } keys $jar{again}->%*;
like($cookie, qr/\A__Secure-/, 'the session cookie is for https alone');
refuses(me($jar{again}{$cookie}), token_invalid => 'the signed session cookie as a token');
refuses($client->send('GET', '/api/me', [[Cookie => "$cookie=$jar{again}{$cookie}"]]),
	token_missing => 'the session cookie as a cookie');
answers(me(auth('again', 'GET', '/token')->json->{token}), 200,
	'the token of the second session');
is(auth('nobody', 'GET', '/token')->status, 401, 'without a session there is no token');
my %wrong = (email => $account{ann}{email}, password => 'wrong');
is(auth('nobody', 'POST', '/sign-in/email', \%wrong)->status, 401,
    'a wrong password gives no session');
$stack->expect_log(qr/event=better_auth/);

# No token outlives its session.
SKIP: {
	skip 'no access to the sessions', 5 if !defined $stack->dir;
	my %in = map { $_ => $account{ann}{$_} } qw(email password);
	my $in = auth('short', 'POST', '/sign-in/email', { %in, rememberMe => JSON::PP::false });
	answers($in, 200, 'Ann signs in for a short while');
	my $session = $in->json->{token};
	my $end_in = sub ($seconds) {
		$stack->sql("UPDATE better_auth.session SET expiresAt ="
		    . " FROM_UNIXTIME(UNIX_TIMESTAMP() + $seconds) WHERE token = '$session'");
	};
	$end_in->(1000);
	my ($row) = $stack->sql("SELECT FLOOR(UNIX_TIMESTAMP(expiresAt))"
	    . " FROM better_auth.session WHERE token = '$session'");
	my $issued = auth('short', 'GET', '/token');
	my $claims = $JSON->decode(unb64u((split /\./, $issued->json->{token})[1]));
	is($claims->{exp}, $row->[0], 'a token expires with its session');
	cmp_ok($claims->{exp} - $claims->{iat}, '<=', 1000, 'a short session gives a short token');
	answers(me($issued->json->{token}), 200, 'the token of a short session');
	$end_in->(-1);
	is(auth('short', 'GET', '/token')->status, 401, 'an ended session gives no token');
}

# What else Better Auth signs with HS256 and this secret, by its own functions.
my $frontend = $stack->frontend;
SKIP: {
	skip 'Better Auth is not installed', 5 if !defined $frontend;
	my $sign = sub ($code) {
		local $ENV{SECRET} = $stack->secret;
		my $out = qx{cd "$frontend" && ./node --input-type=module -e '$code' 2>&1};
		diag($out) if $?;
		return $out =~ s/\s+\z//r;
	};
	my $dist = './node_modules/better-auth/dist';
	my $for_address = sub ($new_address) {
		return $sign->("import { createEmailVerificationToken as sign }"
		    . " from \"$dist/api/index.mjs\"; console.log(await sign("
		    . "process.env.SECRET, \"ann\@example.com\", $new_address, 3600));");
	};
	my $form = qr/\AeyJ[\w-]+\.[\w-]+\.[\w-]{43}\z/;
	my $mail = $for_address->('undefined');
	like($mail, $form, 'Better Auth signs a token to verify an address');
	refuses(me($mail), token_invalid => 'a token to verify an address');
	my $change = $for_address->('"ben@example.com"');
	refuses(me($change), token_invalid => 'a token to change an address');
	my $user = qq({ id: "@{[$user{ann}->id]}", email: "ann\@example.com" });
	my $cache = $sign->("import { signJWT } from \"$dist/crypto/index.mjs\";"
	    . " console.log(await signJWT({ session: { id: \"x\" }, user: $user, version: \"1\" },"
	    . ' process.env.SECRET, 300));');
	like($cache, $form, 'Better Auth signs a cached session');
	refuses(me($cache), token_invalid => 'a cached session');
}

# Better Auth by default signs with EdDSA; such a token is refused, and the log has the alg.
my $now = time;
my $claims = $JSON->encode({
	iss => $stack->issuer, aud => $stack->audience, sub => $user{ann}->id, id => $user{ann}->id,
	email => 'a@example.com', iat => $now, exp => $now + 900,
});
my $stock = join '.', map { b64u($_) } '{"alg":"EdDSA","kid":"kJx"}', $claims, 's' x 64;
my $refused = me($stock);
refuses($refused, token_invalid => 'a token with EdDSA, as Better Auth signs by default');
SKIP: {
	skip 'no access to the log', 5 if !defined $stack->dir;
	is($stack->logged($refused)->{alg}, 'EdDSA', 'the log has the alg of the token');

	# Two sign up with one address at once: MariaDB's error message quotes the address.
	my $email = lc($stack->tag) . '-twice@example.com';
	my $trigger = 'better_auth.' . lc $stack->tag;
	$stack->sql(<<~"END");
		DELIMITER //
		CREATE TRIGGER $trigger BEFORE INSERT ON better_auth.user FOR EACH ROW
		IF NEW.email = '$email' THEN SIGNAL SQLSTATE '23000' SET MYSQL_ERRNO = 1062,
			MESSAGE_TEXT = 'Duplicate entry ''$email'' for key ''email''';
		END IF//
		END
	my $twice = auth('twice', 'POST', '/sign-up/email',
		{ name => 'Twice', email => $email, password => 'correct horse battery staple' });
	$stack->sql("DROP TRIGGER $trigger");
	is($twice->status, 422, 'a second account with an address is refused');
	is($twice->json->{code}, 'USER_ALREADY_EXISTS_USE_ANOTHER_EMAIL',
		'the refusal has the code of the reason');
	my @issuer = $stack->log_lines('issuer.log');
	ok((grep { /ER_DUP_ENTRY/ } @issuer), 'the log has the name of the database error');
	my $private = qr/eyJ|correct horse|\Q$opaque\E|\@example\.com/;
	is(scalar(grep { $_ =~ $private } $stack->log_lines, @issuer), 0,
	    'no log holds a token, a password or an address');
}

# Signed out: tokens are stateless, so Ann's token stays valid until it expires.
answers(auth('ann', 'POST', '/sign-out', {}), 200, 'Ann signs out');
is(auth('ann', 'GET', '/token')->status, 401, 'Ann gets no token once she is signed out');
answers(me($user{ann}->token), 200, "Ann's token stays valid until it expires");

# Better Auth has the paths below /api/auth/, the program all others.
refuses($client->send('GET', '/api/authx/tasks'),
	token_missing => 'the program answers below /api/authx/');
my $lost = $stack->of_others(sub { $client->send('GET', '/api/auth/nothing-here') });
is($lost->status, 404, 'Better Auth answers below /api/auth/');

$stack->done;
