# Goal: whatever a request to the issuer says, it is answered as what it is, by the
# process that was there before; nothing is open that nobody uses.

use v5.36;
use FindBin;
use lib "$FindBin::Bin/../lib";
use JSON::PP ();
use Test::More;
use Facts;
use Issuer;
use Stack;

my $stack = Stack->new(private => 1, issuer => 1);
my $issuer = Issuer->new($stack);
my $client = $stack->client;
my $url = $stack->url;
my $JSON = JSON::PP->new->utf8->canonical->allow_nonref;
my $tag = lc $stack->tag;

sub others ($block) { $stack->of_others($block) }
sub get ($target, @headers) { others(sub { $client->send('GET', $target, [@headers]) }) }
sub post ($path, $body, @headers) {
	return others(sub { $client->send('POST', "/api/auth$path", [[Origin => $url],
	    ['Content-Type' => 'application/json'], @headers], $JSON->encode($body)) });
}
sub cookie_of ($answer) {
	return (map { /\A([^;]+)/ } grep { /session_token=[^;]/ } $answer->all('Set-Cookie'))[0];
}
sub users () { ($stack->sql('SELECT COUNT(*) FROM better_auth.user'))[0][0] }
sub sessions () { ($stack->sql('SELECT COUNT(*) FROM better_auth.session'))[0][0] }
# A problem of the issuer's own.
sub is_problem ($answer, $status, $code, $name) {
	return fail("$name: no answer") if !$answer;
	my $body = eval { $JSON->decode($answer->body) } // {};
	is_deeply([$answer->status, $body->{status}, $body->{code},
	    ($answer->header('Content-Type') // '')], [$status, $status, $code,
	    'application/problem+json'], $name) or diag($answer->dump);
}

# Slow ones, which are looked at in the end.
my @slow = map {
	my $one = Issuer->new($stack);
	$one->{timeout} = 60;
	$one->_connect;
	$one->_write("POST /api/auth/sign-in/email HTTP/1.1\r\nHost: x\r\n$_");
	$one;
} '', "Content-Type: application/json\r\nContent-Length: 10\r\n\r\n{";

# Host ----------------------------------------------------------------------

# A Host of which no URL can be made ended the process.
for my $host ('a:b', 'a|b', 'todo.example:99999', '%', 'x y', '[::1', 'x@y', '') {
	my $answer = $issuer->raw("GET /api/auth/ok HTTP/1.1\r\nHost: $host\r\n\r\n");
	ok($answer && $answer->status == 200, "Host: $host is answered");
	ok($issuer->lives, 'and does not end the issuer');
	my $through = others(sub {
		$client->raw("GET /api/auth/ok HTTP/1.1\r\nHost: $host\r\n\r\n")
	});
	is($through && $through->status, 400, 'nginx does not pass it on');
	my $absolute = others(sub { $client->raw('GET '
	    . "$url/api/auth/ok HTTP/1.1\r\nHost: $host\r\n\r\n") });
	is($absolute && $absolute->status, 400, 'nor beside a target that names our host');
}
is(get('/api/auth/ok', [Host => $_])->status, 200, "nginx passes Host: $_ on")
    for $client->authority, $client->authority =~ s/:.*//r, uc $client->authority;

# A Host was made part of the path.
is_problem($issuer->raw("GET /api/auth/nothing HTTP/1.1\r\nHost: x\\api\\auth\\ok?\r\n\r\n"), 404,
    'not_found', 'Host: x\api\auth\ok? does not make another path of /nothing');
is($issuer->send('GET', '/api/auth/ok', [[Host => 'x' . '\\' x 7800 . 'y?']])->status, 200,
    'nor does one with 7,800 backslashes');

# Neither an origin nor the scheme of cookies comes from a request.
my %new = (name => 'Ann', email => "$tag-ann\@example.com",
    password => 'correct horse battery staple');
sub straight ($path, $body, @headers) { $issuer->send('POST', "/api/auth$path",
    [['Content-Type' => 'application/json'], @headers], $JSON->encode($body)) }
for my $lie ([[Host => 'evil.example']], [[Host => 'evil.example'],
    ['X-Forwarded-Host' => 'evil.example'], ['X-Forwarded-Proto' => 'https'],
    [Forwarded => 'host=evil.example;proto=https']]) {
	my @lie = @$lie;
	is(straight('/sign-up/email', \%new, [Origin => 'https://evil.example'], @lie)->status, 403,
	    'an origin is not trusted because the request names it as host too');
	is(straight('/sign-up/email', \%new, [Origin => 'null'], ['Sec-Fetch-Site' => 'cross-site'],
	    @lie)->status, 403, 'nor is an origin of null');
}
is(users(), 0, 'nobody has signed up by that');
my $up = straight('/sign-up/email', \%new, [Origin => $url], [Host => 'evil.example'],
    ['X-Forwarded-Proto' => 'http'], ['X-Forwarded-Host' => 'evil.example'],
    [Forwarded => 'proto=http']);
is($up->status, 200, 'the origin of the settings is trusted, whatever the host');
like($up->header('Set-Cookie'), qr/\A__Secure-todo\.session_token=.*; Secure/,
    'and cookies are for https, whatever X-Forwarded-Proto says');
my $ann = cookie_of($up);

# Targets --------------------------------------------------------------------

is_problem($issuer->raw("GET $_ HTTP/1.1\r\nHost: x\r\n\r\n"), 400, 'bad_request', "no target: $_")
    for "$url/api/auth/ok", 'http://x/api/auth/ok', '*', '//api/auth/ok', '/api//auth/ok',
    '/api/auth/./ok', '/api/auth/../auth/ok', '/api/auth/%2e/ok', '/api/auth/%2E%2e/auth/ok',
    '/api/auth/..', '/api/auth%2fok', '/api/auth/%5cok',
    '/api/auth\\ok', '/api/auth/ok#x', '/api/auth/%', '/api/auth/%g0', "/api/auth/\xe9",
    "/api/auth/ok?\xe9", '/api/auth/ok?\\';
is_problem($issuer->raw("$_ /api/auth/ok HTTP/1.1\r\nHost: x\r\n\r\n"), 404, 'not_found',
    "$_ is no method of /ok") for qw(POST PUT DELETE OPTIONS TRACE);
is($issuer->send('GET', "/api/auth/ok?$_")->status, 200, "a query counts for nothing: $_")
    for 'callbackURL=//evil', '__proto__=1&__proto__=2', 'constructor=x', '&' x 2000, '%', 'x=%zz';
is_problem($issuer->raw($_->[1]), 400, 'bad_request', "no HTTP: $_->[0]") for ['words',
    "words\r\n\r\n"], ['CONNECT', "CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n"], ['two lengths',
    "POST /api/auth/ok HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n"],
    ['a header without a colon', "GET / HTTP/1.1\r\nHost\r\n\r\n"], ['a NUL',
    "GET /api/auth/ok HTTP/1.1\r\nX: a\0b\r\n\r\n"];
is_problem($issuer->raw("GET /api/auth/ok HTTP/1.1\r\nHost: x\r\nX: " . 'y' x 70_000 . "\r\n\r\n"),
    431, 'header_too_large', 'a head of 70,000 bytes');
is($issuer->raw("GET /api/auth/ok HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
    ->status, 200, 'an upgrade is not carried out');
is($issuer->raw("GET /api/auth/ok HTTP/1.0\r\n\r\n")->status, 200,
    'HTTP/1.0 without a Host is answered');
ok($issuer->lives, 'the issuer is the same after all of these');

# Routes ---------------------------------------------------------------------

# What Better Auth has besides: /verify-password was a password oracle without a limit, and
# /error a page of anybody's words on our origin.
my @closed = qw(verify-password change-password change-email set-password delete-user list-sessions
    revoke-session revoke-sessions revoke-other-sessions update-session list-accounts
    link-social unlink-account sign-in/social
    refresh-token get-access-token account-info request-password-reset reset-password
    send-verification-email);
is_problem(post("/$_", { password => 'x' }, [Cookie => $ann]), 404, 'not_found',
    "POST /$_ is not there") for @closed;
is_problem(get("/api/auth/$_", [Cookie => $ann]), 404, 'not_found', "GET /$_ is not there")
    for 'error?error=X&error_description=words', 'verify-email?token=x', 'jwks', 'list-sessions',
    'list-accounts', 'callback/google', 'delete-user/callback?token=x', 'reset-password/x',
    'reference', 'ok/', '';
is(get('/api/auth/get-session?' . $_, [Cookie => $ann])->json->{user}{name}, 'Ann',
    "open: GET /get-session?$_") for '', 'disableRefresh=true', 'disableCookieCache=true&x=y';
is(get('/api/auth/token', [Cookie => $ann])->status, 200, 'open: GET /token');
is(post('/update-user', { name => 'Ann Other' }, [Cookie => $ann])->status, 200,
    'open: POST /update-user');
for my $answer (get('/api/auth/ok'), get('/api/auth/nothing'), get('/api/auth/token'),
    get('/api/auth/x//')) {
	my $name = $answer->status;
	is($answer->header('X-Content-Type-Options'), 'nosniff', "$name: nosniff");
	next if $name == 400;
	is($answer->header('Content-Security-Policy'),
	    q{default-src 'none'; frame-ancestors 'none'}, "$name: no page is made of it");
	is($answer->header('Referrer-Policy'), 'no-referrer', "$name: no referrer");
	is($answer->header('Cache-Control'), 'no-store', "$name: not stored");
}

# Bodies ---------------------------------------------------------------------

my ($users, $sessions) = (users(), sessions());
my %in = (email => $new{email}, password => $new{password});
sub refused ($answer, $code, $name) {
	is($answer->status, 400, "$name is 400") or diag($answer->dump);
	is(eval { $answer->json->{code} }, $code, "and says $code");
}
refused(post('/sign-up/email', { %new, email => 'a' x 245 . '@example.com' }), 'EMAIL_TOO_LONG',
    'signing up with an address of 257 characters');
refused(post('/sign-up/email', { %new, email => 'b@example.com', name => 'n' x 256 }),
    'NAME_TOO_LONG', 'signing up with a name of 256');
refused(post('/update-user', { name => 'n' x 256 }, [Cookie => $ann]), 'NAME_TOO_LONG',
    'taking a name of 256');
refused(post('/update-user', { name => $_ }, [Cookie => $ann]), 'INVALID_NAME',
    'taking the name ' . $JSON->encode($_)) for 7, [], {}, undef;
refused(post('/update-user', { image => $_ }, [Cookie => $ann]), 'INVALID_IMAGE',
    'taking the image ' . $JSON->encode($_)) for 7, [], {};
refused(post('/sign-up/email', { %new, email => $_ }), 'INVALID_EMAIL',
    'signing up with the address ' . $JSON->encode($_)) for 7, [], {}, undef;
refused(post('/sign-in/email', { %in, email => 'a@' . 'b' x 60_000 }), 'EMAIL_TOO_LONG',
    'signing in with an address of 60,000');
like(post('/sign-up/email', { %new, email => 'a' x 245 . '@example.com' })->json->{message},
    qr/\Aemail has 257 characters, 255 are allowed\z/,
    'the message says what is too long, and by how much');
# A callbackURL went into a header after the session was made.
for my $kind ([sign => '/sign-in/email', \%in], [sign => '/sign-up/email', { %new,
    email => "$tag-b\@example.com" }]) {
	my (undef, $path, $body) = @$kind;
	refused(post($path, { %$body, callbackURL => $_->[0] }), $_->[1],
	    "$path with callbackURL " . substr $JSON->encode($_->[0]), 0, 30)
	    for ["/\x{20ac}", 'INVALID_CALLBACK_URL'], ["/ ", 'INVALID_CALLBACK_URL'], ["/\x{d800}",
	    'INVALID_CALLBACK_URL'], ['/' . 'a' x 5000, 'CALLBACK_URL_TOO_LONG'];
	is(post($path, { %$body, callbackURL => $_ })->status, 403,
	    "$path with callbackURL " . $JSON->encode($_) . ' is refused')
	    for 'https://evil.example/', '//evil.example', '/\\evil.example', "/a\r\nX: y", "/\0";
}
my $deep = '[' x 30_000 . ']' x 30_000;
for my $body ('', '{', 'null', '[]', '7', '"x"', '{}', $deep, qq({"email":$deep}),
    '{"__proto__":{"email":"x"}}', '{"email":{"toString":1}}', "\xff\xfe",
    '{"name":"\\ud800","email":"x","password":"y"}',
    '{"rememberMe":"x","email":"a@b.cc","password":"12345678","name":"x"}') {
	for my $path ('/sign-up/email', '/sign-in/email', '/update-user', '/sign-out') {
		my $status = others(sub { $client->send('POST', "/api/auth$path", [[Origin => $url],
		    ['Content-Type' => 'application/json'], [Cookie => 'x=y']], $body) })->status;
		ok($status >= 200 && $status < 500, "$path with the body " . (substr($body, 0,
		    20) =~ s/[^ -~]/?/gr) . " is $status");
	}
}
is(sessions(), $sessions, 'no session came of any of these');
is(users(), $users, 'nor an account');
my $in = post('/sign-in/email', { %in, callbackURL => '/tasks?x=1' });
is($in->status, 200, 'a callbackURL of our own is taken');

my $long = 'x' x 65_537;
my $post = "POST /api/auth/sign-in/email HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n";
is_problem($issuer->send('POST', '/api/auth/sign-in/email',
    [['Content-Type' => 'application/json']], $long), 413, 'content_too_large',
    'a body of 65,537 bytes');
is_problem($issuer->raw("${post}Transfer-Encoding: chunked\r\n\r\n10001\r\n$long\r\n0\r\n\r\n"),
    413, 'content_too_large', 'and in chunks');
is($issuer->send('POST', '/api/auth/sign-in/email', [[Origin => $url],
    ['Content-Type' => 'application/json']], $JSON->encode(\%in) . ' ' x 65_000)->status, 200,
    'a body of 65,100 is read');

# 40 MB to each of 10 connections, and 2,000 that are given up half way.
my $before = $issuer->memory;
for (1 .. 10) {
	my $one = Issuer->new($stack);
	$one->_connect;
	$one->_write("${post}Content-Length: 40000000\r\n\r\n" . 'x' x 40_000_000);
	$one->close;
}
cmp_ok($issuer->memory - $before, '<', 100_000, '400 MB of bodies are not kept in memory');
for (1 .. 2000) {
	my $one = Issuer->new($stack);
	$one->_connect;
	$one->_write("${post}Content-Length: 60000\r\n\r\n" . 'x' x 30_000);
	$one->close;
}
ok($issuer->lives, 'nor do bodies that end half way end the issuer');
my $pid = $issuer->pid;
poll { scalar(() = glob "/proc/$pid/fd/*") < 100 } 'their descriptors are closed';
cmp_ok($issuer->memory - $before, '<', 150_000,
    'and their memory is free') or diag($issuer->memory - $before);

# Idle -----------------------------------------------------------------------

# nginx keeps a connection for 60 s and sends a request on it without looking. Node closed it
# after 5 to 6 s, so that the first request after a silence could be a 502.
$issuer->close;
is($issuer->send('GET', '/api/auth/ok')->status, 200, 'a connection is used');
my $socket = $issuer->{socket};
my $ready = '';
vec($ready, fileno $socket, 1) = 1;
is(select($ready, undef, undef, 8), 0, 'and is still open when nothing came for 8 s');
is($issuer->send('GET', '/api/auth/ok')->status, 200, 'and is used again');
is($issuer->{socket}, $socket, 'the same connection');
my ($kept) = $issuer->send('GET', '/api/auth/ok')->header('Keep-Alive') =~ /timeout=(\d+)/;
my ($nginx) = map { /^\s*keepalive_timeout\s+(\d+)s?;/m ? $1
    : () } map { /upstream better_auth \{(.*?)\n\}/s } $stack->read('etc/todo/todo-upstreams.conf');
cmp_ok($kept, '>', $nginx // 60, 'it is kept for longer than nginx keeps it');

# Slow -----------------------------------------------------------------------

for (['a head', $slow[0]], ['a body', $slow[1]]) {
	my ($what, $one) = @$_;
	is_problem(eval { $one->_read_answer('POST', '(slow)') }, 408, 'request_timeout',
	    "$what that does not come is not waited for for ever");
}
ok($issuer->lives, 'the issuer is the same after everything');

# Stopping, and the limit of attempts -----------------------------------------

# A connection that says nothing does not make a failure of the stop.
my $silent = Issuer->new($stack);
$silent->_connect;
open my $settings, '>>', $stack->file('etc/settings.env') or die $!;
print {$settings} "ISSUER_RATE_LIMIT=on\n";
close $settings;
$stack->staging('issuer-stop');
like(($stack->log_lines('issuer.log'))[-1], qr/event=stop\z/,
    'the issuer ends in order although a connection is open');
$stack->staging('issuer-start');
# Attempts are counted by the address that nginx saw, and by nothing that a client says.
my @status = map {
	post('/sign-in/email', { %in, password => "wrong guess $_" },
	    ['X-Forwarded-For' => "192.0.2.$_"], ['X-Real-IP' => "192.0.2.$_"],
	    [Forwarded => "for=192.0.2.$_"], ['User-Agent' => $_],
	    [Host => $_ % 2 ? $client->authority : uc $client->authority])->status
} 1 .. 6;
is_deeply(\@status, [401, 401, 401, 429, 429, 429],
    'the fourth attempt from an address is refused, whatever else it says');

$stack->expect_log(qr/client sent|better-auth\.sock failed/);
$stack->done;
