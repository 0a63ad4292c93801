# Goal: where several things are wrong, the answer names the first of them in the
# order of the contract: 404 route, 405, 401, 403, 404 malformed id, 400/413/415,
# 422, 404 no such task, 412.

use v5.36;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Facts;
use Stack;

my $stack = Stack->new;
my ($alice, $bob) = ($stack->user, $stack->user);
my $task = $alice->task('there');
my $there = "/tasks/$task->{id}";
my $none = '/tasks/01900000-0000-7000-8000-000000000000';
my $bobs = '/api/' . $bob->id;
my %stale = ('If-Match' => '"stale"');
my %no_token = (Authorization => undef);
my %bad_token = (Authorization => 'Bearer x');
my %text = ('Content-Type' => 'text/plain');
my $big = '{"title":"' . 'x' x 16_000 . '"}';

# From the last fault to the first; each request also has all later faults.
refuses($alice->put($there, { title => 'x' }, \%stale), precondition_failed => '412: a stale ETag');
refuses($alice->put($none, { title => 'x' }, \%stale),
	not_found => '404 (no such task) before 412');
refuses($alice->put($none, { title => 1 }, \%stale), invalid => '422 before 404 (no such task)',
	errors => ['title']);
refuses($alice->put($there, { title => '' }, \%stale), invalid => '422 before 412',
	errors => ['title']);
refuses($alice->put($none, '[', \%stale), bad_request => '400 before 404 (no such task)');
refuses($alice->put($none, '{"title":1}', { %stale, %text }),
	unsupported_media_type => '415 before 422');
refuses($alice->put('/tasks/x', '[', { %stale, %text }),
	not_found => '404 (malformed id) before 400 and 415');
refuses($alice->put('/tasks/x', { title => 1 }, \%stale),
	not_found => '404 (malformed id) before 422');
refuses($alice->put("$bobs/tasks/x", '[', { %stale, %text }),
	forbidden => '403 before 404 (malformed id)');
refuses($alice->put("$bobs/tasks/x", '[', { %stale, %text, %bad_token }),
	token_invalid => '401 before 403');
refuses($alice->put("$bobs/tasks/x", '[', { %stale, %text, %no_token }),
	token_missing => '401 (missing) before 403');
refuses($alice->post("$bobs/tasks/x", '[', { %stale, %text, %no_token }),
	method_not_allowed => '405 before 401');
refuses($alice->post("$bobs/nothing/x", '[', { %stale, %text, %no_token }),
	not_found => '404 (no such route) before 401');
refuses($alice->request('BREW', "$bobs/nothing"), not_found => '404 (no such route) before 405');

# The same order on the other routes.
refuses($alice->post("$bobs/tasks", '[', \%text), forbidden => 'POST: 403 before 415');
refuses($alice->post('/tasks', '{"title":1}', { 'Idempotency-Key' => "\xe9" }),
	bad_request => 'POST: 400 of the key before 422');
refuses($alice->post('/tasks', '{"title":1}', { %text, 'Idempotency-Key' => 'right' }),
	unsupported_media_type => 'POST: 415 before 422');
refuses($alice->get("$bobs/tasks?limit=0"), forbidden => 'list: 403 before 422');
refuses($alice->get("/tasks?limit=0", \%bad_token), token_invalid => 'list: 401 before 422');
refuses($alice->get("$bobs/tasks/x"), forbidden => 'GET: 403 before 404');
refuses($alice->get('/tasks/x', \%no_token), token_missing => 'GET: 401 before 404');
refuses($alice->delete("$bobs/tasks/x", \%stale), forbidden => 'DELETE: 403 before 404');
refuses($alice->delete($none, \%stale), not_found => 'DELETE: 404 before 412');
refuses($alice->delete($there, \%stale), precondition_failed => 'DELETE: 412');
refuses($alice->patch("$none/complete", undef, \%stale), not_found => 'complete: 404 before 412');
refuses($alice->patch("$none/complete", { completed => 1 }), invalid => 'complete: 422 before 404',
	errors => ['completed']);
refuses($alice->patch('/tasks/x/complete', '['),
	not_found => 'complete: 404 (malformed id) before 400');
refuses($alice->patch("$bobs/tasks/x/complete", '['), forbidden => 'complete: 403 before 404');
refuses($alice->get('/api/me', \%no_token), token_missing => 'me: 401');
refuses($alice->post('/api/me', '[', \%no_token), method_not_allowed => 'me: 405 before 401');

# A body beyond the limit, straight to the program: through nginx its own 413 comes first.
my $direct = $stack->dir ? $alice->with(client => $stack->fastcgi) : undef;
if ($direct) {
	refuses($direct->put($none, $big . ' ' x 1000, \%stale),
		content_too_large => '413 before 404 (no such task)');
	refuses($direct->put("$bobs/tasks/x", $big . ' ' x 1000), forbidden => '403 before 413');
	refuses($direct->put('/tasks/x', $big . ' ' x 1000),
		not_found => '404 (malformed id) before 413');
	refuses($direct->post('/tasks', $big . ' ' x 1000, \%bad_token),
		token_invalid => '401 before 413');
}

# No refused request has written anything.
answers($alice->get($there), 200, 'the task is unchanged after these refusals',
	{ map { $_ => $task->{$_} } grep { $_ ne 'etag' } keys %$task });
is(scalar $alice->get('/tasks')->json->@*, 1, 'no other task was created');

$stack->done;
