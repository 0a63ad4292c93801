# Goal: while the database is away every request that needs it is 503 at once, never a
# hang and never a 500; when the database is back, the program goes on by itself.

use v5.36;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Test::More;
use Facts;
use Stack;

my $stack = Stack->new(private => 1, env => { STAGING_WORKERS => 2 });
# Answers come within 2 s; the client gives up after 5 s.
my $client = $stack->new_client(timeout => 5);
my $alice = $stack->user(client => $client);
my $task = $alice->task('before');
my $none = '01900000-0000-7000-8000-000000000000';
$stack->allow_status(503);
$stack->expect_log(qr/status=503/, qr/event=database/, qr/event=(?:ready|health|schema)/);

sub away ($answer, $name) {
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	refuses($answer, unavailable => $name);
	like($answer->header('Retry-After'), qr/\A[1-9]\d?\z/, "$name: 503 has Retry-After");
	is($stack->logged($answer)->{level}, 'error', "$name: the log has an error");
}

# What clients see of an outage, whatever its cause.
sub outage ($kind, $brief = 0) {
	my $path = "/tasks/$task->{id}";
	my $lost = { title => 'lost' };
	away($alice->get('/tasks'), "$kind: a list");
	away($alice->put($path, $lost), "$kind: PUT");
	if (!$brief) {
		my %key = ('Idempotency-Key' => "k $kind" =~ tr/ /-/r);
		away($alice->get($path), "$kind: GET of a task");
		away($alice->head($path), "$kind: HEAD of a task");
		away($alice->post('/tasks', $lost), "$kind: POST");
		away($alice->post('/tasks', $lost, \%key), "$kind: POST with a key");
		away($alice->patch($path, $lost), "$kind: PATCH");
		away($alice->patch("$path/complete", undef), "$kind: complete");
		away($alice->delete($path), "$kind: DELETE");
	}
	my $ready = $client->send('GET', '/readyz');
	away($ready, "$kind: /readyz");
	like($ready->json->{detail}, qr/database/i, "$kind: /readyz names the database");

	# Requests that do not need the database.
	answers($client->send('GET', '/healthz'), 200, "$kind: /healthz", { status => 'ok' });
	answers($alice->get('/api/me'), 200, "$kind: /api/me");
	my %expired = (claims => { exp => time - 5, iat => time - 60 });
	my $late = $alice->with(token => $stack->token_of($alice->id, %expired));
	refuses($alice->with(token => 'x.y.z')->get('/tasks'),
		token_invalid => "$kind: a wrong token");
	refuses($alice->get('/tasks', { Authorization => undef }),
		token_missing => "$kind: no token");
	refuses($late->get('/tasks'), token_expired => "$kind: an expired token");
	refuses($alice->get('/api/other/tasks'), forbidden => "$kind: the path of another user");
	refuses($alice->get('/tasks/x'), not_found => "$kind: a malformed id");
	refuses($alice->get('/tasks?limit=0'), invalid => "$kind: a wrong parameter");
	refuses($alice->post('/tasks', '{'), bad_request => "$kind: a wrong body");
	answers($alice->options('/tasks'), 204, "$kind: OPTIONS");

	# Many at once: each is answered in time.
	my @status = map { @$_ } in_parallel(
		$stack, 2,
		sub ($i) {
			my $me = $alice->with(client => $stack->new_client(timeout => 5));
			return [map { $me->get('/tasks')->status } 1 .. 20];
		});
	is_deeply([grep { $_ != 503 } @status], [],
		"$kind: 40 requests of two clients are all 503");
}

# Every worker writes again: a worker that has seen the outage tries again within a second.
sub settled ($kind) {
	my $write = sub ($me) {
		my $made = $me->post('/tasks', { title => 'after' });
		return $made->status if $made->status != 201;
		return $me->delete('/tasks/' . $made->json->{id})->status;
	};
	poll {
		my @status = map { @$_ } in_parallel($stack, 4, sub ($i) {
			my $me = $alice->with(client => $stack->new_client);
			return [map { $write->($me) } 1 .. 5];
		});
		!grep { $_ != 204 } @status;
	} "$kind: all workers write";
}

sub back ($kind) {
	settled($kind);
	poll { $client->send('GET', '/readyz')->status == 200 } "$kind: /readyz is 200 again";
	answers($alice->get("/tasks/$task->{id}"), 200, "$kind: the task is unchanged",
		{ map { $_ => $task->{$_} } grep { $_ ne 'etag' } keys %$task });
	is(scalar(grep { $_->{title} eq 'lost' } $alice->get('/tasks')->json->@*), 0,
		"$kind: no refused write was done");
}

my @workers = sort $stack->workers;
is(scalar @workers, 2, 'there are two workers');

# Stopped.
$stack->staging('db-stop');
outage('stopped');
$stack->staging('db-start');
back('stopped');

# Killed under load: every acknowledged task is there, and at most one more per client.
my $bob = $stack->user(client => $client);
my @acknowledged = map { @$_ } in_parallel(
	$stack, 3,
	sub ($i) {
		my $me = $bob->with(client => $stack->new_client(timeout => 5));
		my @made;
		for my $n (1 .. 400) {
			if ($i == 0 && $n == 30) { kill KILL => $stack->pid('mariadb') }
			my $answer = $me->post('/tasks', { title => "$i-$n" });
			push @made, $answer->json->{id} if $answer->status == 201;
			last if $answer->status == 503;
			die $answer->dump if $answer->status != 201 && $answer->status != 503;
		}
		return \@made;
	});
ok(@acknowledged > 30,
	scalar(@acknowledged) . ' tasks were acknowledged before the database was killed');
away($alice->get('/tasks'), 'killed: a list');
$stack->staging('db-start');
back('killed');
my %there = map { $_->[0] => 1 }
    $stack->sql("SELECT LOWER(HEX(id)) FROM todo.tasks WHERE user_id = '" . $bob->id . "'");
is(scalar(grep { !$there{tr/-//dr} } @acknowledged), 0, 'no acknowledged task is lost');
cmp_ok(scalar(keys %there), '<=', @acknowledged + 3,
	'at most one task per client is there without an acknowledgement');

# Connections that the server ends: noticed before the next statement.
sub cut_all {
	$stack->sql("KILL CONNECTION $_->[0]")
	    for $stack->sql("SELECT id FROM information_schema.processlist WHERE user = 'todo'");
	poll { !$stack->sql("SELECT id FROM information_schema.processlist WHERE user = 'todo'") }
	    'all connections are cut';
}
for my $round (1 .. 3) {
	cut_all();
	answers($alice->get("/tasks/$task->{id}"), 200, "cut $round: the next read is answered");
	cut_all();
	my $made = $alice->post('/tasks', { title => 'once' });
	answers($made, 201, "cut $round: the next write is answered");
	is(scalar(grep { $_->{title} eq 'once' } $alice->get('/tasks')->json->@*), 1,
		"cut $round: the write was done once");
	$alice->delete('/tasks/' . $made->json->{id});
}

# Prepared statements that the server has dropped.
$stack->sql('FLUSH TABLES');
answers($alice->get('/tasks'), 200, 'a list after FLUSH TABLES');

# Frozen: no answer, and the connection stays open.
my $pid = $stack->pid('mariadb');
kill STOP => $pid;
poll {
	local @ARGV = glob "/proc/$pid/task/*/status";
	my @states = grep { /^State:/ } <>;
	!grep { !/^State:\s+T/ } @states;
} 'each thread of the database is stopped';
outage('frozen', 1);
kill CONT => $pid;
settled('frozen');
# Statements sent during the freeze may have been done since.
for my $t ($alice->get('/tasks')->json->@*) { $alice->delete("/tasks/$t->{id}") }
$task = $alice->task('before');

# A lock that another session holds.
{
	my $locker = $stack->holding(
		"SELECT * FROM todo.tasks WHERE user_id = '" . $alice->id . "' FOR UPDATE");
	my $answer = $alice->put("/tasks/$task->{id}", { title => 'waits' });
	away($answer, 'a locked row: PUT');
	my $read = poll { my $a = $alice->get("/tasks/$task->{id}"); $a->status == 200 && $a }
	    'a locked row can be read';
	answers($read, 200, 'a locked row is unchanged',
		{ map { $_ => $task->{$_} } grep { $_ ne 'etag' } keys %$task });
}
poll { $alice->put("/tasks/$task->{id}", { title => 'before' })->status == 200 }
    'the row can be written once the lock is gone';

# A schema that is too old or incomplete.
sub not_ready ($what, $pattern) {
	my $ready = poll {
		my $r = $client->send('GET', '/readyz');
		$r->status == 503 && $r->json->{detail} =~ $pattern && $r
	} "$what: /readyz says so" or return;
	refuses($ready, unavailable => "$what: /readyz is 503", detail => $pattern);
}
$stack->sql('CREATE TABLE todo.kept AS SELECT * FROM todo.schema_migrations;
    DELETE FROM todo.schema_migrations');
not_ready('no migration', qr/schema/i);
answers($client->send('GET', '/healthz'), 200, '/healthz without migrations');
$stack->sql('INSERT INTO todo.schema_migrations SELECT * FROM todo.kept; DROP TABLE todo.kept');
poll { $client->send('GET', '/readyz')->status == 200 } '/readyz is 200 with the migrations';
$stack->sql("INSERT INTO todo.schema_migrations (version, name, checksum, applied_at)
    VALUES (9999, '9999-later', REPEAT('0', 64), UTC_TIMESTAMP(6))");
poll { $client->send('GET', '/readyz')->status == 200 } '/readyz is 200 with a newer schema';
$stack->sql('DELETE FROM todo.schema_migrations WHERE version = 9999');
$stack->sql('RENAME TABLE todo.tasks TO todo.gone');
my $answer = $alice->get('/tasks');
ok($answer->status == 503, 'a list without the table is 503') or diag($answer->dump);
$stack->sql('RENAME TABLE todo.gone TO todo.tasks');
poll { $alice->get('/tasks')->status == 200 } 'lists are answered once the table is back';
my $connections = sub {
	map { $_->[0] }
	    $stack->sql("SELECT id FROM information_schema.processlist WHERE user = 'todo'")
};
my @had = $connections->();
$stack->sql('SET GLOBAL read_only = 1');
away($alice->post('/tasks', { title => 'lost' }), 'read-only: POST');
poll { my %now = map { $_ => 1 } $connections->(); grep { !$now{$_} } @had }
    'read-only: the program closes the connection, since the next may reach another host';
poll { $alice->get('/tasks')->status == 200 } 'read-only: lists are answered';
$stack->sql('SET GLOBAL read_only = 0');
poll { my $a = $alice->post('/tasks', { title => 'after' }); $a->status == 201 }
    'writes are answered once the server is writable';

# The server's error message for a duplicate holds the values. A trigger forces one.
$stack->allow_status(500);
$stack->expect_log(qr/status=500/);
$stack->sql("CREATE TRIGGER todo.twice BEFORE INSERT ON todo.tasks FOR EACH ROW
    SIGNAL SQLSTATE '23000' SET MYSQL_ERRNO = 1062,
    MESSAGE_TEXT = \"Duplicate entry 'hunter2'\"");
refuses($alice->post('/tasks', { title => 'hunter2' }),
	internal => 'an impossible duplicate is 500');
$stack->sql('DROP TRIGGER todo.twice');
ok(scalar(grep { /event=database .*reason="Duplicate entry"/ } $stack->log_lines),
	'the log has the error');
ok(!(grep { /hunter2/ } $stack->log_lines), 'the log does not have the value');

is_deeply([sort $stack->workers], \@workers, 'no worker was replaced in any outage');
my @line = grep { /event=database/ } $stack->log_lines;
ok(@line > 0, 'the log has errors of the database');
ok(!(grep { /password|IDENTIFIED/i } $stack->log_lines), 'the log does not have its password');

$stack->done;
