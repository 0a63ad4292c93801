# Goal: the pool under spawn-fcgi: workers are replaced, TERM ends all after the
# request in hand, HUP renews all without losing one, the secret is in no
# environment, and logs reach the operator in each way of starting.

use v5.36;
use FindBin;
use lib "$FindBin::Bin/../lib";
use IO::Socket::INET;
use Test::More;
use Facts;
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
# HUP, until all of its `n` workers are others.
sub renew ($pool, $n) {
	my %old = map { $_ => 1 } $pool->workers;
	$pool->signal('HUP');
	poll { my @w = $pool->workers; @w == $n && !grep { $old{$_} } @w } 'all workers are new';
}
sub up ($pool, $n) {
	poll {
		my @w = $pool->workers;
		@w == $n && eval { me($pool)->status == 200 } && \@w
	}
	"$n workers answer"
}
sub environ ($pid) {
	open my $f, '<', "/proc/$pid/environ" or return '';
	local $/;
	return <$f> // ''
}

# Asks until told to stop, from `n` processes; what each saw: its statuses.
# A connection that the pool never took is none of its requests.
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
			my $answer = eval {
				$i % 2
				    ? ask($pool, 'POST', "/api/$id/tasks",
					'{"title":"under load"}', maybe => 1)
				    : ask($pool, 'GET', "/api/$id/tasks?limit=3", undef,
					maybe => 1)
			};
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

# Waits until the pool has answered `n` reads and `n` writes more.
sub busy ($pool, $n) {
	my $answered = sub {
		my $log = $pool->log;
		map { scalar(() = $log =~ /status=$_ /g) } 200, 201
	};
	my @from = $answered->();
	poll { my @now = $answered->(); $now[0] >= $from[0] + $n && $now[1] >= $from[1] + $n }
	'there is load';
}

# Up.
my $file = $program->dir . '/secret';
sub secret_file ($secret) {
	open my $f, '>', "$file.new" or die $!;
	print {$f} $secret;
	close $f;
	rename "$file.new", $file;
}
secret_file($stack->secret);
my $pool =
    $program->pool(master => 3, BETTER_AUTH_SECRET => undef, BETTER_AUTH_SECRET_FILE => $file);
my $workers = up($pool, 3);
ok(!(grep { $_ == $pool->pid } @$workers), 'the master is no worker');
like($pool->log, qr/event=start/, 'it logs that it starts, to standard error under spawn-fcgi -n');
like($pool->log, qr/event=request [^\n]*route=\/api\/me/, 'and the requests');

# Whoever sleeps is not woken for what another one takes.
{
	my $woken = sub ($pid) {
		open my $f, '<', "/proc/$pid/status" or die $!;
		local $/;
		<$f> =~ /^voluntary_ctxt_switches:\s+(\d+)/m ? $1 : die
	};
	my %before = map { $_ => $woken->($_) } @$workers;
	me($pool) for 1 .. 100;
	my ($least) = sort { $a <=> $b } map { $woken->($_) - $before{$_} } @$workers;
	ok($least < 50,
		"100 requests, one after the other, leave a worker asleep (woken $least times)");
}

# A worker that dies is replaced; the others go on.
for my $signal (qw(KILL TERM KILL ABRT)) {
	my ($victim) = $pool->workers;
	my @others = grep { $_ != $victim } $pool->workers;
	kill $signal => $victim;
	my $now = poll {
		my @w = $pool->workers;
		@w == 3 && !(grep { $_ == $victim } @w) && \@w
	}
	"a worker that got $signal is replaced";
	my %now = map { $_ => 1 } @{ $now // [] };
	is(scalar(grep { $now{$_} } @others), 2, 'the others are as they were');
	answers(me($pool), 200, 'and it answers');
}
ok(!defined $pool->ended, 'the master lives');

# Killed one after the other under load: it goes on.
my $seen = under_load($pool, 3, sub {
	for (1 .. 15) {
		my ($victim) = $pool->workers;
		kill TERM => $victim if $victim;
		poll {
			my @w = $pool->workers;
			@w == 3 && !grep { $_ == $victim } @w
		}
		'replaced';
		busy($pool, 2);
	}
});
is_deeply([grep { !/\A20[01]\z/ } keys %$seen], [],
	'TERM to single workers under load loses no request')
    or diag(explain($seen));
ok(($seen->{200} // 0) > 20 && ($seen->{201} // 0) > 20, 'of many') or diag(explain($seen));

# HUP under load: all renewed, none lost.
my %before = map { $_ => 1 } $pool->workers;
$seen = under_load($pool, 3, sub {
	for (1 .. 3) {
		renew($pool, 3);
		busy($pool, 10);
	}
});
is_deeply([grep { !/\A20[01]\z/ } keys %$seen], [], 'HUP under load loses no request')
    or diag(explain($seen));
ok(($seen->{200} // 0) > 20 && ($seen->{201} // 0) > 20, 'of many') or diag(explain($seen));
is(scalar(grep { $before{$_} } $pool->workers), 0, 'and all workers are new');

# HUP reads the secret file anew.
my $new = 'the secret after the rotation, long enough';
secret_file($new);
answers(me($pool), 200, 'before HUP the old secret counts');
renew($pool, 3);
answers(me($pool, key => $new), 200, 'after HUP the new one');
refuses(me($pool), token_invalid => 'and the old one no more');
secret_file('short');
my @had = sort $pool->workers;
$pool->signal('HUP');
poll { $pool->log =~ /BETTER_AUTH_SECRET_FILE/ } 'a HUP to a wrong secret file is complained of';
answers(me($pool, key => $new), 200, 'and leaves the pool as it was');
secret_file($stack->secret);
renew($pool, 3);
answers(me($pool), 200, 'until it is right again');

# TERM under load: what was taken is answered, whole; then all is gone.
my @last = $pool->workers;
$seen = under_load($pool, 4, sub {
	busy($pool, 10);
	$pool->signal('TERM');
});
is($pool->wait, 0, 'TERM ends it with 0');
is_deeply([grep { !/\A(?:20[01]|no pool|not taken)\z/ } keys %$seen], [],
	'every request that was taken had its answer')
    or diag(explain($seen));
is(scalar(grep { kill 0, $_ } @last), 0, 'no worker is left');
like($pool->log, qr/event=stop/, 'it logs that it stops');

# Every POST that was acknowledged is there, and no other.
my $made = () = $pool->log =~ /status=201/g;
is(($stack->sql("SELECT COUNT(*) FROM todo.tasks WHERE user_id = '$id'"))[0][0], $made,
	'each POST that was answered was made, once');

# The secret is in nobody's environment, by any of its names.
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
	# A file of settings that the issuer shares has its database's password.
	my $p = $program->pool(master => 2, %env,
		ISSUER_DATABASE => 'mysql://better_auth:old secret@localhost/x');
	up($p, 2);
	# One that has been forked and does not run yet has none.
	poll { my @w = $p->workers; @w == 2 && !grep { length environ($_) == 0 } @w } 'both run';
	my @pids = ($p->pid, $p->workers);
	is(scalar @pids, 3, "$name: a master and two workers");
	is(scalar(grep { environ($_) =~ /\Q$secret\E|single secret|old secret/ } @pids), 0,
		"$name is in no /proc/PID/environ");
	ok(!(grep { length environ($_) == 0 } @pids), 'which could be read');
	renew($p, 2);
	answers(me($p), 200, 'who know the secret');
	is(
		scalar( grep { environ($_) =~ /\Q$secret\E|single secret|old secret/ } $p->pid,
			$p->workers
		),
		0,
		'and do not show it either');
	my ($victim) = $p->workers;
	kill KILL => $victim;
	poll { my @w = $p->workers; @w == 2 && !grep { $_ == $victim } @w } 'a replacement';
	answers(me($p), 200, 'knows it too') for 1 .. 4;
	is(
		scalar(
			grep {
				open my $f, '<', "/proc/$_/cmdline";
				local $/;
				<$f> =~ /\Q$secret\E/
			} $p->pid,
			$p->workers
		),
		0,
		'nor is it among the arguments');
	is($p->log =~ /\Q$secret\E/ ? 1 : 0, 0, 'nor in the log');
}

# Plain spawn-fcgi -F N: every worker by itself, logs to a file.
my $log = $program->dir . '/forked.log';
my $forked = $program->pool(fork => 3, TODO_LOG => $log);
poll { eval { me($forked)->status == 200 } } 'a pool without a master answers';
is(scalar $forked->workers, 3, 'three workers by themselves');
answers(me($forked), 200, 'request') for 1 .. 5;
sub slurp ($path) { open my $f, '<', $path or return ''; local $/; return <$f> }
poll { slurp($log) =~ /event=request/ } 'it logs to TODO_LOG';
# Each wipes its own, and one may answer before another has begun.
poll {
	!grep { environ($_) =~ /\Q$secret\E/ } $forked->workers
}
'the secret is in no environment there either';
my ($one) = $forked->workers;
kill TERM => $one;
poll { $forked->workers == 2 } 'TERM ends one of them';
answers(me($forked), 200, 'the others go on');
my @pids = $forked->workers;
$forked->stop;
is(scalar(grep { kill 0, $_ } @pids), 0, 'and TERM ends all');
is(scalar(grep { !/\Atime=\S+ level=\S+ event=\S+/ } split /\n/, slurp($log)), 0,
	'no line of the log is torn');

# A single worker on a socket, as whoever starts it likes.
my $worker = $program->worker;
answers(me($worker), 200, 'a single worker answers');
$worker->signal('TERM');
is($worker->wait, 0, 'and ends with 0 at TERM');
$worker = $program->worker;
answers(me($worker), 200, 'another');
# What other programs take for a reload, or reopen logs at, is none of a worker's.
for my $signal (qw(HUP USR1 USR2 PIPE ALRM)) {
	$worker->signal($signal);
	answers(me($worker), 200, "$signal: a worker goes on") for 1 .. 2;
}
# A client that connects and says nothing, or half of something, is no reason to hang for good.
my $silent = IO::Socket::UNIX->new(Peer => $worker->socket) or die $!;
my $half = IO::Socket::UNIX->new(Peer => $worker->socket) or die $!;
$half->syswrite("\x01\x01\x00\x01\x00\x08");
$silent->close;
$half->close;
answers(me($worker), 200, 'after connections that said nothing or too little');
for my $junk ("GET / HTTP/1.1\r\n\r\n", "\0" x 64, "\xff" x 512,
	pack('CCnnCCnCx5', 1, 1, 1, 8, 0, 0, 2, 0),
	pack('CCnnCC', 1, 4, 1, 0xffff, 0, 0) . 'x' x 100)
{
	my $socket = IO::Socket::UNIX->new(Peer => $worker->socket) or die $!;
	local $SIG{PIPE} = 'IGNORE';
	$socket->syswrite($junk);
	$socket->close;
}
answers(me($worker), 200, 'nor after those that speak no FastCGI');
ok(!defined $worker->ended, 'it is the same worker');

# Over TCP, where the end of a connection could take back an answer that the other
# side has not read yet, if the worker has not read all that came.
my $listen = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 64) or die $!;
my $distant = $program->worker_at('127.0.0.1:' . $listen->sockport, $listen);
answers(me($distant), 200, 'a worker on a TCP socket answers') for 1 .. 3;
answers(ask($distant, 'POST', "/api/$id/tasks", '{"title":"over TCP"}'), 201, 'and reads a body');
refuses(ask($distant, 'POST', "/api/$id/tasks", 'x' x 1_000_000),
	content_too_large => 'and says so of one that it does not read')
    for 1 .. 5;
$distant->signal('TERM');
is($distant->wait, 0, 'and ends with 0 at TERM');

# TERM while connections queue: the request in hand is the last.
{
	my $busy = $program->worker;
	# From then on it opens nothing but connections to it.
	poll { $busy->log =~ /event=ready/ } 'a worker is ready';
	my $fds = sub () { scalar(() = glob '/proc/' . $busy->pid . '/fd/*') };
	my $before = $fds->();
	my ($first, @rest) = map { IO::Socket::UNIX->new(Peer => $busy->socket) or die $! } 1 .. 20;
	my ($begin, $end) = (pack('CCnnCCnCx5', 1, 1, 1, 8, 0, 0, 1, 0), join '',
		map { pack 'CCnnCC', 1, $_, 1, 0, 0, 0 } 4, 5);
	$first->syswrite($begin);
	poll { $fds->() > $before } 'and has one in hand';
	$_->syswrite($begin . $end) for @rest;
	$busy->signal('TERM');
	$first->syswrite($end);
	is($busy->wait, 0, 'it ends at TERM, with more waiting');
	is(scalar(() = $busy->log =~ /event=request /g), 1, 'after the one that it had in hand');
}

# A log that nobody reads any more stops nobody.
{
	my $fifo = $program->dir . '/fifo';
	system('mkfifo', '-m', '0666', $fifo) == 0 or die;
	open my $reader, '+<', $fifo or die $!;
	my $unheard = $program->worker(TODO_LOG => $fifo);
	my $client = $unheard->client;
	is(scalar(grep { $client->send('GET', '/healthz')->status == 200 } 1 .. 1000), 1000,
		'with a log that is full requests are answered');
	$reader->blocking(0);
	my $lines = '';
	1 while sysread $reader, $lines, 65536, length $lines;
	my $heard = () = $lines =~ /event=request .*\n/g;
	ok($heard > 100 && $heard < 1000 && $lines =~ /\n\z/,
		'what there was room for is in it, in whole lines')
	    or diag($heard);
	answers($client->send('GET', '/healthz'), 200, 'and once it is read again');
	$lines = '';
	poll { sysread $reader, $lines, 65536, length $lines; $lines =~ /event=request .*\n/ }
	'it has the next one';
	$unheard->signal('TERM');
	is($unheard->wait, 0, 'the worker ends as always');
}

$stack->done;
