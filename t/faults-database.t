# Goal: each way in which a database fails is a 503 within 2 s and a clear line
# in the log, with as many clients as workers, and no 5xx a second after it is
# well again. And what it takes back after it began to answer is not told as done.

use v5.36;
use FindBin;
use lib "$FindBin::Bin/lib", "$FindBin::Bin/faults";
use File::Temp;
use Test::More;
use Time::HiRes qw(time sleep);
use Facts;
use Faults;
use Proxy;
use Stack;

my $WORKERS = 4;
my $stack = Stack->new(private => 1, env => { STAGING_WORKERS => $WORKERS });
$stack->allow_status(503);
$stack->expect_log(qr/event=database/, qr/status=503/, qr/event=start .*without the database/);
my $user = $stack->user;
my $task = $user->task('before');
my $none = '01900000-0000-7000-8000-000000000000';

# Connections made before the fault say little about it: the program's are cut.
sub cut_all ($first = 'DO 0') {
	my @id = map { $_->[0] } $stack->sql("SELECT id FROM information_schema.processlist WHERE user = 'todo'");
	$stack->sql(join '; ', $first, map { "KILL CONNECTION $_" } @id);
}

my @reads = (['GET', '/tasks'], ['HEAD', '/tasks'], ['GET', '/tasks?sort=title&status=pending'], ['GET', "/tasks/$task->{id}"]);
my @writes = (['POST', '/tasks', {}, { title => 'lost' }], ['POST', '/tasks', { 'Idempotency-Key' => 'lost' }, { title => 'lost' }],
    ['PUT', "/tasks/$task->{id}", {}, { title => 'lost' }], ['PATCH', "/tasks/$task->{id}", {}, { completed => true }],
    ['PATCH', "/tasks/$task->{id}/complete"], ['DELETE', "/tasks/$none"], ['DELETE', "/tasks/$task->{id}", { 'If-Match' => '*' }]);
my ($longest, $faults) = (0, 0);

# One fault. log: what a line about it holds; reads => 1: these go on; short: it
# is in the short form too (t/database.t has the others, but for their times).
sub fault ($name, $break, $mend, %o) {
	return if !$o{short} && !is_long();
	my $from = $stack->log_lines;
	$break->();
	my @seen = in_parallel($stack, $WORKERS, sub ($i) {
		my $me = $user->with(client => $stack->new_client(timeout => 10));
		my (@wrong, $slow);
		for (1 .. long(1, 5)) {
			for my $request (($o{reads} ? () : @reads), @writes) {
				my $start = time;
				my $status = $me->request(@$request)->status;
				my $took = time - $start;
				$slow = $took if $took > ($slow // 0);
				push @wrong, "$request->[0] $request->[1]: $status" if $status != ($o{status} // 503);
			}
			push @wrong, 'bad token' if $me->with(token => 'a.b.c')->get('/tasks')->status != 401;
			push @wrong, 'healthz' if $me->{client}->send('GET', '/healthz')->status != 200;
			push @wrong, 'me' if $me->get('/api/me')->status != 200;
			push @wrong, map { my $status = $me->request(@$_)->status; $status == 200 ? () : "$_->[0] $_->[1]: $status" } $o{reads} ? @reads : ();
		}
		my $ready = $me->{client}->send('GET', '/readyz')->status;
		push @wrong, "readyz: $ready" if $ready != ($o{ready} // 503);
		return [$slow, \@wrong];
	});
	my @wrong = map { $_->[1]->@* } @seen;
	is_deeply(\@wrong, [], "$name: every answer is what it should be") or diag("@wrong[0 .. ($#wrong > 9 ? 9 : $#wrong)]");
	my ($slow) = sort { $b <=> $a } map { $_->[0] } @seen;
	cmp_ok($slow, '<', 2, sprintf 'within 2 s (%.2f s)', $slow);
	$longest = $slow if $slow > $longest;
	my @line = ($stack->log_lines)[$from .. scalar(my @l = $stack->log_lines) - 1];
	my ($line) = grep { defined && /event=database/ && /$o{log}/ } @line;
	ok($line, 'the log says why') and note($line =~ s/.*?event=/event=/r);
	$mend->();
	my $well = time;
	sleep 1 - (time - $well) while time - $well < 1;
	my @after = map { @$_ } in_parallel($stack, $WORKERS, sub ($i) {
		my $me = $user->with(client => $stack->new_client(timeout => 10));
		return [map { my $a = $me->post('/tasks', { title => 'after' });
			($a->status, $me->get('/tasks')->status, $a->status == 201 ? $me->delete('/tasks/' . $a->json->{id})->status : ()) } 1 .. 5];
	});
	is_deeply([grep { $_ >= 300 } @after], [], 'and a second after it is well nothing fails');
	is(scalar(grep { $_->[0] eq 'lost' } $stack->sql("SELECT title FROM todo.tasks WHERE user_id = '" . $user->id . "'")), 0, 'what was refused was not done') if !$o{unknown};
	# What was sent into a freeze may have been done: unknown means that.
	$stack->sql("DELETE FROM todo.tasks WHERE user_id = '" . $user->id . "'");
	$task = $user->task('before');
	for (@reads, @writes) { $_->[1] =~ s{/tasks/(?!$none)[0-9a-f]{8}-[-0-9a-f]{27}}{/tasks/$task->{id}} }
	$faults++;
}

# Its grant is by password; nothing else of the account changes.
my $hash = ($stack->sql("SELECT authentication_string FROM mysql.global_priv, JSON_TABLE(priv, '\$' COLUMNS (authentication_string TEXT PATH '\$.authentication_string')) AS j WHERE user = 'todo'"))[0][0];

fault('stopped', sub { $stack->staging('db-stop') }, sub { $stack->staging('db-start') }, log => qr/errno=200[236]|errno=2013/);
fault('frozen', sub { kill STOP => $stack->pid('mariadb') }, sub { kill CONT => $stack->pid('mariadb') }, log => qr/errno=2013/, unknown => 1, short => 1);

# The server keeps one connection for its administrator.
my @held;
fault('out of connections', sub {
	@held = map { $stack->holding('SELECT 1') } 1 .. 10;
	cut_all('SET GLOBAL max_connections = 10');
}, sub {
	@held = ();
	poll { $stack->sql('SET GLOBAL max_connections = 151'); 1 } 'room for connections';
}, log => qr/errno=1040/, short => 1);

fault('wrong password', sub { $stack->sql("ALTER USER todo\@localhost IDENTIFIED BY 'another'"); cut_all() },
    sub { $stack->sql("ALTER USER todo\@localhost IDENTIFIED BY PASSWORD '$hash'") }, log => qr/errno=1045/, short => 1);
fault('no schema', sub { $stack->sql('RENAME TABLE todo.tasks TO todo.away, todo.schema_migrations TO todo.away2') },
    sub { $stack->sql('RENAME TABLE todo.away TO todo.tasks, todo.away2 TO todo.schema_migrations') }, log => qr/errno=1146/);
fault('no rights', sub { $stack->sql('REVOKE ALL ON todo.tasks FROM todo@localhost; REVOKE ALL ON todo.schema_migrations FROM todo@localhost') },
    sub { $stack->sql('GRANT SELECT, INSERT, UPDATE, DELETE ON todo.tasks TO todo@localhost; GRANT SELECT ON todo.schema_migrations TO todo@localhost') }, log => qr/errno=1142/);
fault('read-only', sub { $stack->sql('SET GLOBAL read_only = 1') }, sub { $stack->sql('SET GLOBAL read_only = 0') },
    log => qr/errno=1290/, reads => 1, ready => 200);
{
	my $lock;
	fault('locked by somebody', sub { $lock = $stack->holding("LOCK TABLES todo.tasks WRITE, todo.schema_migrations WRITE") }, sub { undef $lock },
	    log => qr/errno=(?:1969|1205|2013)/, unknown => 1);
}

# A disk that is full: the folder of the tables is a small one of its own.
SKIP: {
	my $data = $stack->file('data/todo');
	my $staging = sub (@verb) { $stack->staging(@verb) };
	skip 'in the long form', 5 if !is_long();
	skip 'no right to mount', 5 if $> != 0 || system("unshare -m true 2>/dev/null") != 0;
	$staging->('db-stop');
	my $owner = join ':', (stat $data)[4, 5];
	rename $data, "$data.kept" or die $!;
	mkdir $data;
	if (system("mount -t tmpfs -o size=16m,mode=0700 none '$data' 2>/dev/null") != 0) {
		rmdir $data;
		rename "$data.kept", $data or die $!;
		$staging->('db-start');
		skip 'no right to mount', 5;
	}
	system("cp -a '$data.kept/.' '$data/' && chown -R $owner '$data'") == 0 or die 'cp';
	$staging->('db-start');
	poll { $user->get('/tasks')->status == 200 } 'on the small disk';
	my $filled = sub {
		system("dd if=/dev/zero of='$data/filler' bs=64k >/dev/null 2>&1");
		# There is room left in the table itself: until there is none.
		eval { $stack->sql("INSERT INTO todo.tasks SELECT CONCAT('filler', a.seq), UNHEX(LPAD(HEX(b.seq), 32, '0')), REPEAT('x', 200), REPEAT('y', 1000), 0, 1, NOW(6), NOW(6), NULL, NULL FROM mysql.seq_1_to_1 a, mysql.seq_1_to_1 b") };
		for my $n (1 .. 400) {
			my $rows = join ',', map { sprintf "('filler', UNHEX('%032x'), '%s', REPEAT('y', 1000), 0, 1, NOW(6), NOW(6))", $n * 100 + $_, 'x' x 190 } 1 .. 50;
			last if !eval { $stack->sql("INSERT INTO todo.tasks (user_id, id, title, description, completed, revision, created_at, updated_at) VALUES $rows"); 1 };
		}
		for my $n (1 .. 2000) {
			last if !eval { $stack->sql(sprintf "INSERT INTO todo.tasks (user_id, id, title, description, completed, revision, created_at, updated_at) VALUES ('%s', UNHEX('%032x'), 'lost soon', REPEAT('y', 1000), 0, 1, NOW(6), NOW(6))", $user->id, $n); 1 };
		}
	};
	my @kept = @writes;
	@writes = (['POST', '/tasks', {}, { title => 'lost' x 50, description => 'y' x 1000 }]);
	my $from = $stack->log_lines;
	$filled->();
	my ($slow, %status) = (0);
	for (1 .. 40) {
		my $start = time;
		my $answer = $user->post('/tasks', { title => 'lost' x 50, description => 'y' x 1000 });
		$status{ $answer->status }++;
		$slow = time - $start if time - $start > $slow;
	}
	ok($status{503} && !grep({ !/\A(?:201|503)\z/ } keys %status), 'disk full: writes are 503, and no 500') or diag(explain(\%status));
	cmp_ok($slow, '<', 2, sprintf 'within 2 s (%.2f s)', $slow);
	my @line = $stack->log_lines;
	ok(scalar(grep { defined && /event=database .*errno=(?:1114|1021|1030|1026)/ } @line[$from .. $#line]), 'the log says why');
	is($user->get('/tasks?limit=1')->status, 200, 'reads go on');
	unlink "$data/filler";
	$stack->sql("DELETE FROM todo.tasks WHERE user_id = 'filler' OR user_id = '" . $user->id . "'");
	sleep 1;
	is($user->post('/tasks', { title => 'after' })->status, 201, 'and writes when there is room again');
	$faults++;
	@writes = @kept;
	$staging->('db-stop');
	system("cp -a '$data/.' '$data.kept/' && umount '$data'") == 0 or die 'umount';
	rmdir $data;
	rename "$data.kept", $data or die $!;
	$staging->('db-start');
	poll { $user->get('/tasks')->status == 200 } 'on its own disk again';
}
figure('database outages', sprintf '%d kinds, %d clients on %d workers: the slowest answer took %.2f s', $faults, $WORKERS, $WORKERS, $longest);

# What comes back over the wire, and when. The rule is a process of its own, told by a file.
my $dir = File::Temp->newdir;
my $order = "$dir/order";
my $order_path = $order;
sub order ($text) { open my $f, '>', "$order.new" or die $!; print {$f} $text; close $f; rename "$order.new", $order or die $! }
my $execute = 0x17;
my $proxy = Proxy->new(path => "$dir/db.sock", to => $stack->file('run/mariadb.sock'), rule => sub ($s, $side, $packet) {
	my ($first, $size) = (ord substr($packet, 4, 1), length $packet);
	my $order = slurp($order);
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
my $row = $alice->task("alice $_") for 1 .. 4;
my $mine = $alice->task('alice');
$bob->task("bob $_") for 1 .. 4;

for (['1969 70100', 'the statement was ended'], ['1114 HY000', 'the disk was full']) {
	my ($error, $why) = @$_;
	order("fail $error");
	my $answer = $alice->post('/tasks', { title => $why }, { 'Idempotency-Key' => 'after-the-row' });
	refuses($answer, unavailable => "an error behind the row of an INSERT ($why) is 503");
	poll { $alice->get('/tasks')->status == 200 } 'and all goes on';
}
order('fail 1213 40001');
my $won = $alice->post('/tasks', { title => 'deadlock' }, { 'Idempotency-Key' => 'deadlocked-once' });
answers($won, 201, 'a deadlock is tried again');
poll { my $a = $alice->post('/tasks', { title => 'deadlock' }, { 'Idempotency-Key' => 'deadlocked-once' }); $a->status == 201 && $a->json->{id} } 'with its key it is one task';
is(scalar(grep { $_->[0] eq 'deadlock' } $stack->sql("SELECT title FROM todo.tasks WHERE user_id = '" . $alice->id . "'")), 1, 'not two');

for my $way (qw(cut hang)) {
	order($way);
	my $start = time;
	refuses($alice->get('/tasks'), unavailable => "$way in the middle of a list: 503, not half a list");
	cmp_ok(time - $start, '<', 2, 'within 2 s');
	my @theirs = map { my $a = $bob->get('/tasks'); sleep 0.15; $a->status == 200 ? map { $_->{title} } $a->json->@* : () } 1 .. 8;
	ok(@theirs && !(grep { /alice/ } @theirs), 'and nobody gets the rest of it');
	sleep 0.6;
}
ok(!(grep { /event=database .*errno=0/ } split /\n/, $worker->log), 'each failure has its number in the log');

# A database that answers each step in time but not the whole of a request.
my $slowest = 0;
for my $step (is_long() ? (0.15, 0.45, 0.7, 0.95) : 0.7) {
	order("slow $step");
	for my $request (['GET', '/tasks'], ['PUT', "/tasks/$mine->{id}", {}, { title => "slow $step" }], ['POST', '/tasks', { 'Idempotency-Key' => "slow$step" }, { title => 's' }], ['PATCH', "/tasks/$mine->{id}/complete"]) {
		my $start = time;
		my $status = $alice->request(@$request)->status;
		my $took = time - $start;
		$slowest = $took if $took > $slowest;
		ok(($status < 300 || $status == 503) && $took < 2, sprintf '%g s a step: %s is %d in %.2f s', $step, $request->[0], $status, $took);
	}
}
unlink $order;
poll { $alice->get('/tasks')->status == 200 } 'and well again';
figure('slow database', sprintf 'the slowest answer took %.2f s', $slowest);
undef $worker;

$stack->done;
