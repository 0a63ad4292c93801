# Goal: parallel toggles all answer 200 and none is lost.

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
	my @result = in_parallel($stack, 8, sub ($i) {
		my $me = $alice->with(client => $stack->new_client);
		return [
			map { [$_->status,
				$_->status == 200 && $_->json->{completed} ? 1 : 0,
				$_->header('ETag'), $_->json->{updated_at}
			] }
			    map { $me->patch("/tasks/$task->{id}/complete", undef) }
			    1 .. 25
		];
	});
	my @all = map { @$_ } @result;
	is(scalar(grep { $_->[0] == 200 } @all), 200, "round $round: 200 toggles answer 200");
	is(scalar(grep { $_->[1] } @all), 100, 'half of them say completed');
	my %etag = map { $_->[2] => 1 } @all;
	is(scalar(keys %etag), 200, 'each under an ETag of its own');
	my %time = map { $_->[3] => 1 } @all;
	is(scalar(keys %time), 200, 'and at a time of its own');
	my %revision_at = map { ($_->[2] =~ tr/"//dr) => $_->[3] } @all;
	my @in_turn = @revision_at{ sort { $a <=> $b } keys %revision_at };
	is_deeply(\@in_turn, [sort @in_turn], 'in the order of the ETags');
	my $now = $alice->get("/tasks/$task->{id}");
	is_task($now, { completed => false, title => "round $round" },
		'and an even number leaves it as it was');
	my ($last) = sort { $b cmp $a } map { $_->[3] } @all;
	is($now->json->{updated_at}, $last, 'at the time of the last');
	for my $client (@result) {
		my @time = map { $_->[3] } @$client;
		is_deeply(\@time, [sort @time], 'time does not go back for any client') or last;
	}
}

# An odd number turns it round.
my $task = $alice->task('odd');
in_parallel($stack, 3, sub ($i) {
	$alice->with(client => $stack->new_client)
	    ->patch("/tasks/$task->{id}/complete", undef)->status
});
is_task($alice->get("/tasks/$task->{id}"), { completed => true }, 'an odd number turns it round');

# Toggles under If-Match: one of each state wins.
my ($etag) = map { $_->header('ETag') } $alice->get("/tasks/$task->{id}");
my @status = in_parallel($stack, 6, sub ($i) {
	$alice->with(client => $stack->new_client)
	    ->patch("/tasks/$task->{id}/complete", undef, { 'If-Match' => $etag })->status
});
is_deeply([sort @status], [200, (412) x 5], 'under If-Match one wins');
is_task($alice->get("/tasks/$task->{id}"), { completed => false }, 'and turns it once');

# Toggles, sets, writes and a deletion at once: nothing but 200, and 404 after it.
my @seen = in_parallel($stack, 5, sub ($i) {
	my $me = $alice->with(client => $stack->new_client);
	my $path = "/tasks/$task->{id}";
	return [map { $_->status }
		    $i == 4
		? ((map { $me->get('/tasks') } 1 .. 10), $me->delete($path))
		: map {
			      $i == 0 ? $me->patch("$path/complete", undef)
			    : $i == 1 ? $me->patch("$path/complete", { completed => true })
			    : $i == 2 ? $me->put($path, { title => "t$_" })
			    : $me->get($path)
		} 1 .. 25
	];
});
my @others = map { @{ $seen[$_] } } 0 .. 3;
is_deeply([grep { $_ != 200 && $_ != 404 } @others], [], 'all at once: 200, then 404');
is($seen[4][-1], 204, 'and the deletion goes through');
is_deeply(
	[
		grep {
			my @s = @$_;
			my ($n) = grep { $s[$_] == 404 } 0 .. $#s;
			defined $n && grep { $_ == 200 } @s[$n .. $#s]
		} @seen[0 .. 3]
	],
	[],
	'nothing comes back after it');

$stack->done;
