# Goal: the kernel wakes a worker for a request, and the worker is killed before it can
# accept the request: another worker answers.

use v5.36;
use FindBin;
use lib "$FindBin::Bin/../lib";
use IO::Socket::UNIX;
use POSIX ();
use Socket qw(SOCK_STREAM);
use Test::More;
use Facts;
use Stack;

plan skip_all => 'only root can keep a worker from running' if $> != 0;
chomp(my $processors = qx{nproc});
plan skip_all => 'there is only one processor' if $processors < 2;
my $stack = Stack->new(inside => 1);
my $program = $stack->program;

sub on_processor ($number, $running) {
	my $out = qx{taskset -pc $number @{[$running->pid]} 2>&1};
	die $out if $?;
}
sub is_waiting ($running) {
	open my $f, '<', '/proc/' . $running->pid . '/stat' or return 0;
	return $running->log =~ /event=ready/ && <$f> =~ /\) S /;
}

# With real-time priority, so that no other process runs on processor 0 for 0.4 s.
sub occupy () {
	my $pid = fork // die $!;
	if (!$pid) {
		exec qw(taskset -c 0 chrt -f 50), $^X, '-MTime::HiRes=time', '-e',
		    '$end = time + 0.4; 1 while time < $end' or POSIX::_exit(127);
	}
	poll {
		open my $f, '<', "/proc/$pid/stat" or die $!;
		(split ' ', <$f> =~ s/.*\) //r)[37] == 50;
	} 'processor 0 is occupied';
	return $pid;
}

# Two workers on one socket. The kernel wakes the worker that has waited longest, which
# cannot run and is killed 50 ms later.
my $path = $program->dir . '/wake-up';
my $listen = IO::Socket::UNIX->new(Local => $path, Listen => 64, Type => SOCK_STREAM) or die $!;
for my $round (1 .. 3) {
	my @workers;
	for my $number (0, 1) {
		push @workers, $program->worker_at($path, $listen);
		on_processor($number, $workers[-1]);
		poll { is_waiting($workers[-1]) } 'a worker waits for connections';
	}
	my $occupier = occupy();
	my $killer = fork // die $!;
	if (!$killer) {
		select undef, undef, undef, 0.05;
		kill KILL => $workers[0]->pid;
		POSIX::_exit(0);
	}
	my $status = eval {
		local $SIG{ALRM} = sub { die "no answer\n" };
		alarm 8;
		my $answer = $stack->fastcgi($workers[1])->send('GET', '/healthz', []);
		alarm 0;
		$answer->status;
	} // $@;
	waitpid $_, 0 for $killer, $occupier;
	is($status, 200, "round $round: the other worker answers");
	$_->signal('KILL'), $_->wait for @workers;
}

$stack->done;
