# Goal: every endpoint does what it says, with the whole body and the headers it
# promises: HEAD wherever GET, OPTIONS with Allow, 405 with Allow.

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

# The table itself is the contract's.
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
answers($client->send('GET', '/healthz'), 200, 'healthz', { status => 'ok' });
answers($client->send('GET', '/readyz'), 200, 'readyz', { status => 'ok' });
answers($client->send('HEAD', '/healthz'), 200, 'HEAD healthz');
answers($client->send('GET', '/healthz', [[Authorization => 'Bearer x']]), 200,
	'healthz asks for no token and judges none');

# A new user has an empty list.
my $empty = $alice->get('/tasks');
answers($empty, 200, 'a list of nothing', []);
is($empty->body, '[]', 'is a bare array');
is($empty->header('Link'), undef, 'without a next page');

# Create.
my $made = $alice->post('/tasks', { title => 'Buy milk' });
answers($made, 201, 'a task is made');
my $task = $made->json;
is_task($task, { user_id => $id, title => 'Buy milk', description => undef, completed => false },
	'with seven members and defaults');
is($task->{updated_at}, $task->{created_at}, 'updated when created');
is($made->header('Location'), "/api/$id/tasks/$task->{id}", 'Location');
like($made->header('ETag'), qr/\A"[^"]+"\z/, 'ETag');
is($made->header('Idempotency-Replayed'), undef, 'not replayed');
my $path = "/tasks/$task->{id}";
answers($alice->get($made->header('Location')), 200, 'it is where Location says', $task);
my $full =
    $alice->post('/tasks', { title => ' T ', description => "line\nline", completed => true });
is_task($full, { title => ' T ', description => "line\nline", completed => true },
	'all members as sent');
is_task($alice->post('/tasks', { title => 'x', description => undef }), { description => undef },
	'description null');
is_task($alice->post('/tasks', { title => 'x', description => '' }), { description => '' },
	'description empty, not null');
is_task(
	$alice->post(
		'/tasks',
		{
			title => 'x', id => $none, user_id => 'mallory', created_at => 'x',
			updated_at => 1, revision => 7, x => [{}]
		}
	),
	{ user_id => $id, title => 'x' },
	'unknown members are ignored');

# Read.
my $got = $alice->get($path);
answers($got, 200, 'a task is read', $task);
is($got->header('ETag'), $made->header('ETag'), 'under the same ETag');
is($got->body, $made->body, 'in the same bytes');
answers($alice->get('/tasks?limit=1&order=asc'), 200, 'and listed', [$task]);

# PUT and PATCH: members left out keep their value.
for my $method (qw(PUT PATCH)) {
	my $t = $alice->task("before $method", description => 'kept');
	my $p = "/tasks/$t->{id}";
	my $a = $alice->request($method, $p, {}, { title => "after $method" });
	is_task($a,
		{ %$t{qw(id user_id description completed created_at)}, title => "after $method" },
		"$method of a title");
	isnt($a->header('ETag'), $t->{etag}, 'changes the ETag');
	cmp_ok($a->json->{updated_at}, 'gt', $t->{updated_at}, 'and updated_at');
	is_task($alice->request($method, $p, {}, { description => 'new' }),
		{ title => "after $method", description => 'new', completed => false },
		"$method of a description");
	is_task($alice->request($method, $p, {}, { completed => true }),
		{ title => "after $method", description => 'new', completed => true },
		"$method of completed");
	is_task($alice->request($method, $p, {}, { description => undef }),
		{ title => "after $method", description => undef, completed => true },
		"$method of description null");
	my $all = $alice->request($method, $p, {},
		{ title => 'a', description => 'b', completed => false });
	is_task($all, { title => 'a', description => 'b', completed => false },
		"$method of all three");
	for my $same ({}, { title => 'a' },
		{ title => 'a', description => 'b', completed => false }, { unknown => 1 })
	{
		my $again = $alice->request($method, $p, {}, $same);
		answers($again, 200, "$method of equal values answers the task", $all->json);
		is($again->header('ETag'), $all->header('ETag'), 'under the same ETag');
	}
	answers($alice->get($p), 200, 'and it is what was answered', $all->json);
	is($alice->get($p)->header('ETag'), $all->header('ETag'), 'with that ETag');
}

# Complete.
my $toggle =
    sub ($body, $headers = {}) { $alice->request('PATCH', "$path/complete", $headers, $body) };
my $before = $alice->get($path);
is_task($toggle->(undef), { title => 'Buy milk', completed => true },
	'complete with no body toggles');
is_task($toggle->(undef), { completed => false }, 'and back');
is_task($toggle->('', { 'Content-Type' => undef }), { completed => true },
	'an empty body of length 0 toggles');
is_task($toggle->(''), { completed => false }, 'of whatever type');
my $set = $toggle->({ completed => true });
is_task($set, { completed => true, created_at => $task->{created_at} }, '{"completed": true} sets');
my $again = $toggle->({ completed => true });
answers($again, 200, 'and again', $set->json);
is($again->header('ETag'), $set->header('ETag'), 'without another ETag');
isnt($set->header('ETag'), $before->header('ETag'), 'which was another before');
is_task($toggle->({ completed => false, title => 'ignored' }),
	{ completed => false, title => 'Buy milk' },
	'{"completed": false} sets, and no more than that');
refuses($toggle->({}), invalid => 'completed is required', errors => ['completed']);
refuses($toggle->({ title => 'x' }), invalid => 'whatever else there is', errors => ['completed']);
refuses($toggle->({ completed => undef }), invalid => 'completed null', errors => ['completed']);
refuses($toggle->({ completed => 1 }), invalid => 'completed 1', errors => ['completed']);
refuses($toggle->(' '), bad_request => 'a body of a blank is not empty');

# Delete.
my $gone = $alice->task('to go');
my $deleted = $alice->delete("/tasks/$gone->{id}");
answers($deleted, 204, 'a task is deleted');
is($deleted->body, '', 'without a word');
refuses($alice->delete("/tasks/$gone->{id}"), not_found => 'and not twice');
refuses($alice->get("/tasks/$gone->{id}"), not_found => 'and not read');
refuses($alice->put("/tasks/$gone->{id}", { title => 'x' }), not_found => 'nor written');
refuses($alice->patch("/tasks/$gone->{id}/complete", undef), not_found => 'nor toggled');
is(scalar(grep { $_->{id} eq $gone->{id} } $alice->get('/tasks')->json->@*), 0, 'nor listed');

# HEAD is GET without the body. (No two cursors are written alike.)
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
	is(head_of($head), head_of($get), 'and the head of GET');
}

# OPTIONS, before authentication; 405 with the same Allow.
my %person = ($none => 1);
my $patches = 'application/merge-patch+json, application/json';
for my $pattern ($routes->patterns) {
	my $target = $routes->fill($pattern, user_id => $id, id => $none);
	my @allow = $routes->allow($pattern);
	my $options = $client->send('OPTIONS', $target);
	answers($options, 204, "OPTIONS $pattern");
	is_deeply([sort split /,\s*/, $options->header('Allow') // ''], \@allow,
		"with Allow: @allow");
	is(
		$options->header('Accept-Patch'),
		(grep { $_ eq 'PATCH' } @allow) ? $patches : undef,
		'and with what PATCH takes, if it is there');
	answers($client->send('OPTIONS', $routes->fill($pattern, user_id => 'else', id => 'x')),
		204, 'of anybody');
	my $trace = $stack->of_others(sub { $client->send('TRACE', "$target?x=/y") });
	refuses($trace, method_not_allowed => 'TRACE, which nginx refuses');
	is_deeply([sort split /,\s*/, $trace->header('Allow') // ''], \@allow,
		'with the same Allow');
	for my $method (qw(GET HEAD POST PUT PATCH DELETE BREW PROPFIND LOCK)) {
		next if grep { $_ eq $method } @allow;
		my $answer = $client->send($method, $target, [], $method =~ /\AP/ ? '{}' : undef);
		refuses($answer, method_not_allowed => "$method $pattern is not allowed");
		is_deeply([sort split /,\s*/, $answer->header('Allow') // ''], \@allow,
			'and Allow says what is');
	}
}
refuses($stack->fastcgi->send($_, '/api/me'),
	method_not_allowed => "the method '$_', which nginx would not pass on")
    for 'get', 'Get', '', 'GET ', ' GET', "G\xc9T", 'X' x 300;
refuses($client->send('OPTIONS', "/api/$id/nothing"), not_found => 'OPTIONS of no route');
refuses($client->send('BREW', "/api/$id/nothing"), not_found => 'any method of no route');
for my $method (qw(TRACE CONNECT)) {
	my $answer = $stack->of_others(sub {
		$client->raw( "$method /api/me HTTP/1.1\r\nHost: "
			    . $client->authority
			    . "\r\n\r\n", $method)
	});
	ok($answer && ($answer->status == 405 || $answer->status == 400), "$method is not allowed")
	    or diag($answer && $answer->dump);
	is($answer->header('Content-Type'), 'application/problem+json', 'in our shape');
}

# What a GET or a DELETE carries in its body is nobody's business.
answers($alice->request('GET', $path, { 'Content-Type' => 'text/plain' }, 'not JSON'), 200,
	'GET with a body');
answers($alice->request('DELETE', '/tasks/' . $alice->task('x')->{id}, {}, '{"title":'), 204,
	'DELETE with a body');

# The query where there is none to read.
answers($alice->get("$path?limit=x&status=y"), 200, 'a task takes no parameters');
answers($alice->get('/api/me?limit=0'), 200, 'nor does the identity');

# Every answer is logged, once, on one line, under the pattern of its route.
my $line = $stack->logged($alice->get("$path?secret=hunter2"));
is_deeply(
	{ map { $_ => $line->{$_} } qw(level event method route status user) },
	{
		level => 'info', event => 'request', method => 'GET',
		route => '/api/{user_id}/tasks/{id}', status => 200, user => $id
	},
	'a line of the log');
like($line->{us}, qr/\A\d+\z/, 'with microseconds');
like($line->{time}, qr/\A\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z\z/, 'and a time');
ok(!(grep { /hunter2|Buy milk|\Q$task->{id}\E/ } $stack->log_lines),
	'and neither parameter nor body nor id');

$stack->done;
