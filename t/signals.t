# Goal: signals at any moment of a start, of a reload and of an end: the pool is
# afterwards what the last signal asked for.

use v5.36;
use FindBin;
use lib "$FindBin::Bin/lib";
use POSIX qw(O_NONBLOCK O_WRONLY);
use Test::More;
use Time::HiRes ();
use Facts;
use Stack;

my $stack = Stack->new(inside => 1);
my $program = $stack->program;
my $dir = $program->dir;
my $id = $stack->fresh_id;

sub status ($running) {
	my $answer = eval { $stack->fastcgi($running)->send('GET', "/api/$id/tasks", [[Authorization => 'Bearer ' . $stack->token_of($id)]]) };
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
for (['a worker', sub { $program->worker(@_) }], ['a master', sub { $program->pool(master => 2, @_) }]) {
	my ($what, $start) = @$_;
	for my $signal (qw(HUP USR1 USR2)) {
		my ($running, $go_on) = held($start);
		$running->signal($signal);
		$go_on->();
		poll { status($running) eq 200 || defined $running->ended } "$what that got $signal at its start goes on";
		is($running->ended, undef, 'and is there');
		is(status($running), 200, 'and answers');
		poll { $running->log =~ /event=reloaded/ } 'HUP is obeyed once the workers run' if $what eq 'a master' && $signal eq 'HUP';
		$running->signal('TERM');
		is($running->wait, 0, 'until TERM');
	}
}

# At random moments of the first 50 ms, from the program's own first line on.
# (Between exec and there no program can keep a signal from ending it.)
{
	my $begun = sub ($pid) {
		open my $f, '<', "/proc/$pid/status" or return 0;
		local $/;
		return (<$f> // '') =~ /^SigIgn:\s+[0-9a-f]*([0-9a-f]{8})$/m && hex($1) & 1 << 9;
	};
	my $lost = 0;
	for (1 .. 33) {
		my $master = $program->pool(master => 1);
		1 until $begun->($master->pid) || defined $master->ended;
		my $until = Time::HiRes::time() + rand 0.05;
		do { kill HUP => $master->pid; kill USR1 => $master->pid, $master->workers } while Time::HiRes::time() < $until;
		$lost++ if defined $master->ended;
		$master->signal('TERM');
		# Before it has begun to tend workers TERM itself ends it.
		$lost++ if ($master->wait // 'still there') !~ /\A(?:0|signal 15)\z/;
	}
	is($lost, 0, '33 starts with HUPs and USR1s, then TERM: each is there until TERM, which ends it');
}

# Of a reload.
my $pool = $program->pool(master => 2);
poll { my @w = $pool->workers; @w == 2 && status($pool) eq 200 } 'a pool answers';
for (1 .. 100) {
	kill HUP => $pool->pid;
	kill((qw(USR1 HUP USR2))[$_ % 3] => $pool->pid, $pool->workers);
	select undef, undef, undef, rand 0.05;
}
poll { my @w = $pool->workers; @w == 2 && status($pool) eq 200 } '100 HUPs, and USR1s and USR2s to all: the pool is there';
ok(!defined $pool->ended, 'and so is its master');
unlike($pool->log, qr/event=worker_died/, 'and none of them has ended a worker');

# Of an end.
for (1 .. 10) {
	my $ending = $program->pool(master => 2);
	poll { my @w = $ending->workers; @w == 2 && status($ending) eq 200 } 'a pool answers';
	my @workers = $ending->workers;
	kill HUP => $ending->pid;
	select undef, undef, undef, rand 0.01;
	$ending->signal('TERM');
	kill HUP => $ending->pid for 1 .. 5;
	is($ending->wait, 0, 'TERM among HUPs ends it');
	is(scalar(grep { kill 0, $_ } @workers), 0, 'and every worker');
}

$stack->done;
