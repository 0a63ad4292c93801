# Goal: with the database away every request that needs it is 503 at once, never
# a hang and never a 500; and when it is back, all goes on without a restart.

use v5.36;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Test::More;
use Facts;
use Stack;

my $stack = Stack->new(private => 1, env => { STAGING_WORKERS => 2 });
# "Within 2 s" is a deadline of the client's: one that has to wait longer gives up.
my $client = $stack->new_client(timeout => 5);
my $alice = $stack->user(client => $client);
my $task = $alice->task('before');
my $none = '01900000-0000-7000-8000-000000000000';
$stack->allow_status(503);
$stack->expect_log(qr/status=503/, qr/event=database/, qr/event=(?:ready|health|schema)/);

sub away ($answer, $name) {
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	refuses($answer, unavailable => $name);
	like($answer->header('Retry-After'), qr/\A[1-9]\d?\z/, 'with Retry-After');
	is($stack->logged($answer)->{level}, 'error', 'and an error in the log');
}

# What an outage looks like from outside, however it came about.
sub outage ($kind, $brief = 0) {
	away($alice->get('/tasks'), "$kind: a list");
	away($alice->put("/tasks/$task->{id}", { title => 'lost' }), 'PUT');
	if (!$brief) {
		away($alice->get("/tasks/$task->{id}"), 'a task');
		away($alice->head("/tasks/$task->{id}"), 'a HEAD');
		away($alice->post('/tasks', { title => 'lost' }), 'POST');
		away(
			$alice->post(
				'/tasks', { title => 'lost' },
				{ 'Idempotency-Key' => "k $kind" =~ tr/ /-/r }
			),
			'POST with a key');
		away($alice->patch("/tasks/$task->{id}", { title => 'lost' }), 'PATCH');
		away($alice->patch("/tasks/$task->{id}/complete", undef), 'complete');
		away($alice->delete("/tasks/$task->{id}"), 'DELETE');
	}
	my $ready = $client->send('GET', '/readyz');
	away($ready, 'readyz');
	like($ready->json->{detail}, qr/database/i, 'which names the database');

	# What does not need it does not miss it.
	answers($client->send('GET', '/healthz'), 200, 'healthz is well', { status => 'ok' });
	answers($alice->get('/api/me'), 200, 'the identity is the token\'s');
	refuses($alice->with(token => 'x.y.z')->get('/tasks'),
		token_invalid => 'a bad token is 401 still');
	refuses($alice->get('/tasks', { Authorization => undef }),
		token_missing => 'and so is none');
	refuses(
		$alice->with(
			token => $stack->token_of(
				$alice->id, claims => { exp => time - 5, iat => time - 60 }
			)
		)->get('/tasks'),
		token_expired => 'and one that has expired');
	refuses($alice->get('/api/other/tasks'), forbidden => 'another\'s path is 403');
	refuses($alice->get('/tasks/x'), not_found => 'a malformed id is 404');
	refuses($alice->get('/tasks?limit=0'), invalid => 'a bad parameter is 422');
	refuses($alice->post('/tasks', '{'), bad_request => 'a bad body is 400');
	answers($alice->options('/tasks'), 204, 'OPTIONS');

	# Many at once: each has its answer in time.
	my @status = map { @$_ } in_parallel($stack, 2, sub ($i) {
		my $me = $alice->with(client => $stack->new_client(timeout => 5));
		return [map { $me->get('/tasks')->status } 1 .. 20];
	});
	is_deeply([grep { $_ != 503 } @status], [], '40 requests of two clients are all 503');
}

# Every worker writes again: one that has seen the outage tries anew within a second.
sub settled ($kind) {
	poll {
		my @status = map { @$_ } in_parallel($stack, 4, sub ($i) {
			my $me = $alice->with(client => $stack->new_client);
			return [
				map {
					my $t = $me->post('/tasks', { title => 'after' });
					$t->status == 201
					    ? $me->delete('/tasks/' . $t->json->{id})
					    ->status
					    : $t->status
				} 1 .. 5
			];
		});
		!grep { $_ != 204 } @status;
	} "$kind: all workers write";
}

sub back ($kind) {
	settled($kind);
	poll { $client->send('GET', '/readyz')->status == 200 } 'ready again';
	answers($alice->get("/tasks/$task->{id}"), 200, "$kind: the task is as it was",
		{ map { $_ => $task->{$_} } grep { $_ ne 'etag' } keys %$task });
	is(scalar(grep { $_->{title} eq 'lost' } $alice->get('/tasks')->json->@*), 0,
		'no refused write has been made');
}

my @workers = sort $stack->workers;
is(scalar @workers, 2, 'two workers');

# Stopped in good order.
$stack->staging('db-stop');
outage('stopped');
$stack->staging('db-start');
back('stopped');

# Killed under load: what was acknowledged is there, and at most what was not.
my $bob = $stack->user(client => $client);
my @acknowledged = map { @$_ } in_parallel($stack, 3, sub ($i) {
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
ok(@acknowledged > 30, scalar(@acknowledged) . ' were acknowledged before it was killed');
away($alice->get('/tasks'), 'killed: a list');
$stack->staging('db-start');
back('killed');
my %there = map { $_->[0] => 1 }
    $stack->sql("SELECT LOWER(HEX(id)) FROM todo.tasks WHERE user_id = '" . $bob->id . "'");
is(scalar(grep { !$there{tr/-//dr} } @acknowledged), 0, 'no acknowledged task is lost');
cmp_ok(scalar(keys %there), '<=', @acknowledged + 3, 'and at most one more per client is there');

# Connections cut from its side: noticed before the next statement.
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
	answers($made, 201, "cut $round: the next write too");
	is(scalar(grep { $_->{title} eq 'once' } $alice->get('/tasks')->json->@*), 1,
		'and is made once');
	$alice->delete('/tasks/' . $made->json->{id});
}

# Statements forgotten by the server.
$stack->sql('FLUSH TABLES');
answers($alice->get('/tasks'), 200, 'after FLUSH TABLES');

# It hangs: neither an answer nor an end of the connection.
my $pid = $stack->pid('mariadb');
kill STOP => $pid;
poll {
	local @ARGV = glob "/proc/$pid/task/*/status";
	my @states = grep { /^State:/ } <>;
	!grep { !/^State:\s+T/ } @states;
} 'each of its threads stands still';
outage('frozen', 1);
kill CONT => $pid;
settled('frozen');
# What was sent into the freeze may have been done since: that is what unknown means.
for my $t ($alice->get('/tasks')->json->@*) { $alice->delete("/tasks/$t->{id}") }
$task = $alice->task('before');

# A lock held by somebody else is no reason to hang.
{
	my $locker = $stack->holding(
		"SELECT * FROM todo.tasks WHERE user_id = '" . $alice->id . "' FOR UPDATE");
	my $answer = $alice->put("/tasks/$task->{id}", { title => 'waits' });
	away($answer, 'a locked row: PUT');
	my $read = poll { my $a = $alice->get("/tasks/$task->{id}"); $a->status == 200 && $a }
	'it can be read';
	answers($read, 200, 'as it was',
		{ map { $_ => $task->{$_} } grep { $_ ne 'etag' } keys %$task });
}
poll { $alice->put("/tasks/$task->{id}", { title => 'before' })->status == 200 }
'and written when the lock is gone';

# Too many connections, a wrong password, a schema too old: 503, said so by readyz.
sub not_ready ($what, $pattern) {
	my $ready = poll {
		my $r = $client->send('GET', '/readyz');
		$r->status == 503 && $r->json->{detail} =~ $pattern && $r
	}
	"$what: readyz says so" or return;
	refuses($ready, unavailable => "$what: readyz is 503", detail => $pattern);
}
$stack->sql(
	'CREATE TABLE todo.kept AS SELECT * FROM todo.schema_migrations; DELETE FROM todo.schema_migrations'
);
not_ready('no migration', qr/schema/i);
answers($client->send('GET', '/healthz'), 200, 'healthz does not mind');
$stack->sql('INSERT INTO todo.schema_migrations SELECT * FROM todo.kept; DROP TABLE todo.kept');
poll { $client->send('GET', '/readyz')->status == 200 } 'ready with its migrations';
$stack->sql(
	"INSERT INTO todo.schema_migrations (version, name, checksum, applied_at) VALUES (9999, '9999-later', REPEAT('0', 64), UTC_TIMESTAMP(6))"
);
poll { $client->send('GET', '/readyz')->status == 200 } 'a newer schema will do';
$stack->sql('DELETE FROM todo.schema_migrations WHERE version = 9999');
$stack->sql('RENAME TABLE todo.tasks TO todo.gone');
my $answer = $alice->get('/tasks');
ok($answer->status == 503, 'no table: 503, not 500') or diag($answer->dump);
$stack->sql('RENAME TABLE todo.gone TO todo.tasks');
poll { $alice->get('/tasks')->status == 200 } 'the table is back';
my $connections = sub {
	map { $_->[0] }
	    $stack->sql("SELECT id FROM information_schema.processlist WHERE user = 'todo'")
};
my @had = $connections->();
$stack->sql('SET GLOBAL read_only = 1');
away($alice->post('/tasks', { title => 'lost' }), 'read-only: POST');
poll {
	my %now = map { $_ => 1 } $connections->();
	grep { !$now{$_} } @had
}
'its connection is given up: of several hosts the next may be another';
poll { $alice->get('/tasks')->status == 200 } 'but lists go on';
$stack->sql('SET GLOBAL read_only = 0');
poll { my $a = $alice->post('/tasks', { title => 'after' }); $a->status == 201 } 'writes again';

# What the server says of a duplicate holds the values: here it is made to.
$stack->allow_status(500);
$stack->expect_log(qr/status=500/);
$stack->sql(
	"CREATE TRIGGER todo.twice BEFORE INSERT ON todo.tasks FOR EACH ROW SIGNAL SQLSTATE '23000' SET MYSQL_ERRNO = 1062, MESSAGE_TEXT = \"Duplicate entry 'hunter2'\""
);
refuses($alice->post('/tasks', { title => 'hunter2' }),
	internal => 'a duplicate where there can be none is 500');
$stack->sql('DROP TRIGGER todo.twice');
ok(scalar(grep { /event=database .*reason="Duplicate entry"/ } $stack->log_lines),
	'the log says so');
ok(!(grep { /hunter2/ } $stack->log_lines), 'but not of what');

is_deeply([sort $stack->workers], \@workers, 'all this time no worker was replaced');
my @line = grep { /event=database/ } $stack->log_lines;
ok(@line > 0, 'the log tells of the database');
ok(!(grep { /password|IDENTIFIED/i } $stack->log_lines), 'without its password');

$stack->done;
