# Goal: the replacement of a crashed worker does not answer 503 while another worker has
# the database, even if the option file was made wrong without a reload. Neither a wrong
# option file nor an unreachable database keeps a pool from filling.

use v5.36;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Test::More;
use Facts;
use Files;
use Stack;

my $stack = Stack->new(inside => 1);
my $program = $stack->program;
my $options = $program->dir . '/options.cnf';
my $id = $stack->fresh_id;

my $right = slurp({ $stack->settings }->{TODO_DB_DEFAULTS_FILE});
my $away = "[todo]\nsocket=" . $program->dir . "/nobody.sock\n";
my %refused = (
	'another user' => $right =~
	    s/^(?:user|password)\s*=.*\n//mgr . "user=nobody-of-that-name\n",
	'a key before the first group' => "user=todo\n$right",
);

# A pool of two workers that are ready, from an option file with `text`.
sub pool ($text, %env) {
	spew($options, $text);
	my $pool = $program->pool(master => 2, TODO_DB_DEFAULTS_FILE => $options, %env);
	poll { ready($pool) == 2 } 'two workers are ready';
	return $pool;
}

sub ready ($pool) { scalar(() = $pool->log =~ /event=ready /g) }
sub refusals ($pool) { scalar(() = $pool->log =~ /event=worker_died [^\n]*exit=77\n/g) }

sub status ($pool) {
	return $stack->fastcgi($pool)
	    ->send('GET', "/api/$id/tasks", [[Authorization => 'Bearer ' . $stack->token_of($id)]])
	    ->status;
}

sub kill_one ($pool) { kill KILL => ($pool->workers)[0] }

# Has the worker told the master that it has the database, and closed the pipe?
sub has_reported ($pid) {
	my ($fd) = slurp_if_there("/proc/$pid/environ") =~ /(?:\A|\0)TODO_READY_FD=(\d+)/;
	return defined $fd && !-e "/proc/$pid/fd/$fd";
}

# The option file is made wrong, nobody reloads, and a worker crashes.
for my $fault (sort keys %refused) {
	my $pool = pool($right);
	spew($options, $refused{$fault});
	kill_one($pool);
	poll { refusals($pool) >= 2 } "$fault, then a crash: the replacement exits 77";
	is(ready($pool), 2, "$fault: the replacement is not ready");
	is(scalar(grep { status($pool) != 200 } 1 .. 50), 0, "$fault: every request is answered");
	spew($options, $right);
	poll { ready($pool) == 3 } "$fault: a replacement starts with the right file", 20;
	is(scalar(my @workers = $pool->workers), 2,
		"$fault: the pool is whole with the right file");
	is(scalar(grep { status($pool) != 200 } 1 .. 20), 0,
		"$fault: the pool answers with the right file");
}

# A worker that starts without the database reports once it has it. Which worker
# answers, the kernel decides.
{
	my $pool = pool($away);
	is(status($pool), 503, 'without the database a pool answers 503');
	ok(!(grep { has_reported($_) } $pool->workers), 'its workers report no database');
	spew($options, $right);
	my ($reporter) = poll {
		status($pool) == 200 && (grep { has_reported($_) } $pool->workers)[0]
	} 'once the database is there a worker reports it';
	spew($options, $refused{'another user'});
	kill KILL => grep { $_ != $reporter } $pool->workers;
	poll { refusals($pool) >= 1 } 'a replacement that the database refuses exits 77';
}

# An outage does not shrink a pool.
{
	my $pool = pool($right);
	spew($options, $away);
	kill_one($pool);
	poll { ready($pool) == 3 } 'a replacement starts while the database is unreachable';
	is(refusals($pool), 0, 'no replacement is refused while the database is unreachable');
}

# Where no worker has the database, or no worker is refused, a pool fills.
my %full = (
	%refused,
	'a key that the library does not know' => "${right}usr=todo\n",
	'a group that is empty' => $away,
);
for my $fault (sort keys %full) {
	my $pool = pool($full{$fault});
	is(scalar(my @workers = $pool->workers), 2, "$fault at the start: the pool is whole");
}

$stack->done;
