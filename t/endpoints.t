# Goal: every endpoint does what the contract says, with the whole body and the
# headers: HEAD wherever there is GET, OPTIONS with Allow, 405 with Allow.

use v5.36;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Facts;
use Stack;

my $stack = Stack->new(inside => 1);
my $routes = $stack->routes;
my $alice = $stack->user;
my $id = $alice->id;
my $none = '01900000-0000-7000-8000-000000000000';

# The program's own table has the routes of the contract.
is_deeply(
	[sort map { "$_->{method} $_->{pattern}" } $routes->rows],
	[
		sort 'GET /healthz', 'GET /readyz', 'GET /api/me', 'GET /api/{user_id}/tasks',
		'POST /api/{user_id}/tasks',
		(map { "$_ /api/{user_id}/tasks/{id}" } qw(GET PUT PATCH DELETE)),
		'PATCH /api/{user_id}/tasks/{id}/complete'
	],
	'the routes are those of the contract');

# Open endpoints.
my $client = $stack->client;
answers($client->send('GET', '/healthz'), 200, 'GET /healthz', { status => 'ok' });
answers($client->send('GET', '/readyz'), 200, 'GET /readyz', { status => 'ok' });
answers($client->send('HEAD', '/healthz'), 200, 'HEAD /healthz');
answers($client->send('GET', '/healthz', [[Authorization => 'Bearer x']]), 200,
	'/healthz ignores a wrong token');

# A new user has an empty list.
my $empty = $alice->get('/tasks');
answers($empty, 200, 'the list of a new user', []);
is($empty->body, '[]', 'an empty list is []');
is($empty->header('Link'), undef, 'an empty list has no Link');

# Create.
my $made = $alice->post('/tasks', { title => 'Buy milk' });
answers($made, 201, 'a task is created');
my $task = $made->json;
is_task($task, { user_id => $id, title => 'Buy milk', description => undef, completed => false },
	'a new task has the default values');
is($task->{updated_at}, $task->{created_at}, 'a new task has updated_at equal to created_at');
is($made->header('Location'), "/api/$id/tasks/$task->{id}",
	'a new task has a Location');
like($made->header('ETag'), qr/\A"[^"]+"\z/, 'a new task has an ETag');
is($made->header('Idempotency-Replayed'), undef,
	'a POST without a key has no Idempotency-Replayed');
my $path = "/tasks/$task->{id}";
answers($alice->get($made->header('Location')), 200, 'the task is found at its Location', $task);
my $full =
    $alice->post('/tasks', { title => ' T ', description => "line\nline", completed => true });
is_task($full, { title => ' T ', description => "line\nline", completed => true },
	'a new task has all members as sent');
is_task($alice->post('/tasks', { title => 'x', description => undef }), { description => undef },
	'POST with description null');
is_task($alice->post('/tasks', { title => 'x', description => '' }), { description => '' },
	'POST with an empty description, which does not become null');
my %ignored = (id => $none, user_id => 'mallory', created_at => 'x', updated_at => 1,
    revision => 7, x => [{}]);
is_task($alice->post('/tasks', { title => 'x', %ignored }), { user_id => $id, title => 'x' },
    'members that a client cannot set are ignored');

# Read.
my $got = $alice->get($path);
answers($got, 200, 'a task is read', $task);
is($got->header('ETag'), $made->header('ETag'), 'GET and POST give the same ETag');
is($got->body, $made->body, 'GET and POST give the same bytes');
answers($alice->get('/tasks?limit=1&order=asc'), 200, 'the task is in the list', [$task]);

# PUT and PATCH: members left out keep their value.
for my $method (qw(PUT PATCH)) {
	my $t = $alice->task("before $method", description => 'kept');
	my $p = "/tasks/$t->{id}";
	my $a = $alice->request($method, $p, {}, { title => "after $method" });
	is_task($a,
		{ %$t{qw(id user_id description completed created_at)}, title => "after $method" },
		"$method of a title");
	isnt($a->header('ETag'), $t->{etag}, "$method changes the ETag");
	cmp_ok($a->json->{updated_at}, 'gt', $t->{updated_at}, "$method changes updated_at");
	is_task($alice->request($method, $p, {}, { description => 'new' }),
		{ title => "after $method", description => 'new', completed => false },
		"$method of a description");
	is_task($alice->request($method, $p, {}, { completed => true }),
		{ title => "after $method", description => 'new', completed => true },
		"$method of completed");
	is_task($alice->request($method, $p, {}, { description => undef }),
		{ title => "after $method", description => undef, completed => true },
		"$method of a null description");
	my $all = $alice->request($method, $p, {},
		{ title => 'a', description => 'b', completed => false });
	is_task($all, { title => 'a', description => 'b', completed => false },
		"$method of all three members");
	for my $same ({}, { title => 'a' },
		{ title => 'a', description => 'b', completed => false }, { unknown => 1 })
	{
		my $again = $alice->request($method, $p, {}, $same);
		answers($again, 200, "$method of equal values answers the task", $all->json);
		is($again->header('ETag'), $all->header('ETag'),
			"$method of equal values keeps the ETag");
	}
	answers($alice->get($p), 200, "GET after $method gives the same task", $all->json);
	is($alice->get($p)->header('ETag'), $all->header('ETag'),
		"GET after $method gives the same ETag");
}

# Complete.
my $toggle =
    sub ($body, $headers = {}) { $alice->request('PATCH', "$path/complete", $headers, $body) };
my $before = $alice->get($path);
is_task($toggle->(undef), { title => 'Buy milk', completed => true },
	'complete with no body toggles');
is_task($toggle->(undef), { completed => false }, 'complete with no body toggles back');
is_task($toggle->('', { 'Content-Type' => undef }), { completed => true },
	'an empty body of length 0 toggles');
is_task($toggle->(''), { completed => false }, 'an empty body of any type toggles');
my $set = $toggle->({ completed => true });
is_task($set, { completed => true, created_at => $task->{created_at} },
	'complete with {"completed": true} sets');
my $again = $toggle->({ completed => true });
answers($again, 200, 'complete with an equal value answers the task', $set->json);
is($again->header('ETag'), $set->header('ETag'), 'complete with an equal value keeps the ETag');
isnt($set->header('ETag'), $before->header('ETag'), 'complete changes the ETag');
is_task($toggle->({ completed => false, title => 'ignored' }),
	{ completed => false, title => 'Buy milk' },
	'complete with {"completed": false} sets that member alone');
refuses($toggle->({}), invalid => 'complete with {}', errors => ['completed']);
refuses($toggle->({ title => 'x' }), invalid => 'complete with a title but without completed',
	errors => ['completed']);
refuses($toggle->({ completed => undef }), invalid => 'complete with completed null',
	errors => ['completed']);
refuses($toggle->({ completed => 1 }), invalid => 'complete with completed 1',
	errors => ['completed']);
refuses($toggle->(' '), bad_request => 'complete with a body of one blank');

# Delete.
my $gone = $alice->task('to go');
my $deleted = $alice->delete("/tasks/$gone->{id}");
answers($deleted, 204, 'a task is deleted');
is($deleted->body, '', '204 has no body');
refuses($alice->delete("/tasks/$gone->{id}"), not_found => 'DELETE of a deleted task');
refuses($alice->get("/tasks/$gone->{id}"), not_found => 'GET of a deleted task');
refuses($alice->put("/tasks/$gone->{id}", { title => 'x' }), not_found => 'PUT of a deleted task');
refuses($alice->patch("/tasks/$gone->{id}/complete", undef),
	not_found => 'complete of a deleted task');
is(scalar(grep { $_->{id} eq $gone->{id} } $alice->get('/tasks')->json->@*), 0,
	'a deleted task is not in the list');

# HEAD is GET without the body. (Each answer encrypts its cursor anew.)
sub head_of ($answer) {
	return join "\n", $answer->status, map { "$_->[0]: " . $_->[1] =~ s/after=[^&>]+/after=/r }
	    grep { $_->[0] !~ /\A(?:Date|X-Request-Id)\z/i } $answer->{headers}->@*;
}
my $bob = $stack->user;
$bob->task("task $_") for 1 .. 3;
for my $target ("$path", '/tasks', '/tasks?limit=1', "/tasks/$none", '/api/me',
	'/api/nobody/tasks', '/tasks?limit=x')
{
	my $get = $alice->get($target);
	my $head = $alice->head($target);
	is($head->body, '', "HEAD $target has no body");
	is(head_of($head), head_of($get), "HEAD $target has the headers of GET");
}

# OPTIONS needs no token; 405 has the same Allow.
my %person = ($none => 1);
my $patches = 'application/merge-patch+json, application/json';
for my $pattern ($routes->patterns) {
	my $target = $routes->fill($pattern, user_id => $id, id => $none);
	my @allow = $routes->allow($pattern);
	my $options = $client->send('OPTIONS', $target);
	answers($options, 204, "OPTIONS $pattern");
	is_deeply([sort split /,\s*/, $options->header('Allow') // ''], \@allow,
		"OPTIONS $pattern has Allow: @allow");
	is(
		$options->header('Accept-Patch'),
		(grep { $_ eq 'PATCH' } @allow) ? $patches : undef,
		"OPTIONS $pattern has Accept-Patch if PATCH is allowed");
	answers($client->send('OPTIONS', $routes->fill($pattern, user_id => 'else', id => 'x')),
		204,
		"OPTIONS $pattern of another user");
	my $trace = $stack->of_others(sub { $client->send('TRACE', "$target?x=/y") });
	refuses($trace, method_not_allowed => "TRACE $pattern, which nginx refuses");
	is_deeply([sort split /,\s*/, $trace->header('Allow') // ''], \@allow,
		"TRACE $pattern has the same Allow");
	for my $method (qw(GET HEAD POST PUT PATCH DELETE BREW PROPFIND LOCK)) {
		next if grep { $_ eq $method } @allow;
		my $answer = $client->send($method, $target, [], $method =~ /\AP/ ? '{}' : undef);
		refuses($answer, method_not_allowed => "$method $pattern is not allowed");
		is_deeply([sort split /,\s*/, $answer->header('Allow') // ''], \@allow,
			"$method $pattern: 405 has Allow");
	}
}
refuses($stack->fastcgi->send($_, '/api/me'),
	method_not_allowed => "the method '$_', which nginx does not pass on"
) for 'get', 'Get', '', 'GET ', ' GET', "G\xc9T", 'X' x 300;
refuses($client->send('OPTIONS', "/api/$id/nothing"),
	not_found => 'OPTIONS of a path without a route');
refuses($client->send('BREW', "/api/$id/nothing"),
	not_found => 'an unknown method of a path without a route');
for my $method (qw(TRACE CONNECT)) {
	my $answer = $stack->of_others(sub {
		$client->raw( "$method /api/me HTTP/1.1\r\nHost: "
			    . $client->authority
			    . "\r\n\r\n", $method)
	});
	ok($answer && ($answer->status == 405 || $answer->status == 400), "$method is not allowed")
	    or diag($answer && $answer->dump);
	is($answer->header('Content-Type'), 'application/problem+json',
		"$method: the refusal is application/problem+json");
}

# The body of a GET or a DELETE is ignored.
answers($alice->request('GET', $path, { 'Content-Type' => 'text/plain' }, 'not JSON'), 200,
	'GET with a body');
answers($alice->request('DELETE', '/tasks/' . $alice->task('x')->{id}, {}, '{"title":'), 204,
	'DELETE with a body');

# The query is ignored where a route has no parameters.
answers($alice->get("$path?limit=x&status=y"), 200, 'GET of a task ignores the query');
answers($alice->get('/api/me?limit=0'), 200, 'GET /api/me ignores the query');

# Every answer is logged once, on one line, with the pattern of its route.
my $line = $stack->logged($alice->get("$path?secret=hunter2"));
is_deeply(
	{ map { $_ => $line->{$_} } qw(level event method route status user) },
	{
		level => 'info', event => 'request', method => 'GET',
		route => '/api/{user_id}/tasks/{id}', status => 200, user => $id
	},
	'a log line has event, method, route, status and user');
like($line->{us}, qr/\A\d+\z/, 'a log line has microseconds');
like($line->{time}, qr/\A\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z\z/, 'a log line has a time');
ok(!(grep { /hunter2|Buy milk|\Q$task->{id}\E/ } $stack->log_lines),
	'the log holds no parameter, no body and no task id');

$stack->done;
