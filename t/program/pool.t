# Goal: the pool under spawn-fcgi. Workers that die are replaced; TERM ends all workers
# after their request; HUP renews all of them without losing a request; no environment
# holds the secret; and logs reach the operator in each way of starting.

use v5.36;
use FindBin;
use lib "$FindBin::Bin/../lib";
use IO::Socket::INET;
use Test::More;
use Facts;
use Files;
use Stack;

my $stack = Stack->new(inside => 1);
my $program = $stack->program;
my $id = $stack->fresh_id;

sub bearer (%o) { [Authorization => 'Bearer ' . $stack->token_of($id, %o)] }
sub ask ($pool, $method, $target, $body = undef, %o) {
	return $stack->fastcgi($pool)
	    ->send($method, $target, [bearer(), ['Content-Type' => 'application/json']], $body, %o);
}
sub me ($pool, %o) { $stack->fastcgi($pool)->send('GET', '/api/me', [bearer(%o)]) }
# HUP, then wait until all `n` workers are new.
sub renew ($pool, $n) {
	my %old = map { $_ => 1 } $pool->workers;
	$pool->signal('HUP');
	poll { my @w = $pool->workers; @w == $n && !grep { $old{$_} } @w } 'all workers are new';
}
sub up ($pool, $n) {
	poll {
		my @w = $pool->workers;
		@w == $n && eval { me($pool)->status == 200 } && \@w
	} "$n workers answer"
}
sub environ ($pid) { slurp_if_there("/proc/$pid/environ") }

# Asks from `n` processes while `disturb` runs. Returns how often each status was seen.
# A connection that the pool never accepted counts as "not taken".
sub under_load ($pool, $n, $disturb) {
	my $stop = $program->dir . '/stop' . rand;
	my @seen = in_parallel($stack, $n + 1, sub ($i) {
		if ($i == $n) {
			$disturb->();
			open my $f, '>', $stop or die $!;
			return {};
		}
		my (%seen, $k);
		until (-e $stop && $k++ > 3) {
			my @request = $i % 2
			    ? ('POST', "/api/$id/tasks", '{"title":"under load"}')
			    : ('GET', "/api/$id/tasks?limit=3", undef);
			my $answer = eval { ask($pool, @request, maybe => 1) };
			my $what =
			      $@ ? ($@ =~ /\Aconnect/ ? 'no pool' : "torn: $@")
			    : !defined $answer ? 'not taken'
			    : $answer->status;
			$seen{$what}++;
			last if $what eq 'no pool';
		}
		return \%seen;
	});
	my %all;
	for my $seen (@seen) { $all{$_} += $seen->{$_} for keys %$seen }
	return \%all;
}

# Waits until the pool has answered `n` more reads and `n` more writes.
sub busy ($pool, $n) {
	my $answered = sub {
		my $log = $pool->log;
		map { scalar(() = $log =~ /status=$_ /g) } 200, 201
	};
	my @from = $answered->();
	poll { my @now = $answered->(); $now[0] >= $from[0] + $n && $now[1] >= $from[1] + $n }
	    'there is load';
}

# The pool starts.
my $file = $program->dir . '/secret';
sub secret_file ($secret) { spew($file, $secret) }
secret_file($stack->secret);
my $pool =
    $program->pool(master => 3, BETTER_AUTH_SECRET => undef, BETTER_AUTH_SECRET_FILE => $file);
my $workers = up($pool, 3);
ok(!(grep { $_ == $pool->pid } @$workers), 'the master is not a worker');
like($pool->log, qr/event=start/, 'the start is logged to standard error under spawn-fcgi -n');
like($pool->log, qr/event=request [^\n]*route=\/api\/me/,
	'requests are logged to standard error under spawn-fcgi -n');

# A worker that sleeps is not woken for a request that another one takes.
{
	my $woken = sub ($pid) {
		slurp("/proc/$pid/status") =~ /^voluntary_ctxt_switches:\s+(\d+)/m ? $1 : die;
	};
	my %before = map { $_ => $woken->($_) } @$workers;
	me($pool) for 1 .. 100;
	my ($least) = sort { $a <=> $b } map { $woken->($_) - $before{$_} } @$workers;
	ok($least < 50,
		"100 requests, one after the other, leave a worker asleep (woken $least times)");
}

# A worker that dies is replaced; the others stay.
for my $signal (qw(KILL TERM KILL ABRT)) {
	my ($victim) = $pool->workers;
	my @others = grep { $_ != $victim } $pool->workers;
	kill $signal => $victim;
	my $now = poll {
		my @w = $pool->workers;
		@w == 3 && !(grep { $_ == $victim } @w) && \@w
	} "a worker that got $signal is replaced";
	my %now = map { $_ => 1 } @{ $now // [] };
	is(scalar(grep { $now{$_} } @others), 2, "$signal: the other workers stay");
	answers(me($pool), 200, "$signal: the pool answers");
}
ok(!defined $pool->ended, 'the master is alive');

# Workers end one after the other under load.
my $seen = under_load(
	$pool, 3,
	sub {
		for (1 .. 15) {
			my ($victim) = $pool->workers;
			kill TERM => $victim if $victim;
			poll { replaced($pool, 3, $victim) } 'the worker is replaced';
			busy($pool, 2);
		}
	});
is_deeply(
	[grep { !/\A20[01]\z/ } keys %$seen], [],
	'TERM to single workers under load loses no request'
) or diag(explain($seen));
ok(($seen->{200} // 0) > 20 && ($seen->{201} // 0) > 20,
	'TERM to single workers: more than 20 reads and 20 writes')
    or diag(explain($seen));

# HUP under load: all workers are renewed, no request is lost.
my %before = map { $_ => 1 } $pool->workers;
$seen = under_load($pool, 3, sub {
	for (1 .. 3) {
		renew($pool, 3);
		busy($pool, 10);
	}
});
is_deeply([grep { !/\A20[01]\z/ } keys %$seen], [], 'HUP under load loses no request')
    or diag(explain($seen));
ok(($seen->{200} // 0) > 20 && ($seen->{201} // 0) > 20, 'HUP: more than 20 reads and 20 writes')
    or diag(explain($seen));
is(scalar(grep { $before{$_} } $pool->workers), 0, 'HUP renews all workers');

# HUP reads the secret file again.
my $new = 'the secret after the rotation, long enough';
secret_file($new);
answers(me($pool), 200, 'before HUP: the old secret');
renew($pool, 3);
answers(me($pool, key => $new), 200, 'after HUP: the new secret');
refuses(me($pool), token_invalid => 'after HUP: the old secret');
secret_file('short');
my @had = sort $pool->workers;
$pool->signal('HUP');
poll { $pool->log =~ /BETTER_AUTH_SECRET_FILE/ } 'HUP with a wrong secret file: the log says so';
answers(me($pool, key => $new), 200, 'HUP with a wrong secret file: the pool stays as it was');
secret_file($stack->secret);
renew($pool, 3);
answers(me($pool), 200, 'HUP with a right secret file');

# TERM under load: every accepted request is answered whole, then all processes end.
my @last = $pool->workers;
$seen = under_load($pool, 4, sub {
	busy($pool, 10);
	$pool->signal('TERM');
});
is($pool->wait, 0, 'TERM: the master exits 0');
is_deeply([grep { !/\A(?:20[01]|no pool|not taken)\z/ } keys %$seen], [],
	'TERM: every accepted request was answered')
    or diag(explain($seen));
is(scalar(grep { kill 0, $_ } @last), 0, 'TERM: no worker is left');
like($pool->log, qr/event=stop/, 'TERM: the stop is logged');

# Every acknowledged POST is stored, and no other.
my $made = () = $pool->log =~ /status=201/g;
is(($stack->sql("SELECT COUNT(*) FROM todo.tasks WHERE user_id = '$id'"))[0][0], $made,
	'each acknowledged POST was done once');

# No environment holds the secret, whichever setting gives it.
my $secret = $stack->secret;
for (
	['BETTER_AUTH_SECRET', BETTER_AUTH_SECRET => $secret],
	[
		'BETTER_AUTH_SECRETS',
		BETTER_AUTH_SECRET => 'the single secret, unused, of 32 bytes',
		BETTER_AUTH_SECRETS => "2:$secret,1:the old secret of over 32 bytes in all"
	])
{
	my ($name, %env) = @$_;
	# Settings that are shared with the issuer hold the password of its database.
	my $p = $program->pool(master => 2, %env,
		ISSUER_DATABASE => 'mysql://better_auth:old secret@localhost/x');
	up($p, 2);
	# A process that has been forked and does not run yet has no environment.
	poll {
		my @w = $p->workers;
		@w == 2 && !grep { length environ($_) == 0 } @w
	} 'both workers run';
	my @pids = ($p->pid, $p->workers);
	is(scalar @pids, 3, "$name: a master and two workers");
	is(
		scalar(grep { environ($_) =~ /\Q$secret\E|single secret|old secret/ } @pids), 0,
		"$name: no /proc/PID/environ holds a secret");
	ok(!(grep { length environ($_) == 0 } @pids),
		"$name: each /proc/PID/environ could be read");
	renew($p, 2);
	answers(me($p), 200, "$name: the renewed workers know the secret");
	my $private = qr/\Q$secret\E|single secret|old secret/;
	is(scalar(grep { environ($_) =~ $private } $p->pid, $p->workers), 0,
	    "$name: no environment holds a secret after HUP");
	my ($victim) = $p->workers;
	kill KILL => $victim;
	poll { replaced($p, 2, $victim) } "$name: a dead worker is replaced";
	answers(me($p), 200, "$name: the replacement knows the secret") for 1 .. 4;
	my @cmdlines = map { slurp_if_there("/proc/$_/cmdline") } $p->pid, $p->workers;
	is(scalar(grep { /\Q$secret\E/ } @cmdlines), 0, "$name: no argument holds the secret");
	is($p->log =~ /\Q$secret\E/ ? 1 : 0, 0, "$name: the log does not hold the secret");
}

# spawn-fcgi -F N: N workers without a master, which log to a file.
my $log = $program->dir . '/forked.log';
my $forked = $program->pool(fork => 3, TODO_LOG => $log);
poll { eval { me($forked)->status == 200 } } 'a pool without a master answers';
is(scalar $forked->workers, 3, 'there are three workers without a master');
answers(me($forked), 200, 'a worker without a master answers') for 1 .. 5;
poll { slurp_if_there($log) =~ /event=request/ } 'workers without a master log to TODO_LOG';
# Each worker wipes its own environment, and one may answer before another has started.
poll {
	!grep { environ($_) =~ /\Q$secret\E/ } $forked->workers
} 'no environment holds the secret without a master';
my ($one) = $forked->workers;
kill TERM => $one;
poll { $forked->workers == 2 } 'TERM ends one worker without a master';
answers(me($forked), 200, 'the other workers without a master answer');
my @pids = $forked->workers;
$forked->stop;
is(scalar(grep { kill 0, $_ } @pids), 0, 'TERM ends all workers without a master');
is(scalar(grep { !/\Atime=\S+ level=\S+ event=\S+/ } split /\n/, slurp($log)), 0,
	'every line of the log is whole');

# A single worker on a socket.
my $worker = $program->worker;
answers(me($worker), 200, 'a single worker answers');
$worker->signal('TERM');
is($worker->wait, 0, 'a single worker exits 0 at TERM');
$worker = $program->worker;
answers(me($worker), 200, 'a second single worker answers');
# Signals that other programs take for a reload do nothing to a worker.
for my $signal (qw(HUP USR1 USR2 PIPE ALRM)) {
	$worker->signal($signal);
	answers(me($worker), 200, "$signal: a single worker goes on") for 1 .. 2;
}
# Clients that connect and send nothing, or half a record.
my $silent = IO::Socket::UNIX->new(Peer => $worker->socket) or die $!;
my $half = IO::Socket::UNIX->new(Peer => $worker->socket) or die $!;
$half->syswrite("\x01\x01\x00\x01\x00\x08");
$silent->close;
$half->close;
answers(me($worker), 200, 'a worker answers after connections with no or half a request');
for my $junk ("GET / HTTP/1.1\r\n\r\n", "\0" x 64, "\xff" x 512,
	pack('CCnnCCnCx5', 1, 1, 1, 8, 0, 0, 2, 0),
	pack('CCnnCC', 1, 4, 1, 0xffff, 0, 0) . 'x' x 100)
{
	my $socket = IO::Socket::UNIX->new(Peer => $worker->socket) or die $!;
	local $SIG{PIPE} = 'IGNORE';
	$socket->syswrite($junk);
	$socket->close;
}
answers(me($worker), 200, 'a worker answers after connections with other protocols');
ok(!defined $worker->ended, 'the worker is still the same process');

# Over TCP: if the worker closes a connection before it has read everything, the kernel
# may discard an answer that the other side has not read.
my $listen = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 64) or die $!;
my $distant = $program->worker_at('127.0.0.1:' . $listen->sockport, $listen);
answers(me($distant), 200, 'a worker on a TCP socket answers') for 1 .. 3;
answers(ask($distant, 'POST', "/api/$id/tasks", '{"title":"over TCP"}'), 201,
	'a worker on a TCP socket reads a body');
refuses(ask($distant, 'POST', "/api/$id/tasks", 'x' x 1_000_000),
	content_too_large => 'a worker on a TCP socket refuses a body that it does not read'
) for 1 .. 5;
$distant->signal('TERM');
is($distant->wait, 0, 'a worker on a TCP socket exits 0 at TERM');

# TERM while connections wait: the current request is the last.
{
	my $busy = $program->worker;
	# From now on each new descriptor is a connection.
	poll { $busy->log =~ /event=ready/ } 'a worker is ready';
	my $fds = sub () { scalar(() = glob '/proc/' . $busy->pid . '/fd/*') };
	my $before = $fds->();
	my ($first, @rest) = map { IO::Socket::UNIX->new(Peer => $busy->socket) or die $! } 1 .. 20;
	my ($begin, $end) = (pack('CCnnCCnCx5', 1, 1, 1, 8, 0, 0, 1, 0), join '',
		map { pack 'CCnnCC', 1, $_, 1, 0, 0, 0 } 4, 5);
	$first->syswrite($begin);
	poll { $fds->() > $before } 'the worker has accepted a connection';
	$_->syswrite($begin . $end) for @rest;
	$busy->signal('TERM');
	$first->syswrite($end);
	is($busy->wait, 0, 'TERM ends a worker with connections waiting');
	is(scalar(() = $busy->log =~ /event=request /g), 1,
		'TERM lets a worker finish its current request');
}

# A master that has sent TERM to a worker no longer reads its report: that is no fault.
{
	local $^F = 255;
	pipe(my $read, my $write) or die $!;
	close $read;
	my $late = $program->worker(TODO_READY_FD => fileno $write);
	close $write;
	poll { $late->log =~ /level=info event=ready/ } 'a worker without a reader is ready';
	is($late->client->send('GET', '/healthz')->status, 200, 'a worker without a reader answers');
	unlike($late->log, qr/event=ready reason=/, 'a report that nobody reads is not logged');
	$late->signal('TERM');
	is($late->wait, 0, 'TERM ends a worker without a reader');
}

# A log that nobody reads stops no worker.
{
	my $fifo = $program->dir . '/fifo';
	system('mkfifo', '-m', '0666', $fifo) == 0 or die;
	open my $reader, '+<', $fifo or die $!;
	my $unheard = $program->worker(TODO_LOG => $fifo);
	my $client = $unheard->client;
	is(scalar(grep { $client->send('GET', '/healthz')->status == 200 } 1 .. 1000), 1000,
		'requests are answered with a full log');
	$reader->blocking(0);
	my $lines = '';
	1 while sysread $reader, $lines, 65536, length $lines;
	my $heard = () = $lines =~ /event=request .*\n/g;
	ok(
		$heard > 100 && $heard < 1000 && $lines =~ /\n\z/,
		'a full log has whole lines'
	) or diag($heard);
	answers($client->send('GET', '/healthz'), 200,
		'requests are answered once the log is read again');
	$lines = '';
	poll { sysread $reader, $lines, 65536, length $lines; $lines =~ /event=request .*\n/ }
	    'the log has lines again once it is read';
	$unheard->signal('TERM');
	is($unheard->wait, 0, 'TERM ends a worker with a full log');
}

$stack->done;
