# Goal: at whatever moment of a request a worker is killed (-9), a GET or HEAD is
# answered all the same, by another; a write is 502, was done once if the database
# had done it and else not at all, and is repeated by nobody; and what was begun
# to be answered is whole. (t/nginx/proxy.t: what is half can be seen to be.) And where
# it is the database's connection that is cut, all is 503, done once or not at all.

use v5.36;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Test::More;
use Time::HiRes qw(time sleep);
use Facts;
use Faults;
use Proxy;
use Stack;

# One worker: the next is the one that takes its place, to which nothing is ready.
my $stack = Stack->new(private => 1, env => { STAGING_WORKERS => 1 });
$stack->allow_status(502, 503);
$stack->expect_log(qr/event=worker_died/, qr/event=database/, qr/status=503/,
	qr/upstream prematurely closed|Connection reset|(?:readv|recv)\(\) failed/);

# Between the worker and its database stands somebody who kills it, or cuts the
# connection. A moment is a
# command that is about to be passed on, or the first packet of what came back to
# it, when the database has done what it was told and the worker does not know it.
my $order = $stack->file('run/order');
sub order ($text) {
	open my $f, '>', "$order.new" or die $!;
	print {$f} $text;
	close $f;
	rename "$order.new", $order or die $!
}
my $between = Proxy->new(
	path => $stack->file('run/between.sock'),
	to => $stack->file('run/mariadb.sock'),
	rule => sub ($s, $side, $packet) {
		my ($how, $at, $moment) = slurp($order) =~ /\A(kill|cut) (\d+) (\d+)\z/
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
open my $f, '+<', $stack->file('etc/todo.cnf') or die $!; # it stays whose it is
truncate $f, 0;
print {$f} $conf;
close $f;

# Settled: there is a worker, it is old enough to die without a pause, and well.
my $user = $stack->user;
sub settled () {
	poll { $user->get('/tasks?limit=1')->status == 200 } 'it is well';
	poll {
		my ($worker) = my @all = $stack->workers;
		my ($uptime) = split ' ', slurp('/proc/uptime');
		@all == 1
		    && $uptime - (split ' ', slurp("/proc/$worker/stat") =~ s/.*\) //r)[19] / 100 >
		    1.05
	}
	'a worker of more than a second';
}
my ($old) = $stack->workers;
$stack->staging('pool-hup');
poll { my @now = $stack->workers; @now == 1 && $now[0] != $old } 'the worker is a new one';

sub rows ($where) {
	(
		$stack->sql(
			      "SELECT COUNT(*) FROM todo.tasks WHERE user_id = '"
			    . $user->id
			    . "' AND $where")
	)[0][0]
}
sub row ($task, $where = 'TRUE') {
	rows("id = UNHEX('" . ($task->{id} =~ tr/-//dr) . "') AND $where")
}
my ($kills, $cuts, $wrong, $reads, $writes) = (0, 0, 0, 0, 0);

# One kind of request, killed at each of its moments; in the short form only at
# the last two, between which it is done. make->($task, $n): method, path, headers,
# body; done->($task, $n): how often it was done; again->($task, $n, $request, $done)
# is true if all is well when it is sent again.
sub at_each_moment ($name, $good, $make, $done = undef, %o) {
	return if !is_long() && !$o{short};
	# Nobody is killed: how many are there? Whatever is prepared once is prepared.
	settled();
	is($user->request($make->($user->task('warm'), 'warm')->@*)->status, $good, "$name: $good");
	my $counted = $make->($user->task('counted'), 'counted');
	order('cut 999 0');
	$user->request(@$counted);
	my ($count) = slurp($order) =~ / (\d+)\z/;
	unlink $order;
	for my $k (is_long() ? 1 .. $count : ($count - 1, $count)) {
		for my $how ('kill', 'cut') {
			settled();
			$user->request($make->($user->task('warm'), "warm$k$how")->@*);
			my $n = "$k$how";
			my $task = $user->task("$name $n");
			my $request = $make->($task, $n);
			order("$how $k 0");
			my $answer = $user->request(@$request);
			my $ok = ok(!-e $order, "$name, $how at moment $k of $count: it was");
			my $killed = $how eq 'kill';
			$killed ? $kills++ : $cuts++;
			if (!defined $done) {
				$reads++;
				$ok &= is($answer->status, $killed ? $good : 503,
					$killed ? 'nobody notices' : 'it is 503');
				$ok &=
				    is(join(' ', upstream($answer)), $killed ? '502 200' : '503',
					$killed
					? 'for another was asked'
					: 'and nobody else was asked');
			} else {
				$writes++;
				$ok &= is($answer->status, $killed ? 502 : 503,
					$killed ? 'it is 502' : 'it is 503');
				$ok &= is(join(' ', upstream($answer)), $answer->status,
					'nobody else was asked');
				my $times = $done->($task, $n);
				$ok &= is($times, $k == $count ? 1 : 0,
					$k == $count ? 'it was done, once' : 'it was not done');
				$ok &= $o{again}->($task, $n, $request, $k == $count) if $o{again};
			}
			$wrong++ if !$ok;
		}
	}
}

# What nginx got for this request, from each whom it asked.
sub upstream ($answer) {
	my $id = $answer->id;
	my $line = poll {
		(grep { /request_id=$id/ } $stack->log_lines('nginx-access.log'))[0]
	}
	'nginx logs it';
	return ($line // '') =~ /upstream_status=(.*)/ ? $1 =~ /\d+/g : ();
}

at_each_moment('GET', 200, sub ($task, $n) { ['GET', "/tasks/$task->{id}"] });
at_each_moment('HEAD', 200, sub ($task, $n) { ['HEAD', "/tasks/$task->{id}"] }, undef, short => 1);
at_each_moment('a list', 200, sub ($task, $n) { ['GET', '/tasks?sort=title'] });
at_each_moment('POST', 201, sub ($task, $n) { ['POST', '/tasks', {}, { title => "made $n" }] },
	sub ($task, $n) { rows("title = 'made $n'") });
at_each_moment(
	'POST with a key', 201,
	sub ($task, $n)
	{ ['POST', '/tasks', { 'Idempotency-Key' => "key$n" }, { title => "keyed $n" }] },
	sub ($task, $n) { rows("title = 'keyed $n'") },
	short => 1,
	again => sub ($task, $n, $request, $done) {
		my $again = poll { my $a = $user->request(@$request); $a->status != 503 && $a }
		'it is well again';
		return is($again->status, 201, 'repeated with its key it is 201') &
		    is($again->header('Idempotency-Replayed') // 'made', $done ? 'true' : 'made',
			$done ? 'of the one that is there' : 'of a new one') &
		    is(rows("title = 'keyed $n'"), 1, 'and there is one');
	});
at_each_moment('PUT', 200,
	sub ($task, $n) { ['PUT', "/tasks/$task->{id}", {}, { title => "put $n" }] },
	sub ($task, $n) { row($task, "title = 'put $n' AND revision = 2") }, short => 1);
at_each_moment(
	'PATCH', 200,
	sub ($task, $n)
	{ ['PATCH', "/tasks/$task->{id}", { 'If-Match' => '*' }, { description => "patch $n" }] },
	sub ($task, $n) { row($task, "description = 'patch $n' AND revision = 2") });
at_each_moment('complete', 200, sub ($task, $n) { ['PATCH', "/tasks/$task->{id}/complete"] },
	sub ($task, $n) { row($task, 'completed = 1 AND revision = 2') });
at_each_moment('DELETE', 204, sub ($task, $n) { ['DELETE', "/tasks/$task->{id}"] },
	sub ($task, $n) { 1 - row($task) });
at_each_moment('DELETE with If-Match', 204,
	sub ($task, $n) { ['DELETE', "/tasks/$task->{id}", { 'If-Match' => $task->{etag} }] },
	sub ($task, $n) { 1 - row($task) });
figure('killed at each moment',
	"$kills kills and $cuts cuts, at each moment of $reads reads and $writes writes: $wrong of them not answered, or done, as they should"
);

# And once it has written the first of its answer.
SKIP: {
	my $dying = sanitized($stack->{build}) ? undef : compiled('lib/dying.c', shared => 1);
	skip 'sanitizers will be loaded first' if !$dying;
	my $big = $stack->user;
	my $fill = sub ($n) {
		$stack->sql("DELETE FROM todo.tasks WHERE user_id = '" . $big->id . "'");
		my $rows = join ',', map {
			sprintf "('%s', UNHEX('%032x'), '%s', '%s', 0, 1, NOW(6), NOW(6))",
			    $big->id, $_, 't' x 200, 'd' x 1000
		} 1 .. $n;
		$stack->sql(
			"INSERT INTO todo.tasks (user_id, id, title, description, completed, revision, created_at, updated_at) VALUES $rows"
		);
	};
	$stack->staging('pool-stop');
	my $pool = $stack->program->pool(master => 1, LD_PRELOAD => $dying, DYING_FILE => "$order");
	poll { -S $pool->socket } 'it listens';
	chmod 0755, $stack->program->dir;
	chmod 0666, $pool->socket;
	unlink $stack->pool_socket;
	symlink $pool->socket, $stack->pool_socket or die $!;
	poll { $stack->client->send('GET', '/healthz')->status == 200 }
	'a pool that dies when told';
	for my $n (is_long() ? (1, 5, 10, 20, 50, 100) : 100) {
		$fill->($n);
		my $size = length $big->get('/tasks?limit=500')->body;
		my $from = () = $pool->log =~ /worker_died/g;
		order('die');
		my $out =
		    qx(curl -q -sS --noproxy '*' --cacert '$stack->{env}{STAGING_CA}' -H 'Authorization: Bearer @{[$big->token]}' -w '%{http_code}' '@{[$stack->url . $big->tasks]}?limit=500' 2>&1);
		poll { (() = $pool->log =~ /worker_died/g) == $from + 1 }
		"an answer of $size bytes, killed at its first byte: it was";
		ok($? == 0 && $out =~ /\A\[.*\]200\z/s && length($out) == $size + 3, 'it is whole')
		    or diag($?, substr $out, -300);
	}
}

$stack->done;
