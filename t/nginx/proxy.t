# Goal: nginx passes on what the contract names and nothing else, repeats reads and
# never writes, and gives its own errors the shape of the contract. CORS and the rate
# limit are off until the operator switches them on.

use v5.36;
use FindBin;
use lib "$FindBin::Bin/../lib";
use File::Temp ();
use IO::Socket::INET;
use IO::Socket::UNIX;
use POSIX ();
use Test::More;
use Facts;
use FakePool;
use Stack;

my $stack = Stack->new(private => 1, env => { STAGING_WORKERS => 1 });
my $client = $stack->client;
my $alice = $stack->user;
my $task = $alice->task('behind nginx');
my $none = '/tasks/01900000-0000-7000-8000-000000000000';
my @cors = ('Vary', map { "Access-Control-$_" }
    qw(Allow-Origin Expose-Headers Allow-Methods Allow-Headers Max-Age Allow-Credentials));
sub cors_of ($answer) {
	return { map { $_ => $answer->header($_) } grep { defined $answer->header($_) } @cors }
}
sub names ($text) { [sort split /,\s*/, $text // ''] }

# nginx makes the request id.
my $chosen = 'deadbeef' x 4;
isnt($alice->get('/tasks', { 'X-Request-Id' => $chosen, 'Request-Id' => $chosen })->id, $chosen,
	'a client does not choose the request id');
isnt($alice->get('/tasks')->id, $alice->get('/tasks')->id, 'two requests have different ids');

# No compression: it would make ETags weak and remove Content-Length.
$alice->task("filler $_", description => 'x' x 500) for 1 .. 5;
my $plain = $alice->get('/tasks');
my $zipped = $alice->get('/tasks', { 'Accept-Encoding' => 'gzip, deflate, br' });
is($zipped->body, $plain->body, 'Accept-Encoding does not change the body');
is($alice->get("/tasks/$task->{id}", { 'Accept-Encoding' => 'gzip' })->header('ETag'),
	$task->{etag}, 'Accept-Encoding does not change the ETag');

# /readyz answers the loopback address alone; all else answers everybody.
$stack->allow_status(403);
my $elsewhere = $stack->new_client(from => '127.0.0.2');
refuses($elsewhere->send('GET', '/readyz'), forbidden => '/readyz from another address',
	detail => qr/address/);
answers($elsewhere->send('GET', '/healthz'), 200, '/healthz from another address');
answers($elsewhere->send('GET', '/api/me', [[Authorization => 'Bearer ' . $alice->token]]), 200,
	'/api/me from another address');

# The paths of the user id "auth" go to Better Auth, which this stack does not have.
my $auth = $stack->user(id => 'auth');
$stack->allow_status(502);
my $answer = $stack->of_others(sub { $auth->get('/tasks') });
is($answer->status, 502, 'the path of the user id auth goes to Better Auth');
$stack->expect_log(qr/better-auth\.sock failed|upstream: "http/);
answers($auth->get('/api/me'), 200, 'a token of the user id auth is accepted');

# Better Auth counts attempts by the address of the client, whatever the client says
# itself. (A stand-in for Better Auth answers with the head of the request.)
{
	my $path = $stack->file('run/better-auth.sock');
	my $listen = IO::Socket::UNIX->new(Local => $path, Listen => 8) or die "$path: $!";
	chmod 0666, $path or die $!;
	my $pid = fork // die $!;
	if (!$pid) {
		while (my $socket = $listen->accept) {
			my $head = '';
			while (my $line = <$socket>) { last if $line eq "\r\n"; $head .= $line }
			print {$socket} "HTTP/1.1 200 OK\r\nContent-Length: "
			    . length($head)
			    . "\r\nConnection: close\r\n\r\n$head";
		}
		POSIX::_exit(0);
	}
	my $told = $stack->of_others(sub {
		$client->send(
			'GET',
			'/api/auth/x%41y?z=%20',
			[
				['X-Forwarded-For' => '1.2.3.4'], ['X-Real-IP' => '1.2.3.4'],
				[Forwarded => 'for=1.2.3.4'],
				['X-Forwarded-Host' => 'evil.example'],
				['X-Forwarded-Proto' => 'http'], ['X-Request-Id' => 'mine'],
				[Cookie => 'a=b']
			])
	});
	kill KILL => $pid;
	waitpid $pid, 0;
	unlink $path;
	my ($line, @head) = split /\r\n/, $told->body;
	is($line, 'GET /api/auth/x%41y?z=%20 HTTP/1.1',
		'Better Auth gets the target as sent');
	is_deeply(
		{ map { my ($name, $value) = split /: /, $_, 2; (lc $name => $value) } @head },
		{
			host => $client->authority, 'x-forwarded-host' => $client->authority,
			'x-forwarded-proto' => 'https', 'x-forwarded-for' => '127.0.0.1',
			'x-real-ip' => '127.0.0.1', 'x-request-id' => $told->id, cookie => 'a=b'
		},
		'Better Auth gets the address, the host and the id from nginx'
	) or diag($told->body);
}

# Requests without TLS, that are not HTTP, or that are too large.
my ($port) = $stack->url =~ /:(\d+)\z/;
my $bare = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port) or die $!;
$bare->print("GET /healthz HTTP/1.1\r\nHost: @{[$client->authority]}\r\nConnection: close\r\n\r\n");
my $text = do { local $/; <$bare> };
like($text, qr{\AHTTP/1\.1 400 .*application/problem\+json.*"code":"bad_request"}s,
	'plain HTTP on the TLS port is 400, as a problem');
my $host = 'Host: ' . $client->authority;
my @wrong = (
	['two lengths', 'POST /api/me HTTP/1.1', $host, 'Content-Length: 1', 'Content-Length: 2'],
	['a length and chunks', 'POST /api/me HTTP/1.1', $host, 'Content-Length: 5',
	    'Transfer-Encoding: chunked'],
	['an unknown coding', 'POST /api/me HTTP/1.1', $host, 'Transfer-Encoding: gzip'],
	['an unknown version', 'GET /api/me HTTP/3.0', $host],
	['two hosts', 'GET /api/me HTTP/1.1', $host, 'Host: y'],
	['a length that is not a number', 'POST /api/me HTTP/1.1', $host, 'Content-Length: x'],
	['64 headers of 1,000 bytes', 'GET /api/me HTTP/1.1', $host,
	    map { "X-$_: " . 'y' x 1000 } 1 .. 64],
);
for (@wrong) {
	my ($name, @head) = @$_;
	refuses($client->raw(join("\r\n", @head) . "\r\n\r\n"), bad_request => $name);
}

# CORS -----------------------------------------------------------------------

my $page = 'https://app.example';
is_deeply(cors_of($alice->get('/tasks', { Origin => $page })), {}, 'CORS is off: no header');
my %preflight = (Authorization => undef, Origin => $page, 'Access-Control-Request-Method' => 'PUT',
	'Access-Control-Request-Headers' => 'authorization');
my $off = $alice->options("/tasks/$task->{id}", \%preflight);
answers($off, 204, 'CORS is off: a preflight is a plain OPTIONS');
is_deeply(cors_of($off), {}, 'CORS is off: a preflight allows nothing');

$stack->anew({ STAGING_CORS => "$page https://b.example:8443" }, 'up', '--quiet');
my %exposed = (
	'Access-Control-Allow-Origin' => $page, Vary => 'Origin',
	'Access-Control-Expose-Headers' =>
	    join ', ', qw(ETag Link Location Retry-After X-Request-Id Idempotency-Replayed
	    WWW-Authenticate),
);
my $on = $alice->options("/tasks/$task->{id}", \%preflight);
answers($on, 204, 'a preflight from an allowed origin');
is($on->header('Access-Control-Allow-Origin'), $page, 'the preflight allows the origin');
is_deeply(names($on->header('Access-Control-Allow-Headers')),
	names('Authorization, Content-Type, If-Match, If-None-Match, Idempotency-Key'),
	'the preflight allows the headers of the contract');
my %method = map { $_ => 1 } names($on->header('Access-Control-Allow-Methods'))->@*;
is_deeply([grep { !$method{$_} } qw(GET POST PUT PATCH DELETE)], [],
	'the preflight allows every method');
is($on->header('Vary'), 'Origin', 'the preflight has Vary');
is($on->header('Access-Control-Allow-Credentials'), undef, 'the preflight allows no cookies');
answers($alice->options('/tasks', { Authorization => undef, Origin => $page }), 204,
	'OPTIONS without Access-Control-Request-Method goes to the program');
is_deeply(names($alice->options('/tasks', { Origin => $page })->header('Allow')),
	[qw(GET HEAD OPTIONS POST)], 'OPTIONS without Access-Control-Request-Method has Allow');

for (
	['200', $alice->get('/tasks', { Origin => $page })],
	['201', $alice->post('/tasks', { title => 'x' }, { Origin => $page })],
	['304', $alice->get("/tasks/$task->{id}", { Origin => $page, 'If-None-Match' => '*' })],
	['401', $alice->get('/tasks', { Origin => $page, Authorization => undef })],
	['403', $alice->get('/api/other/tasks', { Origin => $page })],
	['404', $alice->get($none, { Origin => $page })],
	['405', $alice->request('BREW', '/tasks', { Origin => $page })],
	['413 of nginx', $alice->post('/tasks', 'x' x 20_000, { Origin => $page })],
	['422', $alice->post('/tasks', { title => 1 }, { Origin => $page })],
	['204', $alice->delete("/tasks/$task->{id}", { Origin => $page })],
	['404 of no route', $alice->get('/api/nothing/here', { Origin => $page })],
	['me', $alice->get('/api/me', { Origin => $page })],
	['healthz', $client->send('GET', '/healthz', [[Origin => $page]])])
{
	is_deeply(cors_of($_->[1]), \%exposed, "an allowed origin may read: $_->[0]");
}
$stack->expect_log(qr/client intended to send too large body/);
is($alice->get('/tasks', { Origin => 'https://b.example:8443' })
	    ->header('Access-Control-Allow-Origin'), 'https://b.example:8443',
	'the second allowed origin');
for my $origin (
	undef, '', 'null', '*', 'https://evil.example', "$page.evil.example",
	'https://app.exampl', 'https://xapp.example', "$page/", uc $page, 'http://app.example',
	"$page:443", "$page https://b.example:8443", 'https://app-example', 'https://b.example',
	'app.example', "$page,", " $page x", "\t$page\t$page", 'example', 'https://')
{
	my $other = $alice->get('/tasks', { Origin => $origin });
	is_deeply(cors_of($other), { Vary => 'Origin' }, 'not allowed: ' . ($origin // 'no origin'))
	    or diag($other->dump);
	next if !defined $origin;
	is_deeply(cors_of($alice->options('/tasks', { %preflight, Origin => $origin })),
		{ Vary => 'Origin' }, "not allowed by a preflight: $origin");
}
$stack->anew({ STAGING_CORS => '' }, 'up', '--quiet');
is_deeply(cors_of($alice->get('/tasks', { Origin => $page })), {}, 'CORS is off again');

# Rate limit -------------------------------------------------------------------

is(scalar(grep { $_->status != 200 } $alice->pipeline(map { ['GET', '/api/me'] } 1 .. 300)), 0,
	'no rate limit: 300 requests at once');
$stack->anew({ STAGING_RATE_LIMIT => 'on' }, 'up', '--quiet');
$stack->allow_status(429);
my @limited = $alice->pipeline(map { ['GET', '/api/me'] } 1 .. 300);
my ($late) = grep { $_->status == 429 } @limited;
refuses($late, rate_limited => 'rate limit: some of 300 requests are refused');
like($late->header('Retry-After'), qr/\A\d+\z/, 'a refused request has Retry-After');
is(scalar(grep { $_->status != 200 && $_->status != 429 } @limited), 0,
	'rate limit: the others are answered');
is(
	scalar(grep { $_->status == 429 } $client->pipeline(map { ['GET', '/healthz'] } 1 .. 300)),
	0,
	'/healthz is never limited');
$stack->expect_log(qr/limiting requests/);
$stack->anew({ STAGING_RATE_LIMIT => '' }, 'up', '--quiet');
is(scalar(grep { $_->status != 200 } $alice->pipeline(map { ['GET', '/api/me'] } 1 .. 300)), 0,
	'the rate limit is off again');

# Without the pool ---------------------------------------------------------------

$stack->allow_status(504);
$stack->expect_log(qr/connect\(\) to unix:\S*todo\.sock failed/, qr/upstream prematurely closed/,
	qr/upstream timed out/, qr/upstream sent (?:too big|unsupported|invalid|unexpected)/,
	qr/while reading response header from upstream/, qr/no live upstreams/);
$stack->staging('pool-stop');
for my $method (qw(GET HEAD POST PUT PATCH DELETE OPTIONS)) {
	my $gone =
	    $alice->request($method, "/tasks/$task->{id}", {}, $method =~ /\AP/ ? '{}' : undef);
	refuses($gone, bad_gateway => "without the pool: $method");
	ok(defined $gone->header('Retry-After'), "without the pool: $method has Retry-After");
}
refuses($client->send('GET', '/healthz'), bad_gateway => 'without the pool: /healthz');

# What is passed on --------------------------------------------------------------

my $fake = FakePool->new($stack->pool_socket);
$stack->allow_status(200);
my @noise = (
	['X-User-Id' => 'mallory'], ['X-Forwarded-For' => '1.2.3.4'], [Forwarded => 'for=1.2.3.4'],
	['X-Original-URL' => '/api/bob/tasks'], ['X-Rewrite-URL' => '/x'],
	['X-HTTP-Method-Override' => 'DELETE'], [Proxy => 'http://evil.example'],
	[Cookie => 'session=1'],
	['X-Request-Id' => 'mine'], [Referer => 'https://x/'], ['User-Agent' => 'test'],
	[Accept => '*/*'], ['REQUEST_URI' => '/x'], ['Request-Uri' => '/x'], [Script_Name => 'x'],
	['Remote-User' => 'x'], ['X-Authorization' => 'x'], [Range => 'bytes=0-1'],
	['If-Modified-Since' => 'x'], ['If-Unmodified-Since' => 'x'], ['If-Range' => 'x'],
	[Expect => 'x'], [TE => 'trailers']
);
my $target = "/api/%54x/tasks?a=%2F..&b=1&b=2";
my %base = (Authorization => 'Bearer t', 'Content-Type' => 'application/json; charset=utf-8',
	'If-Match' => '"a", W/"b"', 'If-None-Match' => '"c"', 'Idempotency-Key' => 'k');
my $echo =
    $client->send('POST', $target, [(map { [$_, $base{$_}] } sort keys %base), @noise], '{"a":1}');
answers($echo, 200,
	'the parameters of a full request, and no others',
	{
		REQUEST_METHOD => 'POST', REQUEST_URI => $target,
		CONTENT_TYPE => $base{'Content-Type'}, CONTENT_LENGTH => 7,
		HTTP_AUTHORIZATION => 'Bearer t',
		HTTP_IF_MATCH => '"a", W/"b"', HTTP_IF_NONE_MATCH => '"c"',
		HTTP_IDEMPOTENCY_KEY => 'k', REQUEST_ID => $echo->id,
	});
is((($fake->seen)[-1])->{body}, '{"a":1}', 'the body is passed on unchanged');
my %bare = map { $_ => '' } qw(CONTENT_TYPE CONTENT_LENGTH HTTP_AUTHORIZATION
    HTTP_IF_MATCH HTTP_IF_NONE_MATCH HTTP_IDEMPOTENCY_KEY);
$echo = $client->send('GET', '/api/me', \@noise);
answers($echo, 200, 'the parameters of a bare request, and no others',
	{ %bare, REQUEST_METHOD => 'GET', REQUEST_URI => '/api/me', REQUEST_ID => $echo->id });
# REQUEST_URI is the target as sent, however nginx normalises it.
for my $raw ('/api/u1%2F..%2Fu2/tasks', '/api/u1/../u2/tasks', '/api//u1/tasks', '/api/./u1/tasks',
	"/api/u1/tasks?x=\x{e9}", '/api/u1/tasks?', '/api/u1/tasks#f', '/%61pi/me',
	'/api/auth%2Fx/tasks')
{
	my $got = $stack->of_others(sub { $client->send('GET', $raw) });
	is($got->status == 200 ? $got->json->{REQUEST_URI} : 'not passed on', $raw,
		'passed on as sent: ' . $raw =~ s/[^ -~]/?/gr)
	    if $raw !~ /auth|#/;
}
my $chunks = "3\r\n{\"a\r\n4\r\n\":1}\r\n0\r\n\r\n";
answers($client->send('POST', '/api/u/tasks', [['Transfer-Encoding' => 'chunked']], $chunks), 200,
    'a chunked body');
my ($chunked) = ($fake->seen)[-1];
is("$chunked->{params}{CONTENT_LENGTH} $chunked->{body}", '7 {"a":1}',
	'a chunked body is passed on whole, with its length');

# Where a worker dies, nginx repeats reads once and writes never.
for my $method (qw(GET HEAD)) {
	my $again = $client->send($method, '/api/u/tasks?die=1');
	answers($again, 200, "$method is repeated with another worker");
	is(scalar $fake->seen, 2, "$method is repeated once");
	refuses($client->send($method, '/api/u/tasks?die=9'),
		bad_gateway => "$method is 502 if the second worker dies too");
	is(scalar $fake->seen, 2, "$method is not repeated twice");
}
for my $method (qw(POST PUT PATCH DELETE OPTIONS BREW)) {
	refuses($client->send($method, '/api/u/tasks?die=1', [], $method =~ /\AP/ ? '{}' : undef),
		bad_gateway => "$method is 502 at once", detail => qr/not known/);
	is(scalar $fake->seen, 1, "$method is not repeated");
}
refuses($client->send('POST', '/api/u/tasks?junk', [], '{}'),
	bad_gateway => 'an answer that is not FastCGI is 502');
is(scalar $fake->seen, 1, 'a POST with a broken answer is not repeated');
# A worker that dies in the middle of its answer: nginx ends the connection.
my $get =
    sub ($query) { "GET /api/u/tasks?$query HTTP/1.1\r\nHost: @{[$client->authority]}\r\n\r\n" };
ok(!eval { $client->send('GET', '/api/u/tasks?half') },
	'half an answer is not taken for a whole one');
like($@, qr/connection closed/, 'the connection ends after half an answer');
ok(!$client->raw($get->('half') . $get->('whole')),
	'the next answer is not taken for the second half');
my $curl = "curl -q -sS --http2 --noproxy '*' --cacert '$stack->{env}{STAGING_CA}'";
my $http2 = qx($curl '@{[$stack->url]}/api/u/tasks?half' 2>&1);
is($? >> 8, 92, 'half an answer is an error over HTTP/2') or diag($http2);
$stack->expect_log(qr/upstream prematurely closed FastCGI/);
$fake->seen;
refuses($client->send('POST', '/api/u/tasks?huge=60000', [], '{}'),
	bad_gateway => 'a header of 60,000 bytes is 502');
is(scalar $fake->seen, 1, 'a POST with a header of 60,000 bytes is not repeated');

# A worker that never answers: 504, and not even a read is repeated.
{
	my $file = $stack->file('etc/todo/todo-fastcgi-params.conf');
	my $conf = $stack->read('etc/todo/todo-fastcgi-params.conf');
	ok($conf =~ s/fastcgi_read_timeout\s+\S+;/fastcgi_read_timeout 300ms;/,
		'todo-fastcgi-params.conf has a time limit');
	open my $f, '>', $file or die $!;
	print {$f} $conf;
	close $f;
	$stack->anew({}, 'nginx-reload');
	for my $method (qw(GET POST)) {
		my $body = $method eq 'POST' ? '{}' : undef;
		refuses($client->send($method, '/api/u/tasks?hang', [], $body),
		    gateway_timeout => "$method without an answer is 504");
		is(scalar $fake->seen, 1, "$method without an answer is not repeated");
	}
}

# Included in an operator's server ------------------------------------------------

my $dir = File::Temp->newdir;
system('cp', '-R', Stack->root . '/nginx', "$dir/todo") == 0 or die;
sub nginx_takes ($server) {
	open my $f, '>', "$dir/nginx.conf" or die $!;
	print {$f} <<~END;
	pid $dir/pid;
	events { }
	http {
		access_log off;
		include todo/todo-settings.conf;
		server {
			listen unix:$dir/socket default_server;
			$server
		}
	}
	END
	close $f;
	my $out = qx{nginx -t -p "$dir" -e "$dir/log" -c "$dir/nginx.conf" 2>&1};
	return $? == 0 ? '' : $out;
}
is(nginx_takes('include todo/todo-locations.conf;'), '', 'the locations alone, in an empty server');
my $include = 'include todo/todo-locations.conf;';
my $own = 'root /var/www; gzip on; gzip_types *; location / { } location /api/ { return 418; }';
is(nginx_takes("$own $include"), '', 'the locations beside a location /api/');
my $php = 'location ~ \.php$ { return 404; }';
is(nginx_takes("$include include todo/todo-better-auth.conf; $php"), '',
    'the locations with Better Auth');
like(nginx_takes("location = /healthz { return 200; } $include"), qr/duplicate location/,
    'nginx refuses a location that is there twice');

$stack->done;
