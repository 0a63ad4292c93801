# Goal: each way in which a database fails is a 503 within 2 s and a clear line in the
# log, with as many clients as workers; a second after the database is well again there
# is no 5xx. A statement that fails late in its answer is never answered as done.

use v5.36;
use FindBin;
use lib "$FindBin::Bin/../lib";
use File::Temp;
use JSON::PP ();
use POSIX ();
use Socket qw(AF_INET AF_UNIX INADDR_LOOPBACK SOCK_STREAM SOCK_NONBLOCK pack_sockaddr_in
    pack_sockaddr_un unpack_sockaddr_in);
use Test::More;
use Time::HiRes qw(time sleep);
use Facts;
use Faults;
use Files;
use Proxy;
use Sql;
use Stack;

my $WORKERS = 4;
my $parent = $$;
my $stack = Stack->new(private => 1, env => { STAGING_WORKERS => $WORKERS });
$stack->allow_status(503);
$stack->expect_log(qr/event=database/, qr/status=503/, qr/event=start .*without the database/);
my $user = $stack->user;
my ($task, $kept);
my $none = '01900000-0000-7000-8000-000000000000';

# Stops a process, with each of its threads.
sub freeze ($pid) {
	kill STOP => $pid;
	poll { !grep { slurp_if_there($_) !~ /^State:\s+T/m } glob "/proc/$pid/task/*/status" }
	    'the process is stopped';
}

# The requests of one client in round `n`: reads, and writes that leave a trace.
sub reads () {
	return ['GET', '/tasks'], ['HEAD', '/tasks'],
	    ['GET', '/tasks?sort=title&status=pending'], ['GET', "/tasks/$task->{id}"];
}
sub writes ($n) {
	my %key = ('Idempotency-Key' => "lost-$n" =~ tr/ /-/r);
	my $path = "/tasks/$task->{id}";
	return ['POST', '/tasks', {}, { title => "lost $n" }],
	    ['POST', '/tasks', \%key, { title => "lost with a key $n" }],
	    ['PUT', $path, {}, { title => "put $n" }],
	    ['PATCH', $path, {}, { description => "lost $n" }],
	    ['PATCH', "$path/complete"],
	    ['DELETE', "/tasks/$none"],
	    ['DELETE', "/tasks/$kept->{id}", { 'If-Match' => '*' }];
}
my ($longest, $latest, $faults) = (0, 0, 0);
my $mine = "user_id = '" . $user->id . "'";

# One fault. log: pattern of a log line; reads => 1: reads are answered; unknown => 1: a
# refused write may have been done, once; ready: the status of /readyz; short => 1: also
# in the short form (t/program/database.t tries the others, without their times).
sub fault ($name, $break, $mend, %o) {
	return if !$o{short} && !is_long();
	# Each fault has tasks of its own.
	$stack->sql("DELETE FROM todo.tasks WHERE $mine");
	($task, $kept) = map { $user->task($_) } 'before', 'kept';
	my $from = $stack->log_lines;
	my $rounds = long(1, 5);
	$break->();
	my @seen = in_parallel($stack, $WORKERS, sub ($i) {
		my $me = $user->with(client => $stack->new_client(timeout => 10));
		my (@wrong, $slow);
		my $ask = sub ($want, $request) {
			my $start = time;
			my $status = $me->request(@$request)->status;
			my $took = time - $start;
			$slow = $took if $took > ($slow // 0);
			push @wrong, "$request->[0] $request->[1]: $status"
			    if $status != $want;
		};
		for my $round (1 .. $rounds) {
			$ask->($o{reads} ? 200 : 503, $_) for reads();
			$ask->(503, $_) for writes("$i $round");
			$ask->(200, ['GET', '/api/me']);
			$ask->(401, ['GET', '/tasks', { Authorization => 'Bearer a.b.c' }]);
			my %none = (Authorization => undef);
			$ask->(401, ['PUT', "/tasks/$task->{id}", \%none, { title => 'lost' }]);
			push @wrong, 'healthz'
			    if $me->{client}->send('GET', '/healthz')->status != 200;
		}
		my $ready = $me->{client}->send('GET', '/readyz')->status;
		push @wrong, "readyz: $ready" if $ready != ($o{ready} // 503);
		return [$slow, \@wrong];
	});
	my @wrong = map { $_->[1]->@* } @seen;
	is_deeply(\@wrong, [], "$name: every request has the right status")
	    or diag("@wrong[0 .. ($#wrong > 9 ? 9 : $#wrong)]");
	my ($slow) = sort { $b <=> $a } map { $_->[0] } @seen;
	cmp_ok($slow, '<', 2, sprintf '%s: each answer within 2 s (%.2f s)', $name, $slow);
	$longest = $slow if $slow > $longest;
	my @line = $stack->log_lines;
	my ($line) = grep { /event=database/ && /$o{log}/ } @line[$from .. $#line];
	ok($line, "$name: the log has the reason") and note($line =~ s/.*?event=/event=/r);

	# Asks without a pause while the database recovers. When was the last failure?
	my $well = $stack->file('run/well');
	my $pid = open(my $asking, '-|') // die $!;
	if (!$pid) {
		$stack->forked;
		my @each = in_parallel($stack, $WORKERS, sub ($i) {
			my $me = $user->with(client => $stack->new_client(timeout => 10));
			my ($n, $end, @failed) = (0, time + 30);
			while (time < $end) {
				$n++;
				for (['POST', '/tasks', {}, { title => "after $i $n" }],
					['GET', "/tasks/$none"])
				{
					my $asked = time;
					my $status = $me->request(@$_)->status;
					push @failed, [$asked, "$_->[0] $status"]
					    if $status >= 500;
				}
				$end = -e $well ? slurp_if_there($well) + 1.8 : $end;
			}
			return [$n, @failed];
		});
		print JSON::PP::encode_json(\@each);
		close STDOUT;
		POSIX::_exit(0);
	}
	sleep 0.7;
	$mend->();
	my $at = time;
	spew($well, $at);
	my $each = JSON::PP::decode_json(do { local $/; <$asking> } || '[[0]]');
	close $asking;
	unlink $well;
	ok(!(grep { shift @$_ < 3 } @$each),
		"$name: requests were sent while the database recovered");
	my ($last) = sort { $b->[0] <=> $a->[0] } [0, 'none'],
	    map { [$_->[0] - $at, $_->[1]] } map { @$_ } @$each;
	$latest = $last->[0] if $last->[0] > $latest;
	cmp_ok( $last->[0], '<', 1,
		sprintf '%s: no request fails 1 s after the recovery (the last after %.2f s)',
		$name,
		$last->[0]
	) or diag(explain($last));
	is(
		$user->with(client => $stack->new_client)->{client}->send('GET', '/readyz')->status,
		200,
		"$name: /readyz is 200 after the recovery");

	# What became of the refused writes.
	my ($revision) = map { $_->[0] } $stack->sql("SELECT revision FROM todo.tasks
	    WHERE $mine AND (title = 'before' OR title LIKE 'put%')");
	my @times = map { $_->[0] } $stack->sql("SELECT COUNT(*) FROM todo.tasks
	    WHERE $mine AND title LIKE 'lost%' GROUP BY title");
	if ($o{unknown}) {
		is_deeply([grep { $_ != 1 } @times], [],
			"$name: each refused POST was done once or not at all");
		cmp_ok($revision, '<=', 1 + 3 * $rounds * $WORKERS,
			"$name: no task was changed more often than requested");
	} else {
		is_deeply([$revision, @times], [1], "$name: no refused write was done");
		is($user->get("/tasks/$kept->{id}")->status, 200,
		    "$name: no refused DELETE was done");
	}
	$faults++;
}

# The password of the account is changed by one fault, and then set back.
my ($grant) = $stack->sql("SELECT authentication_string FROM mysql.global_priv,
    JSON_TABLE(priv, '\$' COLUMNS (authentication_string TEXT PATH '\$.authentication_string')) AS j
    WHERE user = 'todo'");
my $hash = $grant->[0];

# Statements that break, and statements that mend.
sub sql_fault ($name, $break, $mend, %o) {
	fault($name, sub { $stack->sql($break); cut_connections($stack) if $o{cut} },
	    sub { $stack->sql($mend) }, %o);
}

fault('stopped', sub { $stack->staging('db-stop') }, sub { $stack->staging('db-start') },
    log => qr/errno=200[236]|errno=2013/);
my $continue = sub { kill CONT => $stack->pid('mariadb') };
fault('frozen', sub { freeze($stack->pid('mariadb')) }, $continue,
    log => qr/errno=2013/, unknown => 1, short => 1);

# The server accepts no connection, and its backlog is full.
{
	my @waiting;
	fault('frozen, its backlog full', sub {
		freeze($stack->pid('mariadb'));
		my $address = pack_sockaddr_un($stack->file('run/mariadb.sock'));
		while (@waiting < 5000) {
			socket my $s, AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0 or die $!;
			connect $s, $address or last;
			push @waiting, $s;
		}
		note(scalar(@waiting) . ' connections wait');
	}, sub { @waiting = (); $continue->() }, log => qr/errno=20(?:02|13)/, unknown => 1);
}

# The server reserves one connection for its administrator. (The connections held here
# cannot be closed while child processes have them open too.)
my @held;
fault('out of connections', sub {
	@held = map { $stack->holding('SELECT 1') } 1 .. 10;
	cut_connections($stack, 'todo', 'SET GLOBAL max_connections = 10');
}, sub { $stack->sql('SET GLOBAL max_connections = 151') }, log => qr/errno=1040/, short => 1);
@held = ();

sql_fault('wrong password', "ALTER USER todo\@localhost IDENTIFIED BY 'another'",
    "ALTER USER todo\@localhost IDENTIFIED BY PASSWORD '$hash'",
    cut => 1, log => qr/errno=1045/, short => 1);
sql_fault('no schema',
    'RENAME TABLE todo.tasks TO todo.away, todo.schema_migrations TO todo.away2',
    'RENAME TABLE todo.away TO todo.tasks, todo.away2 TO todo.schema_migrations',
    log => qr/errno=1146/);
sub moved ($from, $to) {
	return "CREATE DATABASE $to; RENAME TABLE $from.tasks TO $to.tasks,
	    $from.schema_migrations TO $to.schema_migrations; DROP DATABASE $from";
}
sql_fault('no database', moved('todo', 'away'), moved('away', 'todo'),
    cut => 1, log => qr/errno=1049/);
sql_fault('no rights', 'REVOKE ALL ON todo.tasks FROM todo@localhost;
    REVOKE ALL ON todo.schema_migrations FROM todo@localhost',
    'GRANT SELECT, INSERT, UPDATE, DELETE ON todo.tasks TO todo@localhost;
    GRANT SELECT ON todo.schema_migrations TO todo@localhost', log => qr/errno=1142/);
sql_fault('read-only', 'SET GLOBAL read_only = 1', 'SET GLOBAL read_only = 0',
    log => qr/errno=1290/, reads => 1, ready => 200);
{
	my $lock;
	fault(  'locked by another session',
		sub {
			$lock = $stack->holding(
				'LOCK TABLES todo.tasks WRITE, todo.schema_migrations WRITE');
		},
		sub {
			my @idle = $stack->sql(
				"SELECT id FROM information_schema.processlist
		    WHERE user = 'root' AND id <> CONNECTION_ID() AND command = 'Sleep'");
		$stack->sql(join '; ', map { "KILL CONNECTION $_->[0]" } @idle);
	}, log => qr/errno=(?:1969|1205|2013)/, unknown => 1);
}

# A full disk: a small file system is mounted on the folder of the tables.
my $mounted;
END { system('umount', '-l', $mounted) if defined $mounted && $$ == $parent }
SKIP: {
	my $data = $stack->file('data/todo');
	skip 'only in the long form', 7 if !is_long();
	$stack->staging('db-stop');
	my $owner = join ':', (stat $data)[4, 5];
	rename $data, "$data.kept" or die $!;
	mkdir $data;
	if (system("mount -t tmpfs -o size=16m,mode=0700 none '$data' 2>/dev/null") != 0) {
		rmdir $data;
		rename "$data.kept", $data or die $!;
		$stack->staging('db-start');
		skip 'no right to mount', 7;
	}
	$mounted = $data;
	# No holes in files: writing to a hole needs room, and without room InnoDB dies.
	system("cp -a --sparse=never '$data.kept/.' '$data/' && chown -R $owner '$data'") == 0
	    or die 'cp';
	$stack->staging('db-start');
	poll { $user->get('/tasks')->status == 200 } 'the program answers on the small disk';
	$stack->sql("DELETE FROM todo.tasks WHERE $mine");
	my $full = $stack->file('data/todo/filler');
	my $from = $stack->log_lines;
	system("dd if=/dev/zero of='$full' bs=64k >/dev/null 2>&1");
	my ($slow, @made, %status) = (0);
	# Writes fill the table until it cannot grow. (InnoDB may search for room for so long
	# that nobody else is answered.)
	my $why = sub () {
		my @line = $stack->log_lines;
		(grep { /event=database .*errno=(?:1114|1021|1030|1026)/ } @line[$from .. $#line])
		    [0]
	};
	my $until = time + 90;
	for (my $n = 1; time < $until; $n++) {
		last if $n % 20 == 0 && ($status{503} // 0) >= 40 && $why->();
		my $start = time;
		my $answer = $user->post('/tasks',
			{ title => "full $n" . 'x' x 150, description => 'y' x 1000 });
		$status{ $answer->status }++;
		push @made, $answer->json->{id} if $answer->status == 201;
		$slow = time - $start if time - $start > $slow;
	}
	ok($status{503} && !grep({ !/\A(?:201|503)\z/ } keys %status),
		'disk full: writes are 201 or 503')
	    or diag(explain(\%status));
	cmp_ok($slow, '<', 2, sprintf 'disk full: each answer within 2 s (%.2f s)', $slow);
	$longest = $slow if $slow > $longest;
	my $line = $why->();
	ok($line, 'disk full: the log has the reason') and note($line =~ s/.*?event=/event=/r);
	poll { $user->get("/tasks/$made[-1]")->status == 200 } 'disk full: reads are answered'
	    and pass('disk full: reads are answered');
	my %there =
	    map { $_->[0] => 1 } $stack->sql("SELECT LOWER(HEX(id)) FROM todo.tasks WHERE $mine");
	is(scalar(grep { !$there{tr/-//dr} } @made), 0,
		'disk full: every acknowledged task is there');
	unlink $full;
	poll { $user->post('/tasks', { title => 'after' })->status == 201 }
	    'writes succeed once there is room', 1;
	pass('writes succeed once there is room');
	$faults++;
	$stack->staging('db-stop');
	system("cp -a '$data/.' '$data.kept/' && umount '$data'") == 0 or die 'umount';
	undef $mounted;
	rmdir $data;
	rename "$data.kept", $data or die $!;
	$stack->staging('db-start');
	poll { $user->get('/tasks')->status == 200 } 'the program answers on its own disk';
	pass('the program answers on its own disk');
}
figure('database outages', sprintf '%d kinds, %d clients on %d workers: the slowest answer'
    . ' took %.2f s, the last 503 was to a request %.2f s after the recovery',
    $faults, $WORKERS, $WORKERS, $longest, $latest);

# Faults in the answers of the server, made by a proxy. The proxy is a process of its own;
# a file tells it what to do.
my $dir = File::Temp->newdir;
my $order = "$dir/order";
my $order_path = $order;
sub order ($text) { spew($order_path, $text) }
my $execute = 0x17;
my $proxy = Proxy->new(
	path => "$dir/db.sock",
	to => $stack->file('run/mariadb.sock'),
	rule => sub ($s, $side, $packet) {
		my ($first, $size) = (ord substr($packet, 4, 1), length $packet);
		my $order = slurp_if_there($order);
		# In pieces, each after a short pause.
		if ($side eq 'server' && $order =~ /\Adrip (\S+)/ && hex $1 == ($s->{command} // 0))
		{
			unlink $order_path;
			my $piece = 1 + int $size / 14;
			return map { ($_, \0.3) } unpack "(a$piece)*", $packet;
		}
		if ($side eq 'client') {
			@$s{qw(command ends rows)} = ($first, 0, 0);
			sleep $1 if $order =~ /\Aslow (\S+)/;
			return $packet;
		}
		return $packet if ($s->{command} // 0) != $execute;
		my $end = $first == 0xfe && $size <= 9;
		$s->{ends}++ if $end;
		$s->{rows}++ if !$end && $s->{ends} == 1;
		if ($end && $s->{ends} == 2 && $order =~ /\Afail (\d+) (\S+)/) {
			unlink $order_path;
			return Proxy->error($packet, $1, $2, 'as the test wants');
		}
		if ($end && $s->{ends} == 2 && $order eq 'leave') {
			unlink $order_path;
			# Stopped meanwhile, the worker sees the answer and the end together.
			kill STOP => $s->{pid};
			exec 'sh', '-c', "sleep 0.1; kill -CONT $s->{pid}" if !fork;
			return ($packet, undef);
		}
		if ($s->{rows} == 2 && $order =~ /\A(cut|hang)/) {
			unlink $order_path;
			return undef if $1 eq 'cut';
			sleep 1.5;
		}
		return $packet;
	});

spew("$dir/todo.cnf", $stack->read('etc/todo.cnf') =~ s/^socket=.*/socket=$dir\/db.sock/mr);
my $worker = $stack->program->worker(TODO_DB_DEFAULTS_FILE => "$dir/todo.cnf");
my ($alice, $bob) = map { $stack->user(client => $stack->fastcgi($worker)) } 1 .. 2;
poll { $alice->get('/tasks')->status == 200 } 'a worker behind the proxy answers';
$alice->task("alice $_") for 1 .. 4;
my $own = $alice->task('alice');
$bob->task("bob $_") for 1 .. 4;

for (['1969 70100', 'statement ended'], ['1114 HY000', 'disk full']) {
	my ($error, $why) = @$_;
	order("fail $error");
	my $answer =
	    $alice->post('/tasks', { title => $why }, { 'Idempotency-Key' => 'after-the-row' });
	refuses($answer, unavailable => "an error after the row of an INSERT ($why)");
	poll { $alice->get('/tasks')->status == 200 } 'the worker answers again';
}
# A connection without a selected database, which a lack of memory can cause, is dropped.
{
	my $connected = sub () { scalar(() = $worker->log =~ /event=database step=connected/g) };
	my $before = $connected->();
	order('fail 1046 3D000');
	refuses($alice->post('/tasks', { title => 'nowhere' }, { 'Idempotency-Key' => 'nowhere' }),
		unavailable => 'no database selected');
	poll { $alice->get('/tasks')->status == 200 } 'the worker answers again';
	is($connected->(), $before + 1,
		'no database selected: the worker makes another connection');
}
order('fail 1213 40001');
my $won =
    $alice->post('/tasks', { title => 'deadlock' }, { 'Idempotency-Key' => 'deadlocked-once' });
answers($won, 201,
    'a statement that ended in a deadlock is repeated');
poll {
	my $a = $alice->post('/tasks', { title => 'deadlock' },
		{ 'Idempotency-Key' => 'deadlocked-once' });
	$a->status == 201 && $a->json->{id}
} 'the task with that key is there';
my ($tasks) = $stack->sql("SELECT COUNT(*) FROM todo.tasks
    WHERE user_id = '@{[$alice->id]}' AND title = 'deadlock'");
is($tasks->[0], 1, 'a repeated statement was done once');

for my $way (qw(cut hang)) {
	order($way);
	my $start = time;
	refuses($alice->get('/tasks'),
		unavailable => "$way in the middle of a list");
	cmp_ok(time - $start, '<', 2, "$way in the middle of a list: within 2 s");
	my @theirs = map {
		my $a = $bob->get('/tasks');
		sleep 0.15;
		$a->status == 200 ? map { $_->{title} } $a->json->@* : ()
	} 1 .. 8;
	ok(@theirs && !(grep { /alice/ } @theirs),
		"$way in the middle of a list: no other user gets the rest");
	sleep 0.6;
}
# Between the two statements of a write: the second must not run on another connection,
# where the first has locked nothing.
order('leave');
refuses($alice->put("/tasks/$own->{id}", { title => 'left' }),
	unavailable => 'a connection that is lost within a transaction');
my $now = poll { my $now = $alice->get("/tasks/$own->{id}"); $now->status == 200 && $now }
    'the worker answers again';
is($now->json->{title}, 'alice', 'a lost transaction changes nothing');
for (['the first packet of a connection', 0], ['the answer to BEGIN', 3],
	['the answer to a statement', $execute])
{
	my ($what, $command) = @$_;
	cut_connections($stack) if !$command;
	order(sprintf 'drip %x', $command);
	my $start = time;
	refuses($alice->put("/tasks/$own->{id}", { title => "drip $command" }),
		unavailable => "$what comes in small pieces");
	my $took = time - $start;
	cmp_ok($took, '<', 2, sprintf '%s comes in small pieces: within 2 s (%.2f s)', $what,
		$took);
	poll { $alice->get('/tasks')->status == 200 } 'the worker answers again';
}
ok(!(grep { /event=database .*errno=0/ } split /\n/, $worker->log),
	'each failure has its error number in the log');

# A database that answers each step in time, but all steps of a request too late.
my $slowest = 0;
for my $step (is_long() ? (0.1, 0.45, 0.7, 0.95) : 0.1) {
	order("slow $step");
	# New connections: each request also has to connect and to prepare.
	cut_connections($stack);
	for my $request (['GET', '/tasks'],
		['PUT', "/tasks/$own->{id}", {}, { title => "slow $step" }],
		['POST', '/tasks', { 'Idempotency-Key' => "slow$step" }, { title => 's' }],
		['PATCH', "/tasks/$own->{id}/complete"])
	{
		my $status;
		for my $try (1 .. 6) {
			my $start = time;
			$status = $alice->request(@$request)->status;
			my $took = time - $start;
			$slowest = $took if $took > $slowest;
			ok(($status < 300 || $status == 503) && $took < 2,
				sprintf '%g s a step: %s is %d in %.2f s', $step, $request->[0],
				$status, $took);
			last if $status < 300 || $step > 0.2;
			sleep 0.2; # the worker may answer 503 without a try
		}
		cmp_ok($status, '<', 300, "$step s a step: $request->[0] succeeds in the end")
		    if $step < 0.2;
	}
}
unlink $order;
poll { $alice->get('/tasks')->status == 200 } 'the worker answers without delays';

# A write that has no time left for its commit is rolled back: begin, lock and change
# together take longer than a request may start another step.
answers($alice->put("/tasks/$own->{id}", { title => 'early' }), 200,
	'a write that prepares all its statements');
order('slow 0.35');
refuses($alice->put("/tasks/$own->{id}", { title => 'late' }),
	unavailable => 'a write without time for its commit');
unlink $order;
poll {
	my $now = $alice->get("/tasks/$own->{id}");
	$now->status == 200 && $now->json->{title} eq 'early'
} 'a write without time for its commit was not done';
figure('slow database', sprintf 'the slowest answer took %.2f s', $slowest);
undef $worker;

# Over TLS, where the library waits in another way; and over TCP, where some of several
# hosts do not answer.
sub listener ($backlog) {
	socket my $s, AF_INET, SOCK_STREAM, 0 or die $!;
	bind $s, pack_sockaddr_in(0, INADDR_LOOPBACK) or die $!;
	listen $s, $backlog or die $! if defined $backlog;
	return $s, (unpack_sockaddr_in(getsockname $s))[0];
}
if (is_long()) {
	$stack->staging('db-stop');
	my ($free, $port) = listener(undef);
	close $free;
	my $pid = fork // die $!;
	if (!$pid) {
		open STDOUT, '>>', $stack->file('log/mariadb.log') or POSIX::_exit(126);
		open STDERR, '>&', \*STDOUT or POSIX::_exit(126);
		my $d = $stack->dir;
		{
			exec 'mariadbd', '--no-defaults',
			    '--user=' . getpwuid((stat "$d/data")[4]),
			    qw(--skip-name-resolve --bind-address=127.0.0.1), "--port=$port",
			    "--datadir=$d/data", "--tmpdir=$d/tmp", "--socket=$d/run/tls.sock",
			    "--ssl-cert=$d/etc/cert.pem", "--ssl-key=$d/etc/key.pem"
		};
		POSIX::_exit(127);
	}
	my $socket = $stack->file('run/tls.sock');
	my $conf = $stack->read('etc/todo.cnf') =~ s/^socket=.*/socket=$socket/mr;
	my $ca = $stack->file('etc/ca.pem');
	spew("$dir/tls.cnf", "${conf}ssl-ca=$ca\nssl-verify-server-cert\n");
	my $worker = $stack->program->worker(TODO_DB_DEFAULTS_FILE => "$dir/tls.cnf");
	my $me = $user->with(client => $stack->fastcgi($worker));
	poll { $me->get('/tasks')->status == 200 } 'a worker with a database over TLS answers';
	freeze($pid);
	for my $request (reads(), writes('TLS')) {
		my $start = time;
		refuses($me->request(@$request), unavailable => "frozen, over TLS: $request->[0]");
		my $took = time - $start;
		cmp_ok($took, '<', 2,
		    sprintf 'frozen, over TLS: %s within 2 s (%.2f s)', $request->[0], $took);
	}
	kill CONT => $pid;
	poll { $me->get('/tasks')->status == 200 } 'the worker answers over TLS again', 1;
	undef $worker;

	# A host with a full backlog: connecting gets no answer.
	my ($hole, $there) = listener(0);
	my @waiting = map {
		socket my $s, AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0 or die $!;
		connect $s, pack_sockaddr_in($there, INADDR_LOOPBACK);
		$s
	} 1 .. 4;
	my ($refusing, $nobody) = listener(undef);
	my $admin = "mariadb --no-defaults --socket='$socket' --user=root --batch"
	    . ' --skip-column-names';
	my $grant = "CREATE USER todo\@127.0.0.1 IDENTIFIED BY 'todo';"
	    . ' GRANT SELECT, INSERT, UPDATE, DELETE ON todo.* TO todo@127.0.0.1';
	system("$admin --execute \"$grant\"") == 0 or die;
	my $hosts = join ',', map { "127.0.0.1:$_" } $nobody, $there, $port;
	spew("$dir/hosts.cnf",
	    "[todo]\nhost=$hosts\nuser=todo\npassword=todo\ndatabase=todo\n");
	$worker = $stack->program->worker(TODO_DB_DEFAULTS_FILE => "$dir/hosts.cnf");
	$me = $user->with(client => $stack->fastcgi($worker));
	poll { $me->get('/tasks')->status == 200 }
	    'a worker with three hosts answers, one of which is a database';
	for my $round (1 .. 3) {
		my $kill = "SELECT CONCAT('KILL CONNECTION ', id, ';')"
		    . " FROM information_schema.processlist WHERE user = 'todo'";
		system("$admin --execute \"$kill\" | $admin") == 0 or die;
		my $start = time;
		my $first = $me->get('/tasks')->status;
		ok(
			($first == 200 || $first == 503) && time - $start < 2,
			sprintf 'three hosts, connection cut: %d within 2 s (%.2f s)', $first,
			time - $start);
		is($me->get('/tasks')->status, 200,
			'three hosts, connection cut: the next request is answered');
	}
	undef $worker;
	kill TERM => $pid;
	waitpid $pid, 0;
}

$stack->done;
