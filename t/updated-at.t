# Goal: updated_at grows with each change, whatever the clocks do, so that a client
# that asks for all changes since its last request misses none.

use v5.36;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Facts;
use Stack;

my $stack = Stack->new(inside => 1);
my $alice = $stack->user;
my $task = $alice->task('of the future');
my $path = "/tasks/$task->{id}";
my $other = $alice->task('of today');

# The clock was set back after the last change: the row has a time in the future.
sub set_updated_at ($time) {
	my $hex = $task->{id} =~ tr/-//dr;
	my $id = $alice->id;
	$stack->sql("UPDATE todo.tasks SET updated_at = '$time'"
		. " WHERE user_id = '$id' AND id = UNHEX('$hex')");
}
sub updated ($answer) { $answer->json->{updated_at} }
set_updated_at('2040-01-02 03:04:05.999998');
is(updated($alice->get($path)), '2040-01-02T03:04:05.999998Z',
    'a task with updated_at in the future');

my @changes = (
	['PUT', $path, { title => 'put' }], ['PATCH', $path, { description => 'patched' }],
	['PATCH', "$path/complete", undef], ['PATCH', "$path/complete", { completed => false }],
);
my @later = map { "2040-01-02T03:04:$_" . 'Z' } '05.999999', '06.000000', '06.000001', '06.000002';
my $etag = $alice->get($path)->header('ETag');
for my $i (0 .. $#changes) {
	my ($method, $target, $body) = $changes[$i]->@*;
	my $answer = $alice->request($method, $target, {}, $body);
	my $what = $target eq $path ? 'of the task' : $body ? 'of completion' : 'that toggles';
	my $name = "$method $what";
	is(updated($answer), $later[$i], "$name: updated_at is a microsecond later");
	isnt($answer->header('ETag'), $etag, "$name: the ETag changes");
	$etag = $answer->header('ETag');
	my $read = $alice->get($path);
	is(updated($read), $later[$i], "$name: GET gives the same updated_at");
	is($read->header('ETag'), $etag, "$name: GET gives the same ETag");
}
for (['PUT', $path, { title => 'put', description => 'patched' }], ['PATCH', $path, {}],
    ['PATCH', "$path/complete", { completed => false }]) {
	my $answer = $alice->request($_->[0], $_->[1], {}, $_->[2]);
	is(updated($answer), $later[-1], "$_->[0] $_->[1] of equal values keeps updated_at");
	is($answer->header('ETag'), $etag, "$_->[0] $_->[1] of equal values keeps the ETag");
}

# Lists sorted by updated_at agree with the answers to the changes.
my @ids = ($task->{id}, $other->{id});
is_deeply([map { [$_->{id}, $_->{updated_at}] } $alice->get('/tasks?sort=updated')->json->@*],
    [[$ids[0], $later[-1]], [$ids[1], $other->{updated_at}]],
    'sort=updated has the last change first');
is_deeply([map { $_->{id} } $alice->get('/tasks?sort=updated&order=asc')->json->@*], [reverse @ids],
    'sort=updated&order=asc has the last change last');

# A list from a cursor on has the changes made since the cursor was given.
my $page = $alice->get('/tasks?sort=updated&order=asc&limit=1');
my ($rest) = ($page->header('Link') // '') =~ /<([^>]+)>/;
$alice->put($path, { title => 'changed once more' });
is_deeply([map { $_->{title} } $alice->get($rest)->json->@*], ['changed once more'],
    'a later change comes after an earlier cursor');

# Many changes at once: each has an updated_at of its own, ascending with the ETags.
my @result = in_parallel($stack, 4, sub ($i) {
	my $me = $alice->with(client => $stack->new_client);
	return [map { [$_->header('ETag') =~ tr/"//dr, updated($_)] }
	    map { $me->patch("$path/complete", undef) } 1 .. 15];
});
my %time = map { $_->[0] => $_->[1] } map { @$_ } @result;
my @times = @time{ sort { $a <=> $b } keys %time };
is(scalar @times, 60, '60 toggles of 4 clients at once');
is_deeply([grep { $times[$_] le $times[ $_ - 1 ] } 1 .. $#times], [],
    '60 toggles: each updated_at is later than the one before');
is(updated($alice->get($path)), $times[-1], '60 toggles: the task has the updated_at of the last');

# A row of the past: the clock counts.
set_updated_at('2020-01-01 00:00:00');
my $now = $alice->put($path, { title => 'now' });
cmp_ok(updated($now), 'gt', $other->{updated_at},
    'a change of a task of the past has the present time');
cmp_ok(updated($now), 'lt', '2040', 'a change of a task of the past has no time in the future');

$stack->done;
