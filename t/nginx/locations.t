# Goal: the locations alone, in an operator's server with rules of its own, answer
# as in the complete server: no rule of the operator's server changes an answer, and
# nginx's own errors have the shape of the contract. No client, however slow, keeps a
# worker busy.

use v5.36;
use FindBin;
use lib "$FindBin::Bin/../lib";
use File::Temp ();
use IO::Socket::INET;
use Socket qw(SOL_SOCKET SO_RCVBUF);
use Test::More;
use Client;
use Facts;
use FakePool;
use Stack;

my $stack = Stack->new(inside => 1);
my $dir = File::Temp->newdir('todo-beside-XXXXXX', TMPDIR => 1);

# Rules that an operator may have for a whole server. Each of them would spoil an
# answer of the locations, if it applied there.
my $SERVER = <<'END';
	root /nonexistent;
	auth_basic secret;
	auth_basic_user_file /nonexistent;
	add_header X-Operator yes always;
	charset utf-8;
	charset_types *;
	expires 1h;
	gzip on;
	gzip_types *;
	gzip_min_length 1;
	error_page 400 401 403 404 405 412 413 415 422 429 500 502 503 504 =200 /oops;
	fastcgi_intercept_errors on;
	fastcgi_pass_request_body off;
	fastcgi_buffer_size 4k;
	fastcgi_buffers 8 4k;
	fastcgi_busy_buffers_size 8k;
	fastcgi_temp_file_write_size 8k;
	fastcgi_max_temp_file_size 0;
	fastcgi_hide_header ETag;
	fastcgi_force_ranges on;
	fastcgi_ignore_client_abort on;
	fastcgi_keep_conn on;
	fastcgi_next_upstream error timeout http_503 non_idempotent;
	fastcgi_param HTTP_X_OPERATOR yes;
	limit_req_status 503;
	client_max_body_size 1g;
	location = /oops { return 200 "oops\n"; }
	location /api/ { return 418; }
END

my $nginx = -x '/usr/sbin/nginx' ? '/usr/sbin/nginx' : 'nginx';
my %running;

# Starts an nginx with such a server in front of the pool at `socket`. `edit` changes
# the product's files: name => sub. Returns a client.
sub beside ($socket, %edit) {
	my $n = keys %running;
	my $home = "$dir/$n";
	mkdir $home or die $!;
	mkdir "$home/todo" or die $!;
	for my $path (glob Stack->root . '/nginx/*.conf') {
		my ($name) = $path =~ m{([^/]+)\z};
		open my $in, '<', $path or die $!;
		my $text = do { local $/; <$in> };
		$text =~ s{unix:/run/todo-fcgi/todo\.sock}{unix:$socket}g;
		for my $edit ($edit{$name} // ()) { $edit->($text) or die "no edit of $name" }
		open my $out, '>', "$home/todo/$name" or die $!;
		print {$out} $text;
		close $out;
	}
	my $port = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 1)->sockport;
	my $user = $> == 0 ? 'user root;' : '';
	open my $f, '>', "$home/nginx.conf" or die $!;
	print {$f} <<~END;
	daemon off;
	$user
	worker_processes 1;
	pid $home/pid;
	error_log $home/error.log info;
	events { }
	http {
		access_log off;
		@{[map { "${_}_temp_path $home/$_;" } qw(client_body fastcgi proxy uwsgi scgi)]}
		include todo/todo-settings.conf;
		limit_conn_zone \$server_port zone=beside:1m;
		server {
			listen 127.0.0.1:$port ssl sndbuf=64k;
			ssl_certificate @{[$stack->file('etc/cert.pem')]};
			ssl_certificate_key @{[$stack->file('etc/key.pem')]};
			$SERVER
			@{[$edit{server} // '']}
			include todo/todo-locations.conf;
		}
	}
	END
	close $f;
	my $pid = fork // die $!;
	if (!$pid) {
		open STDERR, '>', "$home/stderr" or POSIX::_exit(126);
		{ exec $nginx, '-p', "$home/", '-e', "$home/error.log", '-c', "$home/nginx.conf" }
		POSIX::_exit(127);
	}
	$running{$pid} = $home;
	poll { IO::Socket::INET->new(PeerAddr => "127.0.0.1:$port") } 'nginx listens';
	return Client->new(url => "https://127.0.0.1:$port", ca => $stack->{env}{STAGING_CA},
	    on_answer => sub ($answer) { $stack->_on_answer($answer) });
}
END {
	my $status = $?;
	kill TERM => keys %running;
	waitpid $_, 0 for keys %running;
	$? = $status;
}

my $client = beside($stack->pool_socket);
my $alice = $stack->user(client => $client);
my $task = $alice->task('beside others');
my $path = "/tasks/$task->{id}";

# No rule of the server applies. (Answer.pm also checks what holds for all answers.)
is($alice->get($path)->header('ETag'), $task->{etag}, 'a task has its ETag');
for (
	['a list', $alice->get('/tasks', { 'Accept-Encoding' => 'gzip' }), 200],
	['a task', $alice->get($path, { 'Accept-Encoding' => 'gzip', Range => 'bytes=0-1' }), 200],
	['a task not modified', $alice->get($path, { 'If-None-Match' => '*' }), 304],
	['a write', $alice->put($path, { title => 'written' }), 200],
	['healthz', $client->send('GET', '/healthz'), 200],
	['readyz', $client->send('GET', '/readyz'), 200], ['OPTIONS', $alice->options($path), 204])
{
	my ($name, $answer, $status) = @$_;
	answers($answer, $status, "$name: the status");
	is($answer->header($_), undef, "$name: no $_")
	    for 'X-Operator', 'Expires', 'Content-Encoding';
}
refuses($alice->get('/tasks', { Authorization => undef }),
	token_missing => '401 by the program');
refuses($alice->get('/api/other/tasks'), forbidden => '403 by the program');
refuses($alice->get('/tasks/x'), not_found => '404 by the program');
refuses($alice->request('BREW', $path), method_not_allowed => '405 by the program');
refuses($alice->put($path, { title => 'x' }, { 'If-Match' => '"stale"' }),
	precondition_failed => '412 by the program');
refuses($alice->put($path, '{}', { 'Content-Type' => 'text/plain' }),
	unsupported_media_type => '415 by the program');
refuses($alice->put($path, { title => '' }), invalid => '422 by the program');
answers($alice->delete($path), 204, '204 by the program');
is($stack->of_others(sub { $client->send('GET', '/api/other') })->status, 418,
	"/api/other goes to the operator's location");
is($stack->of_others(sub { $client->send('GET', '/api/auth/tasks') })->status, 418,
	"/api/auth/tasks goes to the operator's location");

# nginx's own errors, with a body and for HEAD.
$stack->allow_status(400, 403, 413, 429, 502, 503, 504);

# Better Auth beside it, without a socket: nginx's own errors are problems too.
my $auth = beside($stack->pool_socket, server => 'include todo/todo-better-auth.conf;',
    'todo-settings.conf' => sub { $_[0] =~ s{/run/todo-issuer/}{$dir/}g },
    'todo-better-auth.conf' => sub { $_[0] =~ s/(?=client_max_body_size)/auth_basic off; / });
for (['/api/auth/ok', bad_gateway => '502'], ['/api/auth/x/../ok', bad_request => '400']) {
	my ($path, $code, $name) = @$_;
	my $answer = $stack->of_others(sub { $auth->send('GET', $path) });
	is($answer->header('Content-Type'), 'application/problem+json',
		"$name of nginx for Better Auth is a problem");
	is($answer->json->{code}, $code, "$name of nginx for Better Auth has the code $code");
}
my $large = $stack->of_others(
	sub { $auth->send('POST', '/api/auth/sign-in/email', [['Content-Length' => 70000]]) });
is($large->json->{code}, 'content_too_large', '413 of nginx for Better Auth has its code');

refuses($alice->post('/tasks', 'x' x 16385), content_too_large => '413 of nginx');
refuses($client->send('HEAD', '/api/me', [['Content-Length' => 16385], [Connection => 'close']]),
	content_too_large => '413 of nginx to HEAD');
my $broken = "Host: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n";
refuses($client->raw("POST @{[$alice->tasks]} HTTP/1.1\r\n$broken"),
	bad_request => '400 of nginx to a broken body');
my $elsewhere = Client->new(%$client{qw(ca on_answer)}, url => 'https://' . $client->authority,
	from => '127.0.0.2');
for my $method (qw(GET HEAD)) {
	refuses($elsewhere->send($method, '/readyz'),
		forbidden => "403 of nginx: $method /readyz from another address",
		detail => qr/address/);
}

my $limited = beside($stack->pool_socket, 'todo-settings.conf' =>
	    sub { $_[0] =~ s/(\$todo_limit_key \{\n\tdefault) ""/$1 \$todo_client/ });
for my $method (qw(GET HEAD)) {
	my ($late) = grep { $_->status != 200 }
	    $alice->with(client => $limited)->pipeline(map { [$method, '/api/me'] } 1 .. 200);
	refuses($late, rate_limited => "429 of nginx to $method");
	like($late->header('Retry-After'), qr/\A\d+\z/, "429 of nginx to $method has Retry-After");
}

my $nobody = beside("$dir/nobody");
for my $method (qw(GET HEAD PUT)) {
	my $gone = $alice->with(client => $nobody)
	    ->request($method, $path, {}, $method eq 'PUT' ? '{}' : undef);
	refuses($gone, bad_gateway => "502 of nginx to $method");
	ok(defined $gone->header('Retry-After'), "502 of nginx to $method has Retry-After");
}

# A worker that hangs: 504, asked once. Meanwhile the product's own limit of requests
# under way applies, which no limit_conn of the operator's server replaces.
{
	my $fake = FakePool->new("$dir/fake");
	my $hanging = beside(
		"$dir/fake", server => 'limit_conn beside 1000; limit_conn_status 503;',
		'todo-fastcgi-params.conf' => sub {
			$_[0] =~ s/fastcgi_read_timeout\s+\S+;/fastcgi_read_timeout 1s;/
			    && $_[0] =~
			    s/limit_conn\s+todo_requests\s+\d+;/limit_conn todo_requests 1;/;
		});
	my $first =
	    Client->new(%$hanging{qw(ca on_answer)}, url => 'https://' . $hanging->authority);
	$first->_connect;
	$first->_write($first->_text('GET', '/api/u/tasks?hang', [], undef));
	poll { scalar $fake->seen } 'the request hangs';
	for my $method (qw(GET HEAD)) {
		my $busy = $hanging->send($method, '/api/u/tasks');
		refuses($busy,
			rate_limited => "429 of nginx to $method: one request too many under way");
		ok(defined $busy->header('Retry-After'), "429 of nginx to $method has Retry-After");
	}
	my $late = $first->_read_answer('GET', '/api/u/tasks?hang');
	refuses($late, gateway_timeout => '504 of nginx');
	is(scalar $fake->seen, 0, 'a request that hung was not repeated');
}

# A worker is free as soon as it has answered, even if the client has not read a
# byte. The answer is whole when the client reads. (The buffers of the kernel are
# small here, so that they cannot hold the answer.)
{
	my $bob = $stack->user;
	my $largest = '{"title":"' . '\u0001' x 200 . '","description":"' . '\u0001' x 1000 . '"}';
	$bob->pipeline(map { ['POST', '/tasks', {}, $largest] } 1 .. 100) for 1 .. 5;
	my $worker = $stack->program->worker;
	my $alone = beside($worker->socket);
	my $slow = Client->new(%$alone{qw(ca on_answer)}, url => 'https://' . $alone->authority);
	$slow->_connect;
	$slow->{socket}->setsockopt(SOL_SOCKET, SO_RCVBUF, 65536) or die $!;
	$slow->_write(
		$slow->_text(
			'GET', $bob->tasks . '?limit=500',
			[[Authorization => 'Bearer ' . $bob->token]], undef));
	poll { $worker->log =~ /event=request/ } 'the worker has the request of a slow client';
	answers($alone->send('GET', '/healthz'), 200, 'the worker answers others meanwhile');
	my $list = eval { $slow->_read_answer('GET', $bob->tasks . '?limit=500') };
	is($list && scalar $list->json->@*, 500, 'the slow client has all of its 500 tasks')
	    or diag($@);
	$stack->sql("DELETE FROM todo.tasks WHERE user_id = '" . $bob->id . "'");
}

$stack->done;
