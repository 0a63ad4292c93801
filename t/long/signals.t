# Goal: after signals at any moment of a start, a reload or a stop, the pool is what the
# last signal asked for.

use v5.36;
use FindBin;
use lib "$FindBin::Bin/../lib";
use POSIX qw(O_NONBLOCK O_WRONLY);
use IO::Socket::UNIX;
use Test::More;
use Time::HiRes ();
use Facts;
use Faults;
use Files;
use Stack;

my $stack = Stack->new(inside => 1);
my $program = $stack->program;
my $dir = $program->dir;
my $id = $stack->fresh_id;

my @bearer = (Authorization => 'Bearer ' . $stack->token_of($id));
sub status ($running) {
	my $answer = eval { $stack->fastcgi($running)->send('GET', "/api/$id/tasks", [\@bearer]) };
	return $answer ? $answer->status : $@;
}

# Starts a program and holds it where it reads the secret, before it is a worker or a master.
my $held = 0;
sub held ($start) {
	my $path = "$dir/secret" . ++$held;
	POSIX::mkfifo($path, 0600) // die $!;
	my $running = $start->(BETTER_AUTH_SECRET => undef, BETTER_AUTH_SECRET_FILE => $path);
	my $writer;
	poll { sysopen $writer, $path, O_WRONLY | O_NONBLOCK } 'a program reads its secret';
	return $running, sub () {
		# The workers of a master read the file later.
		spew($path, $stack->secret);
		syswrite $writer, $stack->secret;
		close $writer;
	};
}
for (['a worker', sub { $program->worker(@_) }],
	['a master', sub { $program->pool(master => 2, @_) }])
{
	my ($what, $start) = @$_;
	for my $signal (qw(HUP USR1 USR2)) {
		my ($running, $go_on) = held($start);
		$running->signal($signal);
		$go_on->();
		poll { status($running) eq 200 || defined $running->ended }
		    "$what that gets $signal at its start goes on";
		is($running->ended, undef, "$what that gets $signal at its start is alive");
		is(status($running), 200, "$what that gets $signal at its start answers");
		poll { $running->log =~ /event=reloaded/ }
		    'HUP at the start is obeyed once the workers run'
		    if $what eq 'a master' && $signal eq 'HUP';
		$running->signal('TERM');
		is($running->wait, 0, "$what that gets $signal at its start exits 0 at TERM");
	}
}

# At a random moment of the first 50 ms of a start, a reload and a stop. (A start counts from
# the first line of main(): before it a signal ends any program.)
my $EACH = long(6, 100);
sub has_begun ($pid) {
	my ($ignored) =
	    slurp_if_there("/proc/$pid/status") =~ /^SigIgn:\s+[0-9a-f]*([0-9a-f]{8})$/m;
	return defined $ignored && hex($ignored) & 1 << 9;
}
sub soon { select undef, undef, undef, rand 0.05 }
sub is_whole ($pool) {
	return eval {
		poll { my @w = $pool->workers; @w == 2 && status($pool) eq 200 }
		    'a pool of two answers';
		1
	};
}
# What is wrong with a pool after TERM: it must end, and its workers too. (Before the master
# tends workers, TERM itself ends it.)
sub is_gone ($pool, @workers) {
	return 'still there' if !defined(my $status = $pool->wait);
	return "exit $status" if $status !~ /\A(?:0|signal 15)\z/;
	my $left = 0;
	eval { poll { !($left = grep { kill 0, $_ } @workers) } 'the workers are gone' };
	return $left ? "$left workers left" : '';
}
sub stop_pool ($pool) {
	my @workers = $pool->workers;
	$pool->signal('TERM');
	return is_gone($pool, @workers);
}

my %then = (
	start => sub ($signal) {
		my $pool = $program->pool(master => 2);
		1 until has_begun($pool->pid) || defined $pool->ended;
		soon();
		my @workers = $pool->workers;
		kill $signal => $pool->pid, $signal eq 'USR1' ? @workers : ();
		return is_gone($pool, @workers) if $signal eq 'TERM';
		return is_whole($pool) ? stop_pool($pool) : 'not whole';
	},
	reload => sub ($signal) {
		my $pool = $program->pool(master => 2);
		is_whole($pool) or return 'did not start';
		$pool->signal('HUP');
		soon();
		my @workers = $pool->workers;
		kill $signal => $pool->pid, $signal eq 'TERM' ? () : @workers;
		return is_gone($pool, @workers) if $signal eq 'TERM';
		return 'a worker died' if $pool->log =~ /event=worker_died/;
		return is_whole($pool) ? stop_pool($pool) : 'not whole';
	},
	stop => sub ($signal) {
		my $pool = $program->pool(master => 2);
		is_whole($pool) or return 'did not start';
		my @workers = $pool->workers;
		$pool->signal('TERM');
		soon();
		kill $signal => $pool->pid, $signal eq 'TERM' ? () : grep { kill 0, $_ } @workers;
		return is_gone($pool, @workers);
	},
);
my $wrong = 0;
for my $phase (qw(start reload stop)) {
	for my $signal (qw(HUP TERM USR1)) {
		my @wrong = grep { length } map { $then{$phase}->($signal) } 1 .. $EACH;
		is_deeply(\@wrong, [], "$EACH times $signal in the first 50 ms of a $phase");
		$wrong += @wrong;
	}
}
figure('signals at any moment', 9 * $EACH . ' signals in the first 50 ms of a start, a reload or'
    . " a stop: $wrong did not leave the pool as the last one asked for");

# A second reload comes while the first worker of the first one is still starting: a fault
# that this worker finds is not a fault of the second reload.
{
	my $right = slurp({ $stack->settings }->{TODO_DB_DEFAULTS_FILE});
	my ($secret, $options) = ("$dir/secret-again", "$dir/again.cnf");
	spew($options, $right);
	spew($secret, $stack->secret);
	my $pool = $program->pool(master => 1, BETTER_AUTH_SECRET => undef,
		BETTER_AUTH_SECRET_FILE => $secret, TODO_DB_DEFAULTS_FILE => $options);
	ok(eval { poll { status($pool) eq 200 } 'the pool answers' }, 'a pool of one answers');
	unlink $secret;
	POSIX::mkfifo($secret, 0600) // die $!;
	my $feed = sub ($what) {
		my $writer;
		poll { sysopen $writer, $secret, O_WRONLY | O_NONBLOCK } "$what reads its secret";
		return sub () { syswrite $writer, $stack->secret; close $writer };
	};
	spew($options, $right =~ s/^user\s*=.*\n//mgr . "user=nobody-of-that-name\n");
	$pool->signal('HUP');
	my $first = $feed->('the worker of a reload with a wrong user');
	$pool->signal('HUP');
	poll { 2 == (() = $pool->log =~ /event=reload$/mg) } 'the second reload has begun';
	$first->();
	poll { $pool->log =~ /event=worker_died [^\n]*exit=77/ }
	    'the database refuses the worker of the first reload';
	spew($options, $right);
	$feed->('a worker of the second reload')->();
	poll { $pool->log =~ /event=reloaded/ } 'the second reload, with the right user, succeeds';
	unlike($pool->log, qr/event=reload_failed/, 'no reload has failed');
	is(stop_pool($pool), '', 'TERM ends the pool after two reloads')
	    if $pool->log =~ /event=reloaded/;
}

# ALRM, which time limits need, is blocked when the program is started.
{
	my $alarm = POSIX::SigSet->new(POSIX::SIGALRM());
	POSIX::sigprocmask(POSIX::SIG_BLOCK(), $alarm);
	my $worker = $program->worker;
	POSIX::sigprocmask(POSIX::SIG_UNBLOCK(), $alarm);
	poll { status($worker) eq 200 } 'a worker started with ALRM blocked answers';
	my $half = IO::Socket::UNIX->new(Peer => $worker->socket) or die $!;
	$half->syswrite("\1\1\0");    # less than the head of a record
	poll { status($worker) eq 200 }
	    'a worker started with ALRM blocked drops a peer that stops in the middle', 15;
}

# Storms.
my $pool = $program->pool(master => 2);
ok(is_whole($pool), 'a pool of two answers before the storm');
for (1 .. 100) {
	kill HUP => $pool->pid;
	kill((qw(USR1 HUP USR2))[$_ % 3] => $pool->pid, $pool->workers);
	soon();
}
ok(is_whole($pool), 'the pool answers after 100 HUPs, and USR1s and USR2s to all');
ok(!defined $pool->ended, 'the master is alive after the storm');
unlike($pool->log, qr/event=worker_died/, 'the storm has ended no worker');

$stack->done;
