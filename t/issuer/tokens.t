# Goal: a token of the real Better Auth is taken, and nothing else that it hands
# out or signs with the same secret is.

use v5.36;
use FindBin;
use lib "$FindBin::Bin/../lib";
use JSON::PP ();
use Test::More;
use Facts;
use Stack;
use Token qw(b64u unb64u);

my $stack = Stack->new;
my $client = $stack->client;
my $origin = ($stack->settings)[0]
    && { $stack->settings }->{BETTER_AUTH_URL} =~ s{\A(https?://[^/]+).*}{$1}r;
my $JSON = JSON::PP->new->utf8->canonical;
my $there = $stack->of_others(sub { $client->send('GET', '/api/auth/ok') });
plan skip_all => 'no Better Auth here' if $there->status != 200 || $there->json->{ok} ne 1;

# One of Better Auth's endpoints, with a cookie jar of its own.
my %jar;
sub auth ($who, $method, $path, $body = undef) {
	my $jar = $jar{$who} //= {};
	my $answer = $stack->of_others(sub {
		$client->send(
			$method,
			"/api/auth$path",
			[
				[Origin => $origin],
				(
					keys %$jar
					? [     Cookie => join '; ',
						map { "$_=$jar->{$_}" } sort keys %$jar
					    ]
					: ()
				),
				(defined $body ? ['Content-Type' => 'application/json'] : ())
			],
			defined $body ? $JSON->encode($body) : undef)
	});
	for my $cookie ($answer->all('Set-Cookie')) {
		my ($name, $value) = $cookie =~ /\A([^=]+)=([^;]*)/ or next;
		if (length $value) { $jar->{$name} = $value } else { delete $jar->{$name} }
	}
	return $answer;
}
sub me ($token) { $client->send('GET', '/api/me', [[Authorization => "Bearer $token"]]) }

# Sign up, fetch a token, keep tasks.
my %account = map {
	$_ => { name => $_, email => lc($stack->tag) . "-$_\@example.com",
		password => 'correct horse battery staple' }
} qw(ann ben);
my %user;
for my $who (qw(ann ben)) {
	my $up = auth($who, 'POST', '/sign-up/email', $account{$who});
	answers($up, 200, "$who signs up");
	my $issued = auth($who, 'GET', '/token');
	answers($issued, 200, 'and gets a token');
	is_deeply([keys $issued->json->%*], ['token'], 'which is all of the answer');
	my $id = $up->json->{user}{id};
	$user{$who} = $stack->user(id => $id, token => $issued->json->{token});
	my ($h, $p, $s) = map { unb64u($_) } split /\./, $user{$who}->token;
	my $claims = $JSON->decode($p);
	is_deeply([sort keys %$claims], [sort qw(iss sub aud exp iat jti user_id user_email)],
		'with the eight claims and no other');
	is($JSON->decode($h)->{alg}, 'HS256', 'signed with HS256');
	is_deeply([@$claims{qw(iss sub aud user_id user_email)}],
		[$stack->issuer, $id, $stack->audience, $id, $account{$who}{email}],
		'saying who for whom');
	cmp_ok($claims->{exp} - $claims->{iat}, '==', 86400, 'for 24 h');
	like($id, qr/\A[A-Za-z0-9]{32}\z/, 'an id as Better Auth makes them');
	my $me = me($user{$who}->token);
	answers($me, 200, 'the program takes it');
	is_deeply({ map { $_ => $me->json->{$_} } qw(user_id email issuer) },
		{ user_id => $id, email => $account{$who}{email}, issuer => $stack->issuer },
		'and says the same');
}
# What the database would not store is the caller's mistake.
for my $wrong ({ name => 'n' x 256 }, { name => { toString => 1 } }, { name => 1 }, { image => [] })
{
	is(auth(ann => 'POST', '/update-user', $wrong)->status, 400,
		'no user: ' . substr $JSON->encode($wrong), 0, 30);
}
is(auth(ann => 'POST', '/update-user', $_)->status, 200, 'a user: ' . substr $JSON->encode($_), 0,
	30)
    for { name => 'n' x 255 }
, { name => "\x{1F600}" x 127 }, { image => undef }, { name => 'ann' };

my $task = $user{ann}->task('of Ann');
answers($user{ann}->get('/tasks'), 200, 'Ann has her task',
	[{ map { $_ => $task->{$_} } grep { $_ ne 'etag' } keys %$task }]);
answers($user{ben}->get('/tasks'), 200, 'Ben has none', []);
refuses($user{ben}->get($user{ann}->tasks), forbidden => 'nor is he let in to hers');
refuses($user{ben}->get("/tasks/$task->{id}"), not_found => 'nor finds it under his own');
isnt(auth('ann', 'GET', '/token')->json->{token}, $user{ann}->token, 'every token is another');

# Sign in again: the field `token` of that answer is the session's, and no token of ours.
my $in =
    auth('again', 'POST', '/sign-in/email', { map { $_ => $account{ann}{$_} } qw(email password) });
answers($in, 200, 'Ann signs in again');
my $opaque = $in->json->{token};
ok(length $opaque, 'the answer has a field `token`');
refuses(me($opaque), token_invalid => 'which is the session\'s own, and no token of ours');
my ($cookie) = grep { /session_token/ } keys $jar{again}->%*;
like($cookie, qr/\A__Secure-/, 'its cookie is for https alone');
refuses(me($jar{again}{$cookie}), token_invalid => 'nor is its signed cookie');
refuses($client->send('GET', '/api/me', [[Cookie => "$cookie=$jar{again}{$cookie}"]]),
	token_missing => 'nor does the cookie count by itself');
answers(me(auth('again', 'GET', '/token')->json->{token}), 200,
	'the right one is fetched as before');
is(auth('nobody', 'GET', '/token')->status, 401, 'without a session there is none');
is(
	auth(
		'nobody', 'POST', '/sign-in/email',
		{ email => $account{ann}{email}, password => 'wrong' }
	)->status,
	401,
	'nor a session without the password');
$stack->expect_log(qr/event=better_auth/);

# No token outlives its session.
SKIP: {
	skip 'the sessions are not ours to shorten', 5 if !defined $stack->dir;
	my $in = auth(
		'short', 'POST',
		'/sign-in/email',
		{
			(map { $_ => $account{ann}{$_} } qw(email password)),
			rememberMe => JSON::PP::false
		});
	answers($in, 200, 'Ann signs in for a short while');
	my $session = $in->json->{token};
	$stack->sql(
		"UPDATE better_auth.session SET expiresAt = FROM_UNIXTIME(UNIX_TIMESTAMP() + 1000) WHERE token = '$session'"
	);
	my ($end) =
	    map { $_->[0] }
	    $stack->sql(
		"SELECT FLOOR(UNIX_TIMESTAMP(expiresAt)) FROM better_auth.session WHERE token = '$session'"
	    );
	my $issued = auth('short', 'GET', '/token');
	my $claims = $JSON->decode(unb64u((split /\./, $issued->json->{token})[1]));
	is($claims->{exp}, $end, 'a token ends with its session');
	cmp_ok($claims->{exp} - $claims->{iat}, '<=', 1000, 'long before the 24 h');
	answers(me($issued->json->{token}), 200, 'and is good until then');
	$stack->sql(
		"UPDATE better_auth.session SET expiresAt = FROM_UNIXTIME(UNIX_TIMESTAMP() - 1) WHERE token = '$session'"
	);
	is(auth('short', 'GET', '/token')->status, 401, 'a session that has ended gives none');
}

# What else Better Auth signs with HS256 and this secret, by its own code.
my $frontend = $stack->frontend;
SKIP: {
	skip 'Better Auth is not here to be asked', 5 if !defined $frontend;
	my $sign = sub ($code) {
		local $ENV{SECRET} = $stack->secret;
		my $out = qx{cd "$frontend" && ./node --input-type=module -e '$code' 2>&1};
		diag($out) if $?;
		return $out =~ s/\s+\z//r;
	};
	my $mail = $sign->(
		'import { createEmailVerificationToken } from "./node_modules/better-auth/dist/api/index.mjs"; console.log(await createEmailVerificationToken(process.env.SECRET, "ann@example.com", undefined, 3600));'
	);
	like($mail, qr/\AeyJ[\w-]+\.[\w-]+\.[\w-]{43}\z/, 'a token for verifying an address');
	refuses(me($mail), token_invalid => 'is none of ours');
	my $change = $sign->(
		'import { createEmailVerificationToken } from "./node_modules/better-auth/dist/api/index.mjs"; console.log(await createEmailVerificationToken(process.env.SECRET, "ann@example.com", "ben@example.com", 3600));'
	);
	refuses(me($change), token_invalid => 'nor is one for changing it');
	my $cache = $sign->(
		'import { signJWT } from "./node_modules/better-auth/dist/crypto/index.mjs"; console.log(await signJWT({ session: { id: "x" }, user: { id: "'
		    . $user{ann}->id
		    . '", email: "ann@example.com" }, version: "1" }, process.env.SECRET, 300));');
	like($cache, qr/\AeyJ[\w-]+\.[\w-]+\.[\w-]{43}\z/, 'a cached session as JWT');
	refuses(me($cache), token_invalid => 'is none of ours either');
}

# A stock Better Auth signs EdDSA; its token is refused, and the log says why.
my $now = time;
my $stock = join '.',
    (
	map { b64u($_) } '{"alg":"EdDSA","kid":"kJx"}',
	$JSON->encode(
		{
			iss => $stack->issuer, aud => $stack->audience, sub => $user{ann}->id,
			id => $user{ann}->id, email => 'a@example.com', iat => $now,
			exp => $now + 900
		}
	)
    ),
    b64u('s' x 64);
my $refused = me($stock);
refuses($refused, token_invalid => 'the token of a stock Better Auth');
SKIP: {
	skip 'the log is not ours to read', 5 if !defined $stack->dir;
	is($stack->logged($refused)->{alg}, 'EdDSA', 'the log says which alg came');

	# Two sign up with one address at once: MariaDB's own words would quote it.
	my $email = lc($stack->tag) . '-twice@example.com';
	my $trigger = 'better_auth.' . lc $stack->tag;
	$stack->sql(
		"DELIMITER //\nCREATE TRIGGER $trigger BEFORE INSERT ON better_auth.user FOR EACH ROW
	    IF NEW.email = '$email' THEN SIGNAL SQLSTATE '23000' SET MYSQL_ERRNO = 1062, MESSAGE_TEXT = 'Duplicate entry ''$email'' for key ''email'''; END IF//"
	);
	my $twice = auth('twice', 'POST', '/sign-up/email',
		{ name => 'Twice', email => $email, password => 'correct horse battery staple' });
	$stack->sql("DROP TRIGGER $trigger");
	is($twice->status, 422, 'the second to sign up with an address is refused');
	is($twice->json->{code}, 'USER_ALREADY_EXISTS_USE_ANOTHER_EMAIL', 'and told why');
	my @issuer = $stack->log_lines('issuer.log');
	ok((grep { /ER_DUP_ENTRY/ } @issuer), 'and the log says why');
	ok(
		!(
			grep { /eyJ|correct horse|\Q$opaque\E|\@example\.com/ } $stack->log_lines,
			@issuer
		),
		'no log holds a token, a password or an address');
}

# Signed out: the token lives on until it expires; that is what stateless means.
answers(auth('ann', 'POST', '/sign-out', {}), 200, 'Ann signs out');
is(auth('ann', 'GET', '/token')->status, 401, 'and gets no further token');
answers(me($user{ann}->token), 200, 'the one she has is good until it expires');

# Across the two services nothing is mixed up: what is not Better Auth's is the program's.
refuses($client->send('GET', '/api/authx/tasks'), token_missing => '/api/authx/ is a tenant');
my $lost = $stack->of_others(sub { $client->send('GET', '/api/auth/nothing-here') });
is($lost->status, 404, 'below /api/auth/ Better Auth says what there is');

$stack->done;
