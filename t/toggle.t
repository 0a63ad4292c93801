# Goal: parallel toggles all answer 200, and no toggle is lost.

use v5.36;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Facts;
use Stack;

my $stack = Stack->new;
my $alice = $stack->user;

for my $round (1 .. 4) {
	my $task = $alice->task("round $round");
	my @result = in_parallel(
		$stack, 8,
		sub ($i) {
			my $me = $alice->with(client => $stack->new_client);
			my @seen;
			for (1 .. 25) {
				my $a = $me->patch("/tasks/$task->{id}/complete", undef);
				my $completed = $a->status == 200 && $a->json->{completed} ? 1 : 0;
				push @seen,
				    [$a->status, $completed, $a->header('ETag'),
					$a->json->{updated_at}];
			}
			return \@seen;
		});
	my @all = map { @$_ } @result;
	is(scalar(grep { $_->[0] == 200 } @all), 200, "round $round: 200 toggles answer 200");
	is(scalar(grep { $_->[1] } @all), 100, "round $round: 100 toggles answer completed");
	my %etag = map { $_->[2] => 1 } @all;
	is(scalar(keys %etag), 200, "round $round: 200 toggles have 200 ETags");
	my %time = map { $_->[3] => 1 } @all;
	is(scalar(keys %time), 200, "round $round: 200 toggles have 200 values of updated_at");
	my %revision_at = map { ($_->[2] =~ tr/"//dr) => $_->[3] } @all;
	my @in_turn = @revision_at{ sort { $a <=> $b } keys %revision_at };
	is_deeply(\@in_turn, [sort @in_turn],
		"round $round: updated_at ascends in the order of the ETags");
	my $now = $alice->get("/tasks/$task->{id}");
	is_task($now, { completed => false, title => "round $round" },
		"round $round: 200 toggles leave the task pending");
	my ($last) = sort { $b cmp $a } map { $_->[3] } @all;
	is($now->json->{updated_at}, $last,
		"round $round: the task has the updated_at of the last toggle");
	for my $client (@result) {
		my @time = map { $_->[3] } @$client;
		is_deeply(\@time, [sort @time], "round $round: updated_at ascends for each client")
		    or last;
	}
}

# An odd number of toggles completes the task.
my $task = $alice->task('odd');
in_parallel(
	$stack, 3,
	sub ($i) {
		$alice->with(client => $stack->new_client)
		    ->patch("/tasks/$task->{id}/complete", undef)->status
	});
is_task($alice->get("/tasks/$task->{id}"), { completed => true },
	'three toggles complete the task');

# Toggles with the same If-Match: one succeeds.
my ($etag) = map { $_->header('ETag') } $alice->get("/tasks/$task->{id}");
my @status = in_parallel($stack, 6, sub ($i) {
	$alice->with(client => $stack->new_client)
	    ->patch("/tasks/$task->{id}/complete", undef, { 'If-Match' => $etag })->status
});
is_deeply([sort @status], [200, (412) x 5], 'six toggles with one If-Match: one succeeds');
is_task($alice->get("/tasks/$task->{id}"), { completed => false },
	'six toggles with one If-Match change the task once');

# Toggles, writes, reads and a deletion at once: 200 before the deletion, 404 after it.
my @seen = in_parallel($stack, 5, sub ($i) {
	my $me = $alice->with(client => $stack->new_client);
	my $path = "/tasks/$task->{id}";
	my @requests = (
		sub { $me->patch("$path/complete", undef) },
		sub { $me->patch("$path/complete", { completed => true }) },
		sub { $me->put($path, { title => "t$_" }) },
		sub { $me->get($path) },
	);
	return [map { $_->status } map { $requests[$i]->() } 1 .. 25] if $i < 4;
	return [map { $_->status } (map { $me->get('/tasks') } 1 .. 10), $me->delete($path)];
});
my @others = map { @{ $seen[$_] } } 0 .. 3;
is_deeply([grep { $_ != 200 && $_ != 404 } @others], [],
	'toggles, writes and reads beside a deletion: 200 or 404');
is($seen[4][-1], 204, 'a deletion beside toggles, writes and reads succeeds');
my @returned = grep { join(' ', @$_) =~ /404.*200/ } @seen[0 .. 3];
is_deeply(\@returned, [], 'a deleted task is not found again by any client');

$stack->done;
