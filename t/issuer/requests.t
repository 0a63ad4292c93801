# Goal: whatever a request to the issuer holds, it gets the right answer, from the
# process that was there before; no route is open that nobody uses.

use v5.36;
use FindBin;
use lib "$FindBin::Bin/../lib";
use JSON::PP ();
use Test::More;
use BetterAuth;
use Facts;
use Issuer;
use Stack;

my $stack = Stack->new(private => 1, issuer => 1);
my $issuer = Issuer->new($stack);
my $client = $stack->client;
my $url = $stack->url;
my $JSON = JSON::PP->new->utf8->canonical->allow_nonref;
my $auth = BetterAuth->new($stack);
my $tag = lc $stack->tag;

sub others ($block) { $stack->of_others($block) }
sub get ($target, @headers) { others(sub { $client->send('GET', $target, [@headers]) }) }
sub post ($path, $body, @headers) { $auth->ask('POST', $path, undef, $body, @headers) }
sub users () { ($stack->sql('SELECT COUNT(*) FROM better_auth.user'))[0][0] }
sub sessions () { ($stack->sql('SELECT COUNT(*) FROM better_auth.session'))[0][0] }

# Requests that never end, started now and read at the end.
my @slow = map {
	my $one = Issuer->new($stack);
	$one->{timeout} = 60;
	$one->_connect;
	$one->_write("POST /api/auth/sign-in/email HTTP/1.1\r\nHost: x\r\n$_");
	$one;
} '', "Content-Type: application/json\r\nContent-Length: 10\r\n\r\n{";

# Host ----------------------------------------------------------------------

# A Host that makes no URL once ended the process.
for my $host ('a:b', 'a|b', 'todo.example:99999', '%', 'x y', '[::1', 'x@y', '') {
	my $rest = "HTTP/1.1\r\nHost: $host\r\n\r\n";
	my $answer = $issuer->raw("GET /api/auth/ok $rest");
	ok($answer && $answer->status == 200, "Host: $host is answered");
	ok($issuer->lives, "Host: $host does not end the issuer");
	my $through = others(sub { $client->raw("GET /api/auth/ok $rest") });
	is($through && $through->status, 400, "nginx refuses Host: $host");
	my $absolute = others(sub { $client->raw("GET $url/api/auth/ok $rest") });
	is($absolute && $absolute->status, 400, "nginx refuses Host: $host beside a right target");
}
is(get('/api/auth/ok', [Host => $_])->status, 200, "nginx passes Host: $_ on")
    for $client->authority, $client->authority =~ s/:.*//r, uc $client->authority;

# A Host once became part of the path.
my $host = 'x\api\auth\ok?';
is_problem($issuer->raw("GET /api/auth/nothing HTTP/1.1\r\nHost: $host\r\n\r\n"), 404,
    'not_found', "Host: $host does not change the path");
is($issuer->send('GET', '/api/auth/ok', [[Host => 'x' . '\\' x 7800 . 'y?']])->status, 200,
    'Host with 7,800 backslashes does not change the path');

# Neither a trusted origin nor the scheme of cookies comes from a request.
my %new = $auth->account('Ann');
sub straight ($path, $body, @headers) {
	unshift @headers, ['Content-Type' => 'application/json'];
	return $issuer->send('POST', "/api/auth$path", \@headers, $JSON->encode($body));
}
my @host = ([Host => 'evil.example']);
my @forwarded = (['X-Forwarded-Host' => 'evil.example'], ['X-Forwarded-Proto' => 'https'],
    [Forwarded => 'host=evil.example;proto=https']);
for (['Host', @host], ['Host and X-Forwarded-Host', @host, @forwarded]) {
	my ($what, @lie) = @$_;
	my $answer = straight('/sign-up/email', \%new, [Origin => 'https://evil.example'], @lie);
	is($answer->status, 403, "an origin is not trusted because $what names it too");
	my @cross_site = ([Origin => 'null'], ['Sec-Fetch-Site' => 'cross-site']);
	$answer = straight('/sign-up/email', \%new, @cross_site, @lie);
	is($answer->status, 403, "the origin null is not trusted, with a false $what");
}
is(users(), 0, 'none of these requests has made an account');
my $up = straight('/sign-up/email', \%new, [Origin => $url], @host,
    ['X-Forwarded-Proto' => 'http'], ['X-Forwarded-Host' => 'evil.example'],
    [Forwarded => 'proto=http']);
is($up->status, 200, 'the origin of the settings is trusted, whatever the host');
like($up->header('Set-Cookie'), qr/\A__Secure-todo\.session_token=.*; Secure/,
    'cookies are for https alone, whatever X-Forwarded-Proto says');
my $ann = session_cookie($up);

# Targets --------------------------------------------------------------------

is_problem($issuer->raw("GET $_ HTTP/1.1\r\nHost: x\r\n\r\n"), 400, 'bad_request',
	"refused target: $_")
    for "$url/api/auth/ok", 'http://x/api/auth/ok', '*', '//api/auth/ok', '/api//auth/ok',
    '/api/auth/./ok', '/api/auth/../auth/ok', '/api/auth/%2e/ok', '/api/auth/%2E%2e/auth/ok',
    '/api/auth/..', '/api/auth%2fok', '/api/auth/%5cok',
    '/api/auth\\ok', '/api/auth/ok#x', '/api/auth/%', '/api/auth/%g0', "/api/auth/\xe9",
    "/api/auth/ok?\xe9", '/api/auth/ok?\\';
is_problem($issuer->raw("$_ /api/auth/ok HTTP/1.1\r\nHost: x\r\n\r\n"), 404, 'not_found',
    "$_ /ok has no route") for qw(POST PUT DELETE OPTIONS TRACE);
is($issuer->send('GET', "/api/auth/ok?$_")->status, 200, "GET /ok ignores the query $_")
    for 'callbackURL=//evil', '__proto__=1&__proto__=2', 'constructor=x', '&' x 2000, '%', 'x=%zz';
my @not_http = (
	['words', "words\r\n\r\n"],
	['CONNECT', "CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n"],
	['two lengths', "POST /api/auth/ok HTTP/1.1\r\nHost: x\r\n"
	    . "Content-Length: 1\r\nContent-Length: 2\r\n\r\n"],
	['a header without a colon', "GET / HTTP/1.1\r\nHost\r\n\r\n"],
	['a NUL', "GET /api/auth/ok HTTP/1.1\r\nX: a\0b\r\n\r\n"],
);
is_problem($issuer->raw($_->[1]), 400, 'bad_request', "not HTTP: $_->[0]") for @not_http;
is_problem($issuer->raw("GET /api/auth/ok HTTP/1.1\r\nHost: x\r\nX: " . 'y' x 70_000 . "\r\n\r\n"),
    431, 'header_too_large', 'a head of 70,000 bytes');
is($issuer->raw("GET /api/auth/ok HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
    ->status, 200, 'an upgrade to websocket is ignored');
is($issuer->raw("GET /api/auth/ok HTTP/1.0\r\n\r\n")->status, 200,
    'HTTP/1.0 without a Host');
ok($issuer->lives, 'the issuer is still the same process after these targets');

# Routes ---------------------------------------------------------------------

# Routes of Better Auth that are closed. Once /verify-password was open, which tells without
# a limit if a password is right, and /error, a page of any text on the issuer's origin.
my @closed = qw(verify-password change-password change-email set-password delete-user list-sessions
    revoke-session revoke-sessions revoke-other-sessions update-session list-accounts
    link-social unlink-account sign-in/social
    refresh-token get-access-token account-info request-password-reset reset-password
    send-verification-email);
is_problem(post("/$_", { password => 'x' }, [Cookie => $ann]), 404, 'not_found',
    "closed: POST /$_") for @closed;
is_problem(get("/api/auth/$_", [Cookie => $ann]), 404, 'not_found', "closed: GET /$_")
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
	is(
		$answer->header('Content-Security-Policy'),
		q{default-src 'none'; frame-ancestors 'none'},
		"$name: the content security policy allows nothing");
	is($answer->header('Referrer-Policy'), 'no-referrer',
		"$name: Referrer-Policy is no-referrer");
	is($answer->header('Cache-Control'), 'no-store', "$name: Cache-Control is no-store");
}

# Bodies ---------------------------------------------------------------------

my ($users, $sessions) = (users(), sessions());
my %in = (email => $new{email}, password => $new{password});
sub refused ($answer, $code, $name) {
	is($answer->status, 400, "$name is 400") or diag($answer->dump);
	is(eval { $answer->json->{code} }, $code, "$name has the code $code");
}
refused(post('/sign-up/email', { %new, email => 'a' x 245 . '@example.com' }), 'EMAIL_TOO_LONG',
    'signing up with an address of 257 characters');
refused(post('/sign-up/email', { %new, email => 'b@example.com', name => 'n' x 256 }),
    'NAME_TOO_LONG', 'signing up with a name of 256 characters');
refused(post('/update-user', { name => 'n' x 256 }, [Cookie => $ann]), 'NAME_TOO_LONG',
    'changing to a name of 256 characters');
refused(post('/update-user', { name => $_ }, [Cookie => $ann]), 'INVALID_NAME',
    'changing to the name ' . $JSON->encode($_)) for 7, [], {}, undef;
refused(post('/update-user', { image => $_ }, [Cookie => $ann]), 'INVALID_IMAGE',
    'changing to the image ' . $JSON->encode($_)) for 7, [], {};
refused(post('/sign-up/email', { %new, email => $_ }), 'INVALID_EMAIL',
    'signing up with the address ' . $JSON->encode($_)) for 7, [], {}, undef;
refused(post('/sign-in/email', { %in, email => 'a@' . 'b' x 60_000 }), 'EMAIL_TOO_LONG',
    'signing in with an address of 60,000 characters');
like(post('/sign-up/email', { %new, email => 'a' x 245 . '@example.com' })->json->{message},
    qr/\Aemail has 257 characters, 255 are allowed\z/,
    'the message has the name, the length and the limit');
# A callbackURL once went into a header after the session was made.
my %other = (%new, email => "$tag-b\@example.com");
for (['/sign-in/email', \%in], ['/sign-up/email', \%other]) {
	my ($path, $body) = @$_;
	my @invalid = map { [$_, 'INVALID_CALLBACK_URL'] } "/\x{20ac}", '/ ', "/\x{d800}";
	for (@invalid, ['/' . 'a' x 5000, 'CALLBACK_URL_TOO_LONG']) {
		my ($callback, $code) = @$_;
		refused(post($path, { %$body, callbackURL => $callback }), $code,
		    "$path with callbackURL " . substr $JSON->encode($callback), 0, 30);
	}
	is(post($path, { %$body, callbackURL => $_ })->status, 403,
	    "$path with the foreign callbackURL " . $JSON->encode($_))
	    for 'https://evil.example/', '//evil.example', '/\\evil.example', "/a\r\nX: y", "/\0";
}
my $deep = '[' x 30_000 . ']' x 30_000;
for my $body ('', '{', 'null', '[]', '7', '"x"', '{}', $deep, qq({"email":$deep}),
    '{"__proto__":{"email":"x"}}', '{"email":{"toString":1}}', "\xff\xfe",
    '{"name":"\\ud800","email":"x","password":"y"}',
    '{"rememberMe":"x","email":"a@b.cc","password":"12345678","name":"x"}') {
	my $shown = substr($body, 0, 20) =~ s/[^ -~]/?/gr;
	for my $path ('/sign-up/email', '/sign-in/email', '/update-user', '/sign-out') {
		my @headers = ([Origin => $url], ['Content-Type' => 'application/json'],
		    [Cookie => 'x=y']);
		my $answer = others(sub {
			$client->send('POST', "/api/auth$path", \@headers, $body);
		});
		my $status = $answer->status;
		ok($status >= 200 && $status < 500, "$path with the body $shown is $status");
	}
}
is(sessions(), $sessions, 'none of these bodies has made a session');
is(users(), $users, 'none of these bodies has made an account');
my $in = post('/sign-in/email', { %in, callbackURL => '/tasks?x=1' });
is($in->status, 200, 'a callbackURL of the same origin is accepted');

my $long = 'x' x 65_537;
my $post = "POST /api/auth/sign-in/email HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n";
is_problem($issuer->send('POST', '/api/auth/sign-in/email',
    [['Content-Type' => 'application/json']], $long), 413, 'content_too_large',
    'a body of 65,537 bytes');
is_problem($issuer->raw("${post}Transfer-Encoding: chunked\r\n\r\n10001\r\n$long\r\n0\r\n\r\n"),
    413, 'content_too_large', 'a body of 65,537 bytes in chunks');
is($issuer->send('POST', '/api/auth/sign-in/email', [[Origin => $url],
    ['Content-Type' => 'application/json']], $JSON->encode(\%in) . ' ' x 65_000)->status, 200,
    'a body of some 65,100 bytes is read');

# 40 MB on each of 10 connections, then 2,000 connections closed in the middle of a body.
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
ok($issuer->lives, 'bodies that end early do not end the issuer');
my $pid = $issuer->pid;
poll { scalar(() = glob "/proc/$pid/fd/*") < 100 } 'descriptors of closed connections are freed';
cmp_ok($issuer->memory - $before, '<', 150_000,
    'memory of closed connections is freed') or diag($issuer->memory - $before);

# Idle -----------------------------------------------------------------------

# nginx keeps an idle connection for 60 s and sends the next request on it unchecked. Node
# once closed it after 5 to 6 s, so the first request after a silence could be 502.
$issuer->close;
is($issuer->send('GET', '/api/auth/ok')->status, 200, 'a connection is used');
my $socket = $issuer->{socket};
my $ready = '';
vec($ready, fileno $socket, 1) = 1;
is(select($ready, undef, undef, 8), 0, 'the connection is open after 8 s without a request');
is($issuer->send('GET', '/api/auth/ok')->status, 200, 'a request on a connection that was idle');
is($issuer->{socket}, $socket, 'the request used the same connection');
my ($kept) = $issuer->send('GET', '/api/auth/ok')->header('Keep-Alive') =~ /timeout=(\d+)/;
my ($upstream) = $stack->read('etc/todo/todo-settings.conf')
    =~ /upstream better_auth \{(.*?)\n\}/s;
my ($nginx) = ($upstream // die 'no upstream') =~ /^\s*keepalive_timeout\s+(\d+)s?;/m;
cmp_ok($kept, '>', $nginx // 60, 'the issuer keeps connections for longer than nginx does');

# Slow -----------------------------------------------------------------------

for (['a head', $slow[0]], ['a body', $slow[1]]) {
	my ($what, $one) = @$_;
	is_problem(eval { $one->_read_answer('POST', '(slow)') }, 408, 'request_timeout',
	    "$what that does not come is 408");
}
ok($issuer->lives, 'the issuer is still the same process at the end');

# Stopping, and the limit of attempts -----------------------------------------

# A silent connection does not make the stop fail.
my $silent = Issuer->new($stack);
$silent->_connect;
open my $settings, '>>', $stack->file('etc/settings.env') or die $!;
print {$settings} "ISSUER_RATE_LIMIT=on\n";
close $settings;
$stack->staging('issuer-stop');
like(($stack->log_lines('issuer.log'))[-1], qr/event=stop\z/,
    'the issuer stops normally with a connection open');
$stack->staging('issuer-start');
# Attempts are counted by the address that nginx saw, whatever the client says.
my @status = map {
	post('/sign-in/email', { %in, password => "wrong guess $_" },
	    ['X-Forwarded-For' => "192.0.2.$_"], ['X-Real-IP' => "192.0.2.$_"],
	    [Forwarded => "for=192.0.2.$_"], ['User-Agent' => $_],
	    [Host => $_ % 2 ? $client->authority : uc $client->authority])->status
} 1 .. 6;
is_deeply(\@status, [401, 401, 401, 429, 429, 429],
    'the fourth attempt from an address is refused, whatever its headers say');

$stack->expect_log(qr/client sent|better-auth\.sock failed/);
$stack->done;
