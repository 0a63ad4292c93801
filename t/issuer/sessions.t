# Goal: of several session cookies the valid one counts, and sessions that have ended
# are deleted.

use v5.36;
use FindBin;
use IO::Handle;
use IPC::Open2;
use lib "$FindBin::Bin/../lib";
use Test::More;
use BetterAuth;
use Facts;
use Stack;

my $stack = Stack->new(private => 1, issuer => 1);
my $auth = BetterAuth->new($stack);
my %ann = $auth->account('Ann');

sub auth ($method, $path, $cookie = undef, $body = undef) {
	return $auth->ask($method, $path, $cookie, $body);
}
# The cookie of a new session of Ann's.
sub sign_in ($cookie = undef) {
	my %in = map { $_ => $ann{$_} } qw(email password);
	return session_cookie(auth('POST', '/sign-in/email', $cookie, \%in));
}

# --- cookies ----------------------------------------------------------------

is(auth('POST', '/sign-up/email', undef, \%ann)->status, 200, 'Ann signs up');
my ($ended) = sign_in();
is(auth('POST', '/sign-out', $ended, {})->status, 200, 'one of her sessions is signed out');
my ($expired) = sign_in();
my ($token) = $expired =~ /=([^.]+)/;
$stack->sql("UPDATE better_auth.session SET expiresAt = FROM_UNIXTIME(UNIX_TIMESTAMP() - 60)
    WHERE token = '$token'");
my ($good) = sign_in();
my ($name) = $good =~ /\A([^=]+)/;
is($name, '__Secure-todo.session_token', 'the session cookie has the name of this product');
my $foreign = "$name=" . 'a' x 32 . '.' . 'A' x 43 . '%3D';
is(auth('GET', '/token', $_)->status, 401, 'a cookie without a valid session: ' . substr $_, 30, 12)
    for $ended,
    $expired, $foreign;

# Once the cookie of an ended session, with another path or domain, hid the good one.
for (['signed out', $ended], ['expired', $expired], ['with a wrong signature', $foreign],
    ['three of them', $ended, $expired, $foreign], ['a broken one', "$name=%"], ['an empty one',
    "$name="]) {
	my ($what, @others) = @$_;
	is(
		auth('GET', '/token', join '; ', @others, $good)->status, 200,
		"a cookie before the good one: $what");
	is(auth('GET', '/token', join '; ', $good, @others)->status, 200,
		"a cookie after the good one: $what");
	is(
		auth('GET', '/get-session', join ';', @others, $good)->json->{user}{name}, 'Ann',
		"GET /get-session with a cookie before the good one: $what");
}
my ($again) = sign_in("$ended; $expired");
is(auth('GET', '/token', "$ended; $again")->status, 200,
	'signing in again with the cookies of ended sessions');
is(
	auth(
		'GET', '/token',
		"__Secure-better-auth.session_token=x; better-auth.session_token=y; $good"
	)->status,
	200,
	'cookies of another Better Auth are ignored');
is(auth('GET', '/token', join '; ', ($foreign) x 60, $good)->status, 200,
	'60 cookies with a wrong signature are ignored');

is(auth('POST', '/sign-out', "$ended; $again", {})->status, 200, 'signing out with two cookies');
is(auth('GET', '/token', $again)->status, 401, 'signing out ends the session of the good cookie');
is(auth('GET', '/token', $good)->status, 200, 'signing out ends no other session');

# --- sessions that have ended ----------------------------------------------

my ($user) = map { $_->[0] }
    $stack->sql("SELECT id FROM better_auth.user WHERE email = '$ann{email}'");
sub insert ($count, $seconds) {
	$stack->sql("INSERT INTO better_auth.session
	    (id, expiresAt, token, createdAt, updatedAt, ipAddress, userAgent, userId)
	    SELECT UUID(), FROM_UNIXTIME(UNIX_TIMESTAMP() + $seconds - seq / 1000), UUID(), NOW(),
	    NOW(), '192.0.2.1', 'x', '$user' FROM better_auth.seq_1_to_$count");
}
sub sessions ($which) {
	return ($stack->sql("SELECT COUNT(*) FROM better_auth.session
	    WHERE expiresAt $which NOW()"))[0][0];
}
sub deletes () { ($stack->sql("SHOW GLOBAL STATUS LIKE 'Com_delete'"))[0][1] }

insert(1200, -1);
insert(3, 3600);
my $living = sessions('>');
my $deletes = deletes();
$stack->staging('issuer-stop');
$stack->staging('issuer-start');
poll { !sessions('<=') } 'ended sessions are deleted at the start';
is(sessions('<='), 0, 'no ended session is left after a start');
is(sessions('>'), $living, 'every other session is left after a start');
poll { grep { /event=sessions_purged sessions=120\d$/ }
	$stack->log_lines('issuer.log') } 'the log has the number of deleted sessions';
my $took = deletes() - $deletes;
ok($took == 3 || $took == 4, "ended sessions are deleted in 3 or 4 statements of 500 rows: $took");
is(($stack->sql(q{SHOW INDEX FROM better_auth.session WHERE Column_name = 'expiresAt'}))[0][3], 1,
    'an index finds the ended sessions');

# The module that deletes sessions, by itself, every 50 ms.
my $frontend = $stack->frontend;
my ($uri) = $stack->read('etc/settings.env') =~ /^ISSUER_DATABASE=(.*)$/m;
local $ENV{DATABASE} = $uri =~ s/\A(['"])(.*)\1\z/$2/r;
my $script = q{
	import { createDatabase } from "./issuer/database.js";
	import { startPurge } from "./issuer/purge.js";
	const pool = createDatabase(process.env.DATABASE);
	const stop = startPurge(pool, 50);
	process.stdin.on("data", () => {});
	process.stdin.on("end", async () => {
		await stop();
		await pool.end();
		console.log("stopped");
		process.exit(0);
	});
};
my $log = $stack->file('log/purge.log');
open my $saved, '>&', \*STDERR or die $!;
open STDERR, '>', $log or die $!;
my $pid = open2(my $from, my $to, 'sh', '-c', 'cd "$0" && exec ./node --input-type=module -e "$1"',
    $frontend, $script);
open STDERR, '>&', $saved or die $!;
sub said ($pattern) { open my $f, '<', $log or die $!; scalar grep { $_ =~ $pattern } <$f> }

for my $round (1, 2) {
	insert(7, -1);
	ok(poll(sub { !sessions('<=') }, 'deleted again'),
		"ended sessions are deleted on a timer: $round");
}
# The database is away: one log line, not one for each attempt. It is back: deleting goes on.
$stack->allow_status(503);
$stack->staging('db-stop');
poll { said(qr/event=sessions_not_purged/) } 'the log says that sessions were not deleted';
my $looks = 0;
poll { said(qr/event=sessions_not_purged/) > 1 || ++$looks > 50 } '50 looks at the log';
is(said(qr/event=sessions_not_purged/), 1, 'the log says once that sessions were not deleted');
ok(kill(0, $pid), 'the process goes on without the database');
$stack->staging('db-start');
insert(7, -1);
ok(poll(sub { !sessions('<=') }, 'deleted after it'),
	'ended sessions are deleted once the database is back');
close $to;
is(scalar <$from>, "stopped\n", 'the timer stops with no statement under way');
waitpid $pid, 0;
is($? >> 8, 0, 'the process ends by itself');

$stack->expect_log(qr/database|db\b|mysql|upstream/i);
$stack->done;
