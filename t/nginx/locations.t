# Goal: the locations alone, in a server that is there already and has rules of
# its own, answer as they do in ours: nothing of the server reaches in, and
# nginx's own errors have our shape. And no client, however slow, holds a worker.

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

# What an operator may have said for a whole server. Each of these lines would
# do harm to an answer, if it reached one.
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

# An nginx with such a server before the pool at `socket`; `edit` changes the
# text of our files, by name. Returns a client of it.
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
		for ($edit{$name} // ()) { $_->($text) or die "$name is not as it was" }
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
		open STDERR, '>', "$home/stderr";
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

# Nothing of the server reaches in. (The rules for all answers are looked at too.)
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
	answers($answer, $status, "$name is as ever");
	is($answer->header($_), undef, "$name: no $_")
	    for 'X-Operator', 'Expires', 'Content-Encoding';
}
refuses($alice->get('/tasks', { Authorization => undef }),
	token_missing => '401 is the program\'s');
refuses($alice->get('/api/other/tasks'), forbidden => 'so is 403');
refuses($alice->get('/tasks/x'), not_found => 'and 404');
refuses($alice->request('BREW', $path), method_not_allowed => 'and 405');
refuses($alice->put($path, { title => 'x' }, { 'If-Match' => '"stale"' }),
	precondition_failed => 'and 412');
refuses($alice->put($path, '{}', { 'Content-Type' => 'text/plain' }),
	unsupported_media_type => 'and 415');
refuses($alice->put($path, { title => '' }), invalid => 'and 422');
answers($alice->delete($path), 204, 'and 204');
is($stack->of_others(sub { $client->send('GET', '/api/other') })->status, 418,
	'what is not ours stays the operator\'s');
is($stack->of_others(sub { $client->send('GET', '/api/auth/tasks') })->status, 418,
	'the paths of user id auth too');

# nginx's own errors, with and without a body to be seen.
$stack->allow_status(400, 403, 413, 429, 502, 503, 504);

# Better Auth beside it, whose socket is not there: nginx's own errors are problems too.
my $auth = beside($stack->pool_socket, server => 'include todo/todo-better-auth.conf;',
    'todo-settings.conf' => sub { $_[0] =~ s{/run/todo-issuer/}{$dir/}g },
    'todo-better-auth.conf' => sub { $_[0] =~ s/(?=client_max_body_size)/auth_basic off; / });
for (['/api/auth/ok', bad_gateway => '502'], ['/api/auth/x/../ok', bad_request => '400']) {
	my ($path, $code, $name) = @$_;
	my $answer = $stack->of_others(sub { $auth->send('GET', $path) });
	is($answer->header('Content-Type'), 'application/problem+json',
		"$name of nginx for Better Auth is a problem");
	is($answer->json->{code}, $code, "$code");
}
my $large = $stack->of_others(
	sub { $auth->send('POST', '/api/auth/sign-in/email', [['Content-Length' => 70000]]) });
is($large->json->{code}, 'content_too_large', 'and so is 413');

refuses($alice->post('/tasks', 'x' x 16385), content_too_large => '413 of nginx');
refuses($client->send('HEAD', '/api/me', [['Content-Length' => 16385], [Connection => 'close']]),
	content_too_large => '413 to HEAD');
refuses(
	$client->raw(
		"POST @{[$alice->tasks]} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"
	),
	bad_request => '400 of nginx, in the middle of a body');
my $elsewhere = Client->new(%$client{qw(ca on_answer)}, url => 'https://' . $client->authority,
	from => '127.0.0.2');
for my $method (qw(GET HEAD)) {
	refuses($elsewhere->send($method, '/readyz'),
		forbidden => "403 of nginx: readyz from elsewhere by $method",
		detail => qr/address/);
}

my $limited = beside($stack->pool_socket, 'todo-settings.conf' =>
	    sub { $_[0] =~ s/(\$todo_limit_key \{\n\tdefault) ""/$1 \$todo_client/ });
for my $method (qw(GET HEAD)) {
	my ($late) = grep { $_->status != 200 }
	    $alice->with(client => $limited)->pipeline(map { [$method, '/api/me'] } 1 .. 200);
	refuses($late, rate_limited => "429 of nginx to $method");
	like($late->header('Retry-After'), qr/\A\d+\z/, 'with Retry-After');
}

my $nobody = beside("$dir/nobody");
for my $method (qw(GET HEAD PUT)) {
	my $gone = $alice->with(client => $nobody)
	    ->request($method, $path, {}, $method eq 'PUT' ? '{}' : undef);
	refuses($gone, bad_gateway => "502 of nginx to $method");
	ok(defined $gone->header('Retry-After'), 'with Retry-After');
}

# One that hangs: 504, asked once; and meanwhile our own limit of requests under
# way, which no limit_conn of the server replaces, whatever it counts.
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
	poll { scalar $fake->seen } 'it hangs';
	for my $method (qw(GET HEAD)) {
		my $busy = $hanging->send($method, '/api/u/tasks');
		refuses($busy, rate_limited => "429 of nginx to $method: one too many under way");
		ok(defined $busy->header('Retry-After'), 'with Retry-After');
	}
	my $late = $first->_read_answer('GET', '/api/u/tasks?hang');
	refuses($late, gateway_timeout => '504 of nginx');
	is(scalar $fake->seen, 0, 'and it was not asked again');
}

# A worker is free again as soon as it has answered, though the client has not
# read a byte; and the answer is whole when it does. (Buffers of the kernel, made
# small above and here, would else be slow in its place.)
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
	answers($alone->send('GET', '/healthz'), 200, 'it answers others');
	my $list = eval { $slow->_read_answer('GET', $bob->tasks . '?limit=500') };
	is($list && scalar $list->json->@*, 500, 'and the slow one has all of its 500 tasks')
	    or diag($@);
	$stack->sql("DELETE FROM todo.tasks WHERE user_id = '" . $bob->id . "'");
}

$stack->done;
