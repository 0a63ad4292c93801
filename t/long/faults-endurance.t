# Goal: memory and descriptors of the workers stay the same from request ten thousand to
# the millionth, whatever is asked and refused, and however often connections to the
# database are cut and the database is restarted meanwhile.

use v5.36;
use FindBin;
use lib "$FindBin::Bin/../lib";
use JSON::PP qw(decode_json);
use Test::More;
use Facts;
use Faults;
use Files;
use Sql;
use Stack;

my ($WORKERS, $USERS) = (2, 100);
my ($first, $last) = (long(5_000, 10_000), long(10_000, 1_000_000));
# Without a log in the long form: nobody reads the lines of a million requests.
my $stack = Stack->new(private => 1,
	env => { STAGING_WORKERS => $WORKERS, is_long() ? (TODO_LOG => '/dev/null') : () });
plan skip_all => 'sanitizers replace the allocator' if sanitized($stack->{build});
my $load = compiled('../bench/load.c', libraries => 'openssl') or plan skip_all => 'no C compiler';
$stack->allow_status(503);
$stack->expect_log(qr/event=database/, qr/status=503/);
my ($host, $port) = $stack->url =~ m{\Ahttps://(.*):(\d+)\z};

# The requests, by their status. Each user has a token and a few tasks, some of them
# long; each of the 36 kinds of list is there four times.
my @user = map { $stack->user } 1 .. $USERS;
my %ask;
my ($asked, $wrong) = (0, 0);
my $none = '01900000-0000-7000-8000-000000000000';
sub lists () {
	my @sorts = map { "sort=$_" } qw(created updated title);
	return map {
		my $status = $_;
		map { "status=$status&$_" } @sorts
	} qw(all pending completed);
}
{
	my @id = map { sprintf '%08x-0000-7000-8000-%012x', 0x01900000, $_ } 1 .. 20;
	insert_tasks($stack, \@user, 20,
	    id => "UNHEX(CONCAT('01900000000070008000', LPAD(HEX(seq), 12, '0')))",
	    title => "CONCAT('title ', seq * 7 MOD 5)",
	    description => "REPEAT('d', IF(seq MOD 5, 10, 1000))", completed => 'seq MOD 2');
	my @list;
	for my $order (qw(asc desc)) {
		push @list, map { "$_&order=$order&limit=5" } lists();
	}
	for my $n (0 .. 143) {
		my $u = $user[$n % $USERS];
		my ($tasks, $token, $id) = ($u->tasks, $u->token, $id[$n % @id]);
		# The first page, or the next.
		my $page = "$tasks?$list[$n / 2 % @list]";
		($page) = $u->get($page)->header('Link') =~ /<(.*)>/ if $n % 2;
		my $expired = $stack->token_of($u->id, claims => { exp => 5 + $n, iat => 1 });
		my @line = (
			[200, GET => $page, $token], [200, GET => "$tasks/$id", $token],
			[200, GET => '/api/me', $token],
			[200, GET => $n % 2 ? '/healthz' : '/readyz', ''],
			[200, PUT => "$tasks/$id", $token,
			    qq({"title":"title @{[$n % 5]}","description":"put $n"})],
			[200, PATCH => "$tasks/$id", $token, '{"description":"\ud83d\ude00"}'],
			[200, PATCH => "$tasks/$id/complete", $token],
			[201, POST => $tasks, $token,
			    qq({"title":"made","description":"@{['x' x ($n % 900)]}"})],
			[401, GET => $tasks, substr($token, 0, -1 - $n % 40)],
			[401, GET => $tasks, $expired],
			[401, PUT => "$tasks/$id", ''],
			[401, POST => $tasks, 'x.y.z'],
			[403, GET => $user[($n + 1) % $USERS]->tasks, $token],
			[404, GET => "$tasks/$none", $token],
			[404, DELETE => "$tasks/$none", $token],
			[404, GET => "$tasks/x", $token],
			[405, PUT => $tasks, $token],
			[400, POST => $tasks, $token, '{"title":"x"'],
			[400, PUT => "$tasks/$id", $token, '{"title":"x","title":"y"}'],
			[422, POST => $tasks, $token, '{"title":""}'],
			[422, GET => "$tasks?limit=0", $token],
		);
		push $ask{ $_->[0] }->@*, join "\t", map { $_ // '' } @$_[1 .. 4] for @line;
	}
}
# One user has the longest possible tasks and reads pages of 500.
my $large = $stack->user;
my $smile = '_utf8mb4 0xF09F9880';
insert_tasks($stack, [$large], 1000, title => "REPEAT($smile, 200)",
    description => "REPEAT($smile, 1000)", completed => 'seq MOD 2');
sub ask_large () {
	my $base = $stack->url . $large->tasks;
	my $urls = '';
	for my $list (lists()) {
		for my $order (qw(asc desc)) {
			$urls .=
			    qq(url = "$base?$list&order=$order&limit=500"\noutput = /dev/null\n);
		}
	}
	my $command = "curl -q -sS -Z --parallel-max 8 --fail --noproxy '*'"
	    . " --cacert '$stack->{env}{STAGING_CA}' -K - 2>/dev/null";
	open my $curl, '|-', $command or die $!;
	print {$curl} qq(header = "Authorization: Bearer @{[$large->token]}"\n$urls);
	$wrong++ if !close $curl;
	$asked += 18;
}

my $all = 0;
$all += @$_ for values %ask;
my $dir = File::Temp->newdir;
for my $status (keys %ask) {
	spew("$dir/$status", join '', map { "$_\n" } $ask{$status}->@*);
}

# Sends `count` requests of all kinds. Counts the wrong answers.
sub ask ($count) {
	for my $status (sort keys %ask) {
		my $n = 1 + int $count * $ask{$status}->@* / $all;
		my $command = "'$load' -c 8 -t 3600 -n $n -s $status"
		    . " -a '$stack->{env}{STAGING_CA}' $host $port <'$dir/$status'";
		my $got = decode_json(qx($command) || '{"requests":0,"wrong":1}');
		$asked += $got->{requests};
		$wrong += $got->{wrong};
	}
	# Requests that bench/load cannot send.
	ask_large() for 1 .. 3;
	my $u = $user[rand @user];
	my $task = $u->task('made', description => 'by hand');
	for (1 .. 20) {
		my %key = ('Idempotency-Key' => "k$asked-$_");
		my $path = "/tasks/$task->{id}";
		my @answer = (
			$u->head('/tasks'), $u->head($path),
			$u->get($path, { 'If-None-Match' => $task->{etag} }),
			$u->options('/tasks'),
			$u->put($path, {}, { 'If-Match' => '"x"' }),
			$u->post('/tasks', { title => 'made' }, \%key),
			$u->post('/tasks', { title => 'made' }, \%key),
			$u->post('/tasks', { title => 'other' }, \%key),
			$u->delete('/tasks/' . $u->task('made')->{id}),
			$u->post('/tasks', 'x', { 'Content-Type' => 'text/plain' }),
		);
		$asked += @answer + 1;
		$wrong++
		    if join(' ', map { $_->status } @answer) ne
		    '200 200 304 204 412 201 201 422 204 415';
	}
	$stack->sql("DELETE FROM todo.tasks WHERE title = 'made'");
}

# [memory, descriptors] of each process, by pid.
sub held () {
	return { map { $_ => [resident($_), descriptors($_)] } $stack->workers,
		$stack->pid('pool') }
}
sub reconnect ($times) {
	for my $n (1 .. $times) {
		if ($n % 10) {
			cut_connections($stack);
		} else {
			$stack->staging('db-stop');
			$user[0]->get('/tasks') for 1 .. $WORKERS;
			$stack->staging('db-start');
		}
		poll {
			my @status = map { @$_ } in_parallel($stack, 2 * $WORKERS, sub ($i) {
				my $u = $user[$i]->with(client => $stack->new_client);
				[map { $u->get('/tasks')->status } 1 .. 5]
			});
			!grep { $_ != 200 } @status;
		} 'all workers are connected again';
	}
}

my @workers = sort $stack->workers;
ask($first / 2);
reconnect(10);
ask($first - $asked);
my $before = held();
my $at = $asked;
my $rounds = long(2, 10);
for my $round (1 .. $rounds) {
	reconnect(long(3, 10));
	ask(($last - $asked) / ($rounds - $round + 1));
}
my $after = held();

is($wrong, 0, "each of $asked requests has the right status");
cmp_ok($asked, '>=', $last, 'there were as many requests as wanted');
is_deeply([sort $stack->workers], \@workers, 'the workers are still the same processes');
is_deeply(
	{ map { $_ => $after->{$_}[1] } keys %$after },
	{ map { $_ => $before->{$_}[1] } keys %$before },
	'each process holds as many descriptors as before');
my $most = 0;
for my $pid (sort keys %$before) {
	my ($from, $to) = map { $_->{$pid}[0] } $before, $after;
	my $change = 100 * ($to - $from) / $from;
	$most = $change if abs $change > abs $most;
	# Both ways: a process that shrinks by more was measured too early.
	cmp_ok(abs $change, '<=', 2, sprintf '%s: %d KiB at request %d, %d KiB at %d (%+.2f %%)',
		(grep { $_ == $pid } @workers) ? 'a worker' : 'the master', $from, $at, $to,
		$asked, $change);
}
# A worker keeps no list, although a page of a list may have 2.4 MB.
cmp_ok((sort { $b <=> $a } map { $after->{$_}[0] } @workers)[0], '<', 16 * 1024,
	'no worker holds more than 16 MiB');
my $changes = join ', ', map { "$before->{$_}[0] to $after->{$_}[0] KiB" } @workers;
figure('memory and descriptors', sprintf '%d to %d requests, %d reconnections: memory %+.2f %%'
    . ' at most (%s), descriptors the same',
    $at, $asked, 10 + $rounds * long(3, 10), $most, $changes);

$stack->done;
