# Goal: each way in which a database fails is a 503 within 2 s and a clear line
# in the log, with as many clients as workers, and no 5xx a second after it is
# well again. And what it takes back after it began to answer is not told as done.

use v5.36;
use FindBin;
use lib "$FindBin::Bin/../lib";
use File::Temp;
use JSON::PP ();
use POSIX ();
use Socket
    qw(AF_INET AF_UNIX INADDR_LOOPBACK SOCK_STREAM SOCK_NONBLOCK pack_sockaddr_in pack_sockaddr_un unpack_sockaddr_in);
use Test::More;
use Time::HiRes qw(time sleep);
use Facts;
use Faults;
use Proxy;
use Stack;

my $WORKERS = 4;
my $parent = $$;
my $stack = Stack->new(private => 1, env => { STAGING_WORKERS => $WORKERS });
$stack->allow_status(503);
$stack->expect_log(qr/event=database/, qr/status=503/, qr/event=start .*without the database/);
my $user = $stack->user;
my ($task, $kept);
my $none = '01900000-0000-7000-8000-000000000000';

# Connections made before the fault say little about it: the program's are cut.
sub cut_all ($first = 'DO 0') {
	my @id = map { $_->[0] }
	    $stack->sql("SELECT id FROM information_schema.processlist WHERE user = 'todo'");
	$stack->sql(join '; ', $first, map { "KILL CONNECTION $_" } @id);
}

# Stands still, with each of its threads.
sub freeze ($pid) {
	kill STOP => $pid;
	poll {
		!grep { slurp($_) !~ /^State:\s+T/m } glob "/proc/$pid/task/*/status"
	}
	'it stands still';
}

# What one client asks in the round `n`: reads, and writes that leave a trace.
sub reads () { (['GET', '/tasks'], ['HEAD', '/tasks'], ['GET', '/tasks?sort=title&status=pending'],
	['GET', "/tasks/$task->{id}"]) }
sub writes ($n) {
	return (['POST', '/tasks', {}, { title => "lost $n" }],
		[
			'POST', '/tasks', { 'Idempotency-Key' => "lost-$n" =~ tr/ /-/r },
			{ title => "lost with a key $n" }
		],
		['PUT', "/tasks/$task->{id}", {}, { title => "put $n" }],
		['PATCH', "/tasks/$task->{id}", {}, { description => "lost $n" }],
		['PATCH', "/tasks/$task->{id}/complete"],
		['DELETE', "/tasks/$none"],
		['DELETE', "/tasks/$kept->{id}", { 'If-Match' => '*' }]);
}
my ($longest, $latest, $faults) = (0, 0, 0);
my $mine = "user_id = '" . $user->id . "'";

# One fault. log: what a line about it holds; reads => 1: these go on; unknown => 1:
# what is refused may have been done, once; ready: what /readyz says; short => 1: it
# is in the short form too (t/program/database.t has the others, but for their times).
sub fault ($name, $break, $mend, %o) {
	return if !$o{short} && !is_long();
	# What is read and written is of this fault's own.
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
			$ask->( 401,
				[
					'PUT', "/tasks/$task->{id}",
					{ Authorization => undef }, { title => 'lost' }
				]);
			push @wrong, 'healthz'
			    if $me->{client}->send('GET', '/healthz')->status != 200;
		}
		my $ready = $me->{client}->send('GET', '/readyz')->status;
		push @wrong, "readyz: $ready" if $ready != ($o{ready} // 503);
		return [$slow, \@wrong];
	});
	my @wrong = map { $_->[1]->@* } @seen;
	is_deeply(\@wrong, [], "$name: every answer is what it should be")
	    or diag("@wrong[0 .. ($#wrong > 9 ? 9 : $#wrong)]");
	my ($slow) = sort { $b <=> $a } map { $_->[0] } @seen;
	cmp_ok($slow, '<', 2, sprintf 'within 2 s (%.2f s)', $slow);
	$longest = $slow if $slow > $longest;
	my @line = $stack->log_lines;
	my ($line) = grep { /event=database/ && /$o{log}/ } @line[$from .. $#line];
	ok($line, 'the log says why') and note($line =~ s/.*?event=/event=/r);

	# Asked without a pause while it gets well: when was the last failure?
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
				$end = -e $well ? slurp($well) + 1.8 : $end;
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
	open my $f, '>', "$well.new" or die $!;
	print {$f} $at;
	close $f;
	rename "$well.new", $well or die $!;
	my $each = JSON::PP::decode_json(do { local $/; <$asking> } || '[[0]]');
	close $asking;
	unlink $well;
	ok(!(grep { shift @$_ < 3 } @$each), 'it was asked meanwhile');
	my ($last) = sort { $b->[0] <=> $a->[0] } [0, 'none'],
	    map { [$_->[0] - $at, $_->[1]] } map { @$_ } @$each;
	$latest = $last->[0] if $last->[0] > $latest;
	cmp_ok($last->[0], '<', 1,
		sprintf 'and nothing that is asked a second after it is well fails (%.2f s)',
		$last->[0])
	    or diag(explain($last));
	is($user->with(client => $stack->new_client)->{client}->send('GET', '/readyz')->status,
		200, 'it is ready');

	# What was refused.
	my ($revision) =
	    map { $_->[0] }
	    $stack->sql(
		"SELECT revision FROM todo.tasks WHERE $mine AND (title = 'before' OR title LIKE 'put%')"
	    );
	my @times =
	    map { $_->[0] }
	    $stack->sql(
		"SELECT COUNT(*) FROM todo.tasks WHERE $mine AND title LIKE 'lost%' GROUP BY title"
	    );
	if ($o{unknown}) {
		is_deeply([grep { $_ != 1 } @times], [],
			'what was refused was done once or not at all');
		cmp_ok($revision, '<=', 1 + 3 * $rounds * $WORKERS,
			'and no task was changed more often than was asked');
	} else {
		is_deeply([$revision, @times], [1], 'what was refused was not done');
		is($user->get("/tasks/$kept->{id}")->status, 200, 'nor deleted');
	}
	$faults++;
}

# Its grant is by password; nothing else of the account changes.
my $hash = (
	$stack->sql(
		"SELECT authentication_string FROM mysql.global_priv, JSON_TABLE(priv, '\$' COLUMNS (authentication_string TEXT PATH '\$.authentication_string')) AS j WHERE user = 'todo'"
	)
)[0][0];

fault('stopped', sub { $stack->staging('db-stop') }, sub { $stack->staging('db-start') },
	log => qr/errno=200[236]|errno=2013/);
fault('frozen', sub { freeze($stack->pid('mariadb')) },
	sub { kill CONT => $stack->pid('mariadb') }, log => qr/errno=2013/, unknown => 1,
	short => 1);

# Nobody accepts, and those who waited to be accepted have left nobody room to wait.
{
	my @waiting;
	fault(  'frozen, its backlog full',
		sub {
			freeze($stack->pid('mariadb'));
			while (@waiting < 5000) {
				socket my $s, AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0 or die $!;
				connect $s, pack_sockaddr_un($stack->file('run/mariadb.sock'))
				    or last;
				push @waiting, $s;
			}
			note(scalar(@waiting) . ' wait');
		},
		sub { @waiting = (); kill CONT => $stack->pid('mariadb') },
		log => qr/errno=20(?:02|13)/,
		unknown => 1);
}

# The server keeps one connection for its administrator. (Those that are held here
# cannot be let go while processes of this one run, which hold them too.)
my @held;
fault('out of connections', sub {
	@held = map { $stack->holding('SELECT 1') } 1 .. 10;
	cut_all('SET GLOBAL max_connections = 10');
}, sub { $stack->sql('SET GLOBAL max_connections = 151') }, log => qr/errno=1040/, short => 1);
@held = ();

fault(  'wrong password',
	sub { $stack->sql("ALTER USER todo\@localhost IDENTIFIED BY 'another'"); cut_all() },
	sub { $stack->sql("ALTER USER todo\@localhost IDENTIFIED BY PASSWORD '$hash'") },
	log => qr/errno=1045/, short => 1);
fault(  'no schema',
	sub {
		$stack->sql(
			'RENAME TABLE todo.tasks TO todo.away, todo.schema_migrations TO todo.away2'
		)
	},
	sub {
		$stack->sql(
			'RENAME TABLE todo.away TO todo.tasks, todo.away2 TO todo.schema_migrations'
		)
	},
	log => qr/errno=1146/);
fault(  'no database',
	sub {
		$stack->sql(
			'CREATE DATABASE away; RENAME TABLE todo.tasks TO away.tasks, todo.schema_migrations TO away.schema_migrations; DROP DATABASE todo'
		);
		cut_all();
	},
	sub {
		$stack->sql(
			'CREATE DATABASE todo; RENAME TABLE away.tasks TO todo.tasks, away.schema_migrations TO todo.schema_migrations; DROP DATABASE away'
		);
	},
	log => qr/errno=1049/);
fault(  'no rights',
	sub {
		$stack->sql(
			'REVOKE ALL ON todo.tasks FROM todo@localhost; REVOKE ALL ON todo.schema_migrations FROM todo@localhost'
		)
	},
	sub {
		$stack->sql(
			'GRANT SELECT, INSERT, UPDATE, DELETE ON todo.tasks TO todo@localhost; GRANT SELECT ON todo.schema_migrations TO todo@localhost'
		)
	},
	log => qr/errno=1142/);
fault(  'read-only', sub { $stack->sql('SET GLOBAL read_only = 1') },
	sub { $stack->sql('SET GLOBAL read_only = 0') },
	log => qr/errno=1290/, reads => 1, ready => 200);
{
	my $lock;
	fault(  'locked by somebody',
		sub {
			$lock = $stack->holding(
				"LOCK TABLES todo.tasks WRITE, todo.schema_migrations WRITE")
		},
		sub {
			$stack->sql(
				join '; ',
				map { "KILL CONNECTION $_->[0]" } $stack->sql(
					"SELECT id FROM information_schema.processlist WHERE user = 'root' AND id <> CONNECTION_ID() AND command = 'Sleep'"
				))
		},
		log => qr/errno=(?:1969|1205|2013)/,
		unknown => 1);
}

# A disk that is full: the folder of the tables is a small one of its own.
my $mounted;
END { system('umount', '-l', $mounted) if defined $mounted && $$ == $parent }
SKIP: {
	my $data = $stack->file('data/todo');
	skip 'in the long form', 7 if !is_long();
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
	# A hole in a file would need room when it is written to, and of that InnoDB dies.
	system("cp -a --sparse=never '$data.kept/.' '$data/' && chown -R $owner '$data'") == 0
	    or die 'cp';
	$stack->staging('db-start');
	poll { $user->get('/tasks')->status == 200 } 'on the small disk';
	$stack->sql("DELETE FROM todo.tasks WHERE $mine");
	my $full = $stack->file('data/todo/filler');
	my $from = $stack->log_lines;
	system("dd if=/dev/zero of='$full' bs=64k >/dev/null 2>&1");
	my ($slow, @made, %status) = (0);
	# There is room left in the table itself: until there is none. (InnoDB may try for
	# so long to find some that nobody else gets through to it.)
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
		'disk full: writes are 503, and no 500')
	    or diag(explain(\%status));
	cmp_ok($slow, '<', 2, sprintf 'within 2 s (%.2f s)', $slow);
	$longest = $slow if $slow > $longest;
	my $line = $why->();
	ok($line, 'the log says why') and note($line =~ s/.*?event=/event=/r);
	poll { $user->get("/tasks/$made[-1]")->status == 200 } 'reads go on'
	    and pass('reads go on');
	my %there =
	    map { $_->[0] => 1 } $stack->sql("SELECT LOWER(HEX(id)) FROM todo.tasks WHERE $mine");
	is(scalar(grep { !$there{tr/-//dr} } @made), 0, 'and what was acknowledged is there');
	unlink $full;
	poll { $user->post('/tasks', { title => 'after' })->status == 201 }
	'writes when there is room again', 1;
	pass('writes go on when there is room again');
	$faults++;
	$stack->staging('db-stop');
	system("cp -a '$data/.' '$data.kept/' && umount '$data'") == 0 or die 'umount';
	undef $mounted;
	rmdir $data;
	rename "$data.kept", $data or die $!;
	$stack->staging('db-start');
	poll { $user->get('/tasks')->status == 200 } 'on its own disk again';
	pass('on its own disk again');
}
figure('database outages',
	sprintf
	    '%d kinds, %d clients on %d workers: the slowest answer took %.2f s, the last 503 was to a request %.2f s after it was well',
	$faults, $WORKERS, $WORKERS, $longest, $latest);

# What comes back over the wire, and when. The rule is a process of its own, told by a file.
my $dir = File::Temp->newdir;
my $order = "$dir/order";
my $order_path = $order;
sub order ($text) {
	open my $f, '>', "$order.new" or die $!;
	print {$f} $text;
	close $f;
	rename "$order.new", $order or die $!
}
my $execute = 0x17;
my $proxy = Proxy->new(
	path => "$dir/db.sock",
	to => $stack->file('run/mariadb.sock'),
	rule => sub ($s, $side, $packet) {
		my ($first, $size) = (ord substr($packet, 4, 1), length $packet);
		my $order = slurp($order);
		# In pieces, none of which keeps anybody waiting for long.
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
			return Proxy->error($packet, $1, $2, 'as the test wills');
		}
		if ($end && $s->{ends} == 2 && $order eq 'leave') {
			unlink $order_path;
			# Stopped meanwhile, it can see both, the answer and the end.
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

open my $conf, '>', "$dir/todo.cnf" or die $!;
print {$conf} $stack->read('etc/todo.cnf') =~ s/^socket=.*/socket=$dir\/db.sock/mr;
close $conf;
my $worker = $stack->program->worker(TODO_DB_DEFAULTS_FILE => "$dir/todo.cnf");
my ($alice, $bob) = map { $stack->user(client => $stack->fastcgi($worker)) } 1 .. 2;
poll { $alice->get('/tasks')->status == 200 } 'a worker behind the go-between';
$alice->task("alice $_") for 1 .. 4;
my $own = $alice->task('alice');
$bob->task("bob $_") for 1 .. 4;

for (['1969 70100', 'the statement was ended'], ['1114 HY000', 'the disk was full']) {
	my ($error, $why) = @$_;
	order("fail $error");
	my $answer =
	    $alice->post('/tasks', { title => $why }, { 'Idempotency-Key' => 'after-the-row' });
	refuses($answer, unavailable => "an error behind the row of an INSERT ($why) is 503");
	poll { $alice->get('/tasks')->status == 200 } 'and all goes on';
}
# A connection that was made without its database, for want of memory, is no good.
{
	my $connected = sub () { scalar(() = $worker->log =~ /event=database step=connected/g) };
	my $before = $connected->();
	order('fail 1046 3D000');
	refuses($alice->post('/tasks', { title => 'nowhere' }, { 'Idempotency-Key' => 'nowhere' }),
		unavailable => 'no database selected is 503');
	poll { $alice->get('/tasks')->status == 200 } 'and all goes on';
	is($connected->(), $before + 1, 'on another connection');
}
order('fail 1213 40001');
my $won =
    $alice->post('/tasks', { title => 'deadlock' }, { 'Idempotency-Key' => 'deadlocked-once' });
answers($won, 201, 'a deadlock is tried again');
poll {
	my $a = $alice->post('/tasks', { title => 'deadlock' },
		{ 'Idempotency-Key' => 'deadlocked-once' });
	$a->status == 201 && $a->json->{id}
}
'with its key it is one task';
is(
	scalar(
		grep { $_->[0] eq 'deadlock' } $stack->sql(
			"SELECT title FROM todo.tasks WHERE user_id = '" . $alice->id . "'")
	),
	1,
	'not two');

for my $way (qw(cut hang)) {
	order($way);
	my $start = time;
	refuses($alice->get('/tasks'),
		unavailable => "$way in the middle of a list: 503, not half a list");
	cmp_ok(time - $start, '<', 2, 'within 2 s');
	my @theirs = map {
		my $a = $bob->get('/tasks');
		sleep 0.15;
		$a->status == 200 ? map { $_->{title} } $a->json->@* : ()
	} 1 .. 8;
	ok(@theirs && !(grep { /alice/ } @theirs), 'and nobody gets the rest of it');
	sleep 0.6;
}
# Between the two statements of a write: the second may not be run on another
# connection, where the first has locked nothing.
order('leave');
refuses($alice->put("/tasks/$own->{id}", { title => 'left' }),
	unavailable => 'a connection that is lost within a transaction: 503');
my $now = poll { my $now = $alice->get("/tasks/$own->{id}"); $now->status == 200 && $now }
'and all goes on';
is($now->json->{title}, 'alice', 'but nothing is done');
for (['the first packet of a connection', 0], ['the answer to BEGIN', 3],
	['to a statement', $execute])
{
	my ($what, $command) = @$_;
	cut_all() if !$command;
	order(sprintf 'drip %x', $command);
	my $start = time;
	refuses($alice->put("/tasks/$own->{id}", { title => "drip $command" }),
		unavailable => "$what comes in drops: 503");
	my $took = time - $start;
	cmp_ok($took, '<', 2, sprintf 'within 2 s (%.2f s)', $took);
	poll { $alice->get('/tasks')->status == 200 } 'and all goes on';
}
ok(!(grep { /event=database .*errno=0/ } split /\n/, $worker->log),
	'each failure has its number in the log');

# A database that answers each step in time but not the whole of a request.
my $slowest = 0;
for my $step (is_long() ? (0.1, 0.45, 0.7, 0.95) : 0.1) {
	order("slow $step");
	# Anew: what has been connected and prepared for one request is the next one's.
	cut_all();
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
			sleep 0.2;    # it may be told so without being tried
		}
		cmp_ok($status, '<', 300, "$request->[0] comes to its end") if $step < 0.2;
	}
}
unlink $order;
poll { $alice->get('/tasks')->status == 200 } 'and well again';

# What has used up its time before its commit is undone: begin, lock and change
# take longer together than a request may begin another step.
answers($alice->put("/tasks/$own->{id}", { title => 'early' }), 200,
	'a write, with all statements prepared');
order('slow 0.35');
refuses($alice->put("/tasks/$own->{id}", { title => 'late' }),
	unavailable => 'no time is left to commit the next');
unlink $order;
poll {
	my $now = $alice->get("/tasks/$own->{id}");
	$now->status == 200 && $now->json->{title} eq 'early'
}
'and it is not done';
figure('slow database', sprintf 'the slowest answer took %.2f s', $slowest);
undef $worker;

# Over TLS, where the library waits in a way of its own; and over TCP, where one of
# several hosts may be one that nothing comes back from.
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
		open STDERR, '>&', \*STDOUT;
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
	my $conf =
	    $stack->read('etc/todo.cnf') =~
	    s/^socket=.*/'socket=' . $stack->file('run\/tls.sock')/emr
	    . "ssl-ca="
	    . $stack->file('etc/ca.pem')
	    . "\nssl-verify-server-cert\n";
	open my $f, '>', "$dir/tls.cnf" or die $!;
	print {$f} $conf;
	close $f;
	my $worker = $stack->program->worker(TODO_DB_DEFAULTS_FILE => "$dir/tls.cnf");
	my $me = $user->with(client => $stack->fastcgi($worker));
	poll { $me->get('/tasks')->status == 200 } 'a worker whose database speaks TLS';
	freeze($pid);
	for my $request (reads(), writes('TLS')) {
		my $start = time;
		refuses($me->request(@$request), unavailable => "frozen, over TLS: $request->[0]");
		my $took = time - $start;
		cmp_ok($took, '<', 2, sprintf 'within 2 s (%.2f s)', $took);
	}
	kill CONT => $pid;
	poll { $me->get('/tasks')->status == 200 } 'and well again', 1;
	undef $worker;

	# Its backlog is full: who wants to connect hears nothing.
	my ($hole, $there) = listener(0);
	my @waiting = map {
		socket my $s, AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0 or die $!;
		connect $s, pack_sockaddr_in($there, INADDR_LOOPBACK);
		$s
	} 1 .. 4;
	my ($refusing, $nobody) = listener(undef);
	my $admin =
	    "mariadb --no-defaults --socket='@{[$stack->file('run/tls.sock')]}' --user=root --batch --skip-column-names";
	system( "$admin --execute \"CREATE USER todo\@127.0.0.1 IDENTIFIED BY 'todo'; GRANT SELECT, INSERT, UPDATE, DELETE ON todo.* TO todo\@127.0.0.1\""
	) == 0 or die;
	open $f, '>', "$dir/hosts.cnf" or die $!;
	print {$f}
	    "[todo]\nhost=127.0.0.1:$nobody,127.0.0.1:$there,127.0.0.1:$port\nuser=todo\npassword=todo\ndatabase=todo\n";
	close $f;
	$worker = $stack->program->worker(TODO_DB_DEFAULTS_FILE => "$dir/hosts.cnf");
	$me = $user->with(client => $stack->fastcgi($worker));
	poll { $me->get('/tasks')->status == 200 }
	'a worker with three hosts, of which one answers';
	for my $round (1 .. 3) {
		system( "$admin --execute \"SELECT CONCAT('KILL CONNECTION ', id, ';') FROM information_schema.processlist WHERE user = 'todo'\" | $admin"
		) == 0 or die;
		my $start = time;
		my $first = $me->get('/tasks')->status;
		ok(($first == 200 || $first == 503) && time - $start < 2,
			sprintf 'cut from it: %d within 2 s (%.2f s)', $first, time - $start);
		is($me->get('/tasks')->status, 200, 'and the next request is answered');
	}
	undef $worker;
	kill TERM => $pid;
	waitpid $pid, 0;
}

$stack->done;
