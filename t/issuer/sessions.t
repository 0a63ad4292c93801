# Goal: of several session cookies the good one counts, and sessions that have ended
# do not stay.

use v5.36;
use FindBin;
use IO::Handle;
use IPC::Open2;
use lib "$FindBin::Bin/../lib";
use JSON::PP ();
use Test::More;
use Facts;
use Stack;

my $stack = Stack->new(private => 1, issuer => 1);
my $client = $stack->client;
my $JSON = JSON::PP->new->utf8->canonical;
my %ann = (name => 'Ann', email => lc($stack->tag) . '@example.com',
    password => 'correct horse battery staple');

sub auth ($method, $path, $cookie = undef, $body = undef) {
	return $stack->of_others(sub {
		$client->send($method, "/api/auth$path", [[Origin => $stack->url],
		    (defined $cookie ? [Cookie => $cookie] : ()),
		    (defined $body ? ['Content-Type' => 'application/json'] : ())],
		    defined $body ? $JSON->encode($body) : undef)
	});
}
# The cookie of a new session, as NAME=VALUE.
sub sign_in ($cookie = undef) {
	my $in = auth('POST', '/sign-in/email', $cookie,
	    { map { $_ => $ann{$_} } qw(email password) });
	return map { /\A([^;]+)/ } grep { /session_token=[^;]/ } $in->all('Set-Cookie');
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
is($name, '__Secure-todo.session_token', 'the cookie has a name of our own');
my $foreign = "$name=" . 'a' x 32 . '.' . 'A' x 43 . '%3D';
is(auth('GET', '/token', $_)->status, 401, 'no session by itself: ' . substr $_, 30, 12) for $ended,
    $expired, $foreign;

# An ended session's cookie of another path or domain came first and hid the good one.
for (['signed out', $ended], ['expired', $expired], ['of somebody else', $foreign],
    ['three of them', $ended, $expired, $foreign], ['a broken one', "$name=%"], ['an empty one',
    "$name="]) {
	my ($what, @others) = @$_;
	is(auth('GET', '/token', join '; ', @others, $good)->status, 200,
	    "a cookie before the good one: $what");
	is(auth('GET', '/token', join '; ', $good, @others)->status, 200, "behind it: $what");
	is(auth('GET', '/get-session', join ';', @others, $good)->json->{user}{name}, 'Ann',
	    "the session is found: $what");
}
my ($again) = sign_in("$ended; $expired");
is(auth('GET', '/token', "$ended; $again")->status, 200, 'signing in again helps');
is(auth('GET', '/token',
    "__Secure-better-auth.session_token=x; better-auth.session_token=y; $good")->status, 200,
    'cookies of another Better Auth do not count');
is(auth('GET', '/token', join '; ', ($foreign) x 60, $good)->status, 200, 'nor do 60 of the same');

is(auth('POST', '/sign-out', "$ended; $again", {})->status, 200, 'signing out with two');
is(auth('GET', '/token', $again)->status, 401, 'ends the good one');
is(auth('GET', '/token', $good)->status, 200, 'and no other');

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
poll { !sessions('<=') } 'sessions that have ended are deleted';
is(sessions('<='), 0, 'none that has ended is left after a start');
is(sessions('>'), $living, 'and all others are');
poll { grep { /event=sessions_purged sessions=120\d$/ }
	$stack->log_lines('issuer.log') } 'the log tells how many';
my $took = deletes() - $deletes;
ok($took == 3 || $took == 4, "in statements of 500 rows: $took");
is(($stack->sql(q{SHOW INDEX FROM better_auth.session WHERE Column_name = 'expiresAt'}))[0][3], 1,
    'found by an index');

# The same module by itself, every 50 ms.
my $frontend = $stack->frontend;
my ($uri) = $stack->read('etc/settings.env') =~ /^ISSUER_DATABASE=(.*)$/m;
local $ENV{DATABASE} = $uri =~ s/\A(['"])(.*)\1\z/$2/r;
my $script = q{
	import { createDatabase } from "./issuer/database.js";
	import { startPurge } from "./issuer/purge.js";
	const pool = createDatabase(process.env.DATABASE);
	const stop = startPurge(pool, 50);
	process.stdin.on("data", () => {});
	process.stdin.on("end",
	    async () => { await stop(); await pool.end(); console.log("stopped"); process.exit(0); });
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
	ok(poll(sub { !sessions('<=') }, 'deleted again'), "purged again on a timer: $round");
}
# No work, and no word each time, while the database is away; and then as before.
$stack->allow_status(503);
$stack->staging('db-stop');
poll { said(qr/event=sessions_not_purged/) } 'that the database is away is told';
# So many rounds have failed: each is one connection that cannot be made.
my $rounds = 0;
poll { said(qr/event=sessions_not_purged/) > 1 || ++$rounds > 50 } '50 looks at its log';
is(said(qr/event=sessions_not_purged/), 1, 'once');
ok(kill(0, $pid), 'it has not ended');
$stack->staging('db-start');
insert(7, -1);
ok(poll(sub { !sessions('<=') }, 'deleted after it'), 'purged once the database is back');
close $to;
is(scalar <$from>, "stopped\n", 'and stopped with no statement under way');
waitpid $pid, 0;
is($? >> 8, 0, 'by itself');

$stack->expect_log(qr/database|db\b|mysql|upstream/i);
$stack->done;
