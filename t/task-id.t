# Goal: id and created_at are one reading of the clock. The id is a UUIDv7 (RFC
# 9562) with the fraction of the millisecond in rand_a, so that the order of ids is
# the order of creation.

use v5.36;
no warnings 'portable'; # hex() of 48 bits
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Time::Local qw(timegm);
use Facts;
use Stack;

my $stack = Stack->new;
my $alice = $stack->user;

# Microseconds since 1970.
sub micros ($time) {
	my ($y, $mo, $d, $h, $mi, $s, $u) =
	    $time =~ /\A(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)\.(\d{6})Z\z/
	    or return;
	return timegm($s, $mi, $h, $d, $mo - 1, $y) * 1_000_000 + $u;
}

my $before = time;
my @tasks =
    map { $_->json } $alice->pipeline(map { ['POST', '/tasks', {}, { title => "n$_" }] } 1 .. 300);
my $after = time;

my ($wrong, %id, %rand) = (0);
for my $task (@tasks) {
	my ($ms, $rand_a, $rand_b) =
	    $task->{id} =~
	    /\A([0-9a-f]{8}-[0-9a-f]{4})-7([0-9a-f]{3})-([89ab][0-9a-f]{3}-[0-9a-f]{12})\z/
	    or do { $wrong++; next };
	my $micros = micros($task->{created_at});
	my $expected = int($micros / 1000);
	my $fraction = $micros % 1000;
	# rand_a holds the fraction in 4096ths, which is exact to the microsecond.
	my $of_id = hex($rand_a);
	$wrong++, diag("$task->{id} $task->{created_at}")
	    if hex($ms =~ tr/-//dr) != $expected
	    || $of_id < int($fraction * 4096 / 1000)
	    || $of_id > int(($fraction + 1) * 4096 / 1000);
	$id{ $task->{id} }++;
	$rand{$rand_b}++;
}
is($wrong, 0, '300 ids agree with their created_at to the microsecond');
is(scalar keys %id, 300, '300 ids are different');
is(scalar keys %rand, 300, '300 ids have different random parts');
my @all = map { $_->{id} } $alice->get('/tasks?limit=500&order=asc')->json->@*;
is_deeply(\@all, [map { $_->{id} } sort { $a->{created_at} cmp $b->{created_at} } @tasks],
	'the order of ids is the order of creation');
my @seconds = map { micros($_->{created_at}) / 1e6 } @tasks;
is(scalar(grep { $_ < $before - 1 || $_ > $after + 1 } @seconds), 0,
    'created_at is the present time, in UTC');
ok(!(grep { $_->{created_at} ne $_->{updated_at} } @tasks),
	'updated_at starts equal to created_at');

# updated_at never goes back, created_at never changes.
my $task = $tasks[0];
my $last = $task->{updated_at};
for my $i (1 .. 20) {
	my $now = $alice->patch("/tasks/$task->{id}", { title => "change $i" })->json;
	cmp_ok($now->{updated_at}, 'ge', $last, "change $i: updated_at does not go back");
	is_deeply([@$now{qw(id created_at)}], [@$task{qw(id created_at)}],
	    "change $i: id and created_at stay");
	$last = $now->{updated_at};
}

# The database holds what was answered.
SKIP: {
	skip 'no access to the database', 2 if !$stack->dir;
	my $hex = $task->{id} =~ tr/-//dr;
	my $this = "user_id = '@{[$alice->id]}' AND id = 0x$hex";
	my ($row) = $stack->sql(
	    "SELECT LOWER(HEX(id)), created_at, updated_at FROM todo.tasks WHERE $this");
	is_deeply($row, [$hex, map { tr/TZ/ /r =~ s/ \z//r } $task->{created_at}, $last],
	    'id and times are stored, the times in UTC');
	# The clock was ahead at the last write: updated_at does not go back.
	$stack->sql("UPDATE todo.tasks SET updated_at = '2100-01-01 00:00:00' WHERE $this");
	my $now = $alice->patch("/tasks/$task->{id}", { title => 'later' })->json;
	cmp_ok($now->{updated_at}, 'ge', '2100-01-01T00:00:00.000000Z',
		'updated_at does not go back when the clock does');
}

$stack->done;
