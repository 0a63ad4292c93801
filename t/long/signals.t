# Goal: signals at any moment of a start, of a reload and of an end: the pool is
# afterwards what the last signal asked for.

use v5.36;
use FindBin;
use lib "$FindBin::Bin/../lib";
use POSIX qw(O_NONBLOCK O_WRONLY);
use IO::Socket::UNIX;
use Test::More;
use Time::HiRes ();
use Facts;
use Faults;
use Stack;

my $stack = Stack->new(inside => 1);
my $program = $stack->program;
my $dir = $program->dir;
my $id = $stack->fresh_id;

sub status ($running) {
	my $answer = eval {
		$stack->fastcgi($running)
		    ->send('GET', "/api/$id/tasks",
			[[Authorization => 'Bearer ' . $stack->token_of($id)]])
	};
	return $answer ? $answer->status : $@;
}

# Held where the secret is read, which is before there is a worker or a master.
my $held = 0;
sub held ($start) {
	my $path = "$dir/secret" . ++$held;
	POSIX::mkfifo($path, 0600) // die $!;
	my $running = $start->(BETTER_AUTH_SECRET => undef, BETTER_AUTH_SECRET_FILE => $path);
	my $writer;
	poll { sysopen $writer, $path, O_WRONLY | O_NONBLOCK } 'a program reads its secret';
	return $running, sub () {
		# For whoever reads it after: the workers.
		open my $file, '>', "$path.new" or die $!;
		print {$file} $stack->secret;
		close $file;
		rename "$path.new", $path or die $!;
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
		"$what that got $signal at its start goes on";
		is($running->ended, undef, 'and is there');
		is(status($running), 200, 'and answers');
		poll { $running->log =~ /event=reloaded/ } 'HUP is obeyed once the workers run'
		    if $what eq 'a master' && $signal eq 'HUP';
		$running->signal('TERM');
		is($running->wait, 0, 'until TERM');
	}
}

# At a random moment of the first 50 ms of a start, from the program's own first
# line on (between exec and there no program can keep a signal from ending it),
# of a reload, and of a stop.
my $EACH = long(6, 100);
sub has_begun ($pid) {
	open my $f, '<', "/proc/$pid/status" or return 0;
	local $/;
	return (<$f> // '') =~ /^SigIgn:\s+[0-9a-f]*([0-9a-f]{8})$/m && hex($1) & 1 << 9;
}
sub soon { select undef, undef, undef, rand 0.05 }
sub is_whole ($pool) {
	return eval {
		poll { my @w = $pool->workers; @w == 2 && status($pool) eq 200 }
		'a pool of two answers';
		1
	};
}
# Ended by TERM, with none of its workers left. Before the master has begun to tend
# workers, TERM itself ends it.
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
figure('signals at any moment',
	9 * $EACH
	    . " signals in the first 50 ms of a start, a reload or a stop: $wrong did not leave the pool as the last one asked for"
);

# A reload whose first worker is still at its start when the next reload comes:
# what the first one finds wrong says nothing of the second.
{
	my $read = sub ($path) { open my $f, '<', $path or die "$path: $!"; local $/; return <$f> };
	my $right = $read->({ $stack->settings }->{TODO_DB_DEFAULTS_FILE});
	my ($secret, $options) = ("$dir/secret-again", "$dir/again.cnf");
	my $put = sub ($path, $text) {
		open my $f, '>', "$path.new" or die $!;
		print {$f} $text;
		close $f;
		rename "$path.new", $path or die $!;
	};
	$put->($options, $right);
	$put->($secret, $stack->secret);
	my $pool = $program->pool(master => 1, BETTER_AUTH_SECRET => undef,
		BETTER_AUTH_SECRET_FILE => $secret, TODO_DB_DEFAULTS_FILE => $options);
	ok(
		eval {
			poll { status($pool) eq 200 } 'it answers'
		},
		'a pool of one answers');
	unlink $secret;
	POSIX::mkfifo($secret, 0600) // die $!;
	my $feed = sub ($what) {
		my $writer;
		poll { sysopen $writer, $secret, O_WRONLY | O_NONBLOCK } "$what reads its secret";
		return sub () { syswrite $writer, $stack->secret; close $writer };
	};
	$put->($options, $right =~ s/^user\s*=.*\n//mgr . "user=nobody-of-that-name\n");
	$pool->signal('HUP');
	my $first = $feed->('the worker of a reload with a wrong user');
	$pool->signal('HUP');
	poll { 2 == (() = $pool->log =~ /event=reload$/mg) } 'a second reload comes';
	$first->();
	poll { $pool->log =~ /event=worker_died [^\n]*exit=77/ } 'the database refuses that worker';
	$put->($options, $right);
	$feed->('a worker of the second reload')->();
	poll { $pool->log =~ /event=reloaded/ }
	'the second reload, with a right one, is carried out';
	unlike($pool->log, qr/event=reload_failed/, 'and none failed');
	is(stop_pool($pool), '', 'TERM ends it') if $pool->log =~ /event=reloaded/;
}

# ALRM, on which time limits rely, was blocked by whoever started the program.
{
	my $alarm = POSIX::SigSet->new(POSIX::SIGALRM());
	POSIX::sigprocmask(POSIX::SIG_BLOCK(), $alarm);
	my $worker = $program->worker;
	POSIX::sigprocmask(POSIX::SIG_UNBLOCK(), $alarm);
	poll { status($worker) eq 200 } 'a worker that was started with ALRM blocked answers';
	my $half = IO::Socket::UNIX->new(Peer => $worker->socket) or die $!;
	$half->syswrite("\1\1\0"); # less than the head of a record
	poll { status($worker) eq 200 } 'and answers while a peer stops in the middle', 15;
}

# Storms.
my $pool = $program->pool(master => 2);
ok(is_whole($pool), 'a pool answers');
for (1 .. 100) {
	kill HUP => $pool->pid;
	kill((qw(USR1 HUP USR2))[$_ % 3] => $pool->pid, $pool->workers);
	soon();
}
ok(is_whole($pool), '100 HUPs, and USR1s and USR2s to all: the pool is there');
ok(!defined $pool->ended, 'and so is its master');
unlike($pool->log, qr/event=worker_died/, 'and none of them has ended a worker');

$stack->done;
