# Goal: a worker is killed (-9) at each moment of a request. A GET or HEAD is then answered
# by another worker. A write is 502; it was done once if the database had done it, else
# not at all, and nobody repeats it. An answer that was begun is whole, or the client sees
# that it is not (t/nginx/proxy.t). If the connection to the database is cut instead,
# every request is 503, and a write was done once or not at all.

use v5.36;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Test::More;
use Time::HiRes qw(time sleep);
use Facts;
use Faults;
use Files;
use Proxy;
use Sql;
use Stack;

# One worker, so that the next request goes to its replacement, which has nothing ready.
my $stack = Stack->new(private => 1, env => { STAGING_WORKERS => 1 });
$stack->allow_status(502, 503);
$stack->expect_log(qr/event=worker_died/, qr/event=database/, qr/status=503/,
	qr/upstream prematurely closed|Connection reset|(?:readv|recv)\(\) failed/);

# A proxy between the worker and the database kills the worker or cuts the connection. A
# moment is a command that is about to be passed on, or the first packet of its answer:
# then the database has done the command, and the worker does not know.
my $order = $stack->file('run/order');
sub order ($text) { spew($order, $text) }
my $between = Proxy->new(
	path => $stack->file('run/between.sock'),
	to => $stack->file('run/mariadb.sock'),
	rule => sub ($s, $side, $packet) {
		my ($how, $at, $moment) = slurp_if_there($order) =~ /\A(kill|cut) (\d+) (\d+)\z/
		    or return $packet;
		return $packet if $side eq 'server' && $s->{answered}++;
		$s->{answered} = 0 if $side eq 'client';
		if (++$moment == $at) {
			unlink $order;
			kill KILL => $s->{pid} if $how eq 'kill';
			return undef;
		}
		order("$how $at $moment");
		return $packet;
	});
my $conf = $stack->read('etc/todo.cnf') =~ s/^socket=.*/'socket=' . $between->path/emr;
open my $f, '+<', $stack->file('etc/todo.cnf') or die $!; # keep its owner
truncate $f, 0;
print {$f} $conf;
close $f;

# Waits until there is one worker that answers and is old enough to be replaced at once.
my $user = $stack->user;
sub settled () {
	poll { $user->get('/tasks?limit=1')->status == 200 } 'the worker answers';
	poll {
		my ($worker) = my @all = $stack->workers;
		my ($uptime) = split ' ', slurp_if_there('/proc/uptime');
		my $stat = slurp_if_there("/proc/$worker/stat") =~ s/.*\) //r;
		@all == 1 && $uptime - (split ' ', $stat)[19] / 100 > 1.05;
	} 'the worker is older than a second';
}
my ($old) = $stack->workers;
$stack->staging('pool-hup');
poll { my @now = $stack->workers; @now == 1 && $now[0] != $old } 'the worker is new';

sub rows ($where) {
	my ($count) = $stack->sql("SELECT COUNT(*) FROM todo.tasks
	    WHERE user_id = '@{[$user->id]}' AND $where");
	return $count->[0];
}
sub row ($task, $where = 'TRUE') {
	rows("id = UNHEX('" . ($task->{id} =~ tr/-//dr) . "') AND $where")
}
my ($kills, $cuts, $wrong, $reads, $writes) = (0, 0, 0, 0, 0);

# One kind of request, with a kill and a cut at each of its moments; in the short form only
# at the last two, before and after the database does it. make->($task, $n): method, path,
# headers, body; done->($task, $n): how often it was done; again->($task, $n, $request,
# $done): is everything right when the request is sent again?
sub at_each_moment ($name, $good, $make, $done = undef, %o) {
	return if !is_long() && !$o{short};
	# Without a fault: counts the moments, once all statements are prepared.
	settled();
	is($user->request($make->($user->task('warm'), 'warm')->@*)->status, $good, "$name: $good");
	my $counted = $make->($user->task('counted'), 'counted');
	order('cut 999 0');
	$user->request(@$counted);
	my ($count) = slurp_if_there($order) =~ / (\d+)\z/;
	unlink $order;
	for my $k (is_long() ? 1 .. $count : ($count - 1, $count)) {
		for my $how ('kill', 'cut') {
			settled();
			$user->request($make->($user->task('warm'), "warm$k$how")->@*);
			my $n = "$k$how";
			my $where = "$name, $how at moment $k of $count";
			my $task = $user->task("$name $n");
			my $request = $make->($task, $n);
			order("$how $k 0");
			my $answer = $user->request(@$request);
			my $ok = ok(!-e $order, "$where: the fault happened");
			my $killed = $how eq 'kill';
			$killed ? $kills++ : $cuts++;
			if (!defined $done) {
				$reads++;
				$ok &= is($answer->status, $killed ? $good : 503,
					"$where: the status");
				$ok &= is(
					join(' ', upstream($answer)), $killed ? '502 200' : '503',
					"$where: the statuses that nginx got");
			} else {
				$writes++;
				$ok &=
				    is($answer->status, $killed ? 502 : 503, "$where: the status");
				$ok &= is(
					join(' ', upstream($answer)), $answer->status,
					"$where: nginx asked one worker");
				my $times = $done->($task, $n);
				$ok &= is($times, $k == $count ? 1 : 0,
					"$where: how often it was done");
				$ok &= $o{again}->($task, $n, $request, $k == $count) if $o{again};
			}
			$wrong++ if !$ok;
		}
	}
}

# The statuses that nginx got for this request, one from each worker it asked.
sub upstream ($answer) {
	my $id = $answer->id;
	my $line = poll {
		(grep { /request_id=$id/ } $stack->log_lines('nginx-access.log'))[0]
	} 'nginx logs the request';
	return ($line // '') =~ /upstream_status=(.*)/ ? $1 =~ /\d+/g : ();
}

at_each_moment('GET', 200, sub ($task, $n) { ['GET', "/tasks/$task->{id}"] });
at_each_moment('HEAD', 200, sub ($task, $n) { ['HEAD', "/tasks/$task->{id}"] }, undef, short => 1);
at_each_moment('a list', 200, sub ($task, $n) { ['GET', '/tasks?sort=title'] });
at_each_moment('POST', 201, sub ($task, $n) { ['POST', '/tasks', {}, { title => "made $n" }] },
    sub ($task, $n) { rows("title = 'made $n'") });
sub same_again ($task, $n, $request, $done) {
	my $again = poll { my $a = $user->request(@$request); $a->status != 503 && $a }
	    'POST with a key is answered again';
	my $replayed = $again->header('Idempotency-Replayed') // 'made';
	return is($again->status, 201, 'POST again with its key')
	    & is($replayed, $done ? 'true' : 'made', 'POST again: replayed if it had been done')
	    & is(rows("title = 'keyed $n'"), 1, 'POST again: there is one task');
}
at_each_moment('POST with a key', 201,
    sub ($task, $n) {
	['POST', '/tasks', { 'Idempotency-Key' => "key$n" }, { title => "keyed $n" }];
    },
    sub ($task, $n) { rows("title = 'keyed $n'") }, short => 1, again => \&same_again);
at_each_moment('PUT', 200,
    sub ($task, $n) { ['PUT', "/tasks/$task->{id}", {}, { title => "put $n" }] },
    sub ($task, $n) { row($task, "title = 'put $n' AND revision = 2") }, short => 1);
at_each_moment('PATCH', 200,
    sub ($task, $n) {
	['PATCH', "/tasks/$task->{id}", { 'If-Match' => '*' }, { description => "patch $n" }];
    },
    sub ($task, $n) { row($task, "description = 'patch $n' AND revision = 2") });
at_each_moment('complete', 200, sub ($task, $n) { ['PATCH', "/tasks/$task->{id}/complete"] },
    sub ($task, $n) { row($task, 'completed = 1 AND revision = 2') });
at_each_moment('DELETE', 204, sub ($task, $n) { ['DELETE', "/tasks/$task->{id}"] },
    sub ($task, $n) { 1 - row($task) });
at_each_moment('DELETE with If-Match', 204,
    sub ($task, $n) { ['DELETE', "/tasks/$task->{id}", { 'If-Match' => $task->{etag} }] },
    sub ($task, $n) { 1 - row($task) });
figure('killed at each moment', "$kills kills and $cuts cuts, at each moment of $reads reads and"
    . " $writes writes: $wrong of them not answered, or done, as they should");

# Killed once the worker has written the first byte of its answer.
SKIP: {
	my $dying = sanitized($stack->{build}) ? undef : compiled('lib/dying.c', shared => 1);
	skip 'sanitizers have to be loaded first' if !$dying;
	my $big = $stack->user;
	my $fill = sub ($n) {
		$stack->sql("DELETE FROM todo.tasks WHERE user_id = '@{[$big->id]}'");
		insert_tasks($stack, [$big], $n, title => "REPEAT('t', 200)",
		    description => "REPEAT('d', 1000)");
	};
	$stack->staging('pool-stop');
	my $pool = $stack->program->pool(master => 1, LD_PRELOAD => $dying, DYING_FILE => "$order");
	poll { -S $pool->socket } 'the pool listens';
	chmod 0755, $stack->program->dir;
	chmod 0666, $pool->socket;
	unlink $stack->pool_socket;
	symlink $pool->socket, $stack->pool_socket or die $!;
	poll { $stack->client->send('GET', '/healthz')->status == 200 } 'the pool answers';
	for my $n (is_long() ? (1, 5, 10, 20, 50, 100) : 100) {
		$fill->($n);
		my $size = length $big->get('/tasks?limit=500')->body;
		my $from = () = $pool->log =~ /worker_died/g;
		order('die');
		my $command = "curl -q -sS --noproxy '*' --cacert '$stack->{env}{STAGING_CA}'"
		    . " -H 'Authorization: Bearer @{[$big->token]}' -w '%{http_code}'"
		    . " '@{[$stack->url . $big->tasks]}?limit=500'";
		my $out = qx($command 2>&1);
		poll { (() = $pool->log =~ /worker_died/g) == $from + 1 }
		    "an answer of $size bytes: its worker was killed";
		ok($? == 0 && $out =~ /\A\[.*\]200\z/s && length($out) == $size + 3,
		    "an answer of $size bytes is whole although its worker was killed")
		    or diag($?, substr $out, -300);
	}
}

$stack->done;
