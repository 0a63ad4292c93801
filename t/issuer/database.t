# Goal: what the database refuses is not told as done, nor as a session that is not
# there: whoever is signed in stays so.

use v5.36;
use FindBin;
use lib "$FindBin::Bin/../lib";
use JSON::PP ();
use Test::More;
use Facts;
use Issuer;
use Stack;

my $stack = Stack->new(private => 1, issuer => 1);
my $client = $stack->client;
my $JSON = JSON::PP->new->utf8->canonical;
my %ann = (name => 'Ann', email => lc($stack->tag) . '@example.com',
    password => 'correct horse battery staple');
my $cookie;

sub auth ($method, $path, $body = undef) {
	return $stack->of_others(sub {
		$client->send($method, "/api/auth$path", [[Origin => $stack->url],
		    (defined $cookie ? [Cookie => $cookie] : ()),
		    (defined $body ? ['Content-Type' => 'application/json'] : ())],
		    defined $body ? $JSON->encode($body) : undef)
	});
}
# A problem of the issuer's own, which sets no cookie.
sub is_internal ($answer, $name) {
	my $body = eval { $JSON->decode($answer->body) } // {};
	is_deeply([$answer->status, $body->{code}, $answer->all('Set-Cookie')], [500, 'internal'],
	    $name) or diag($answer->dump);
}
# MariaDB's error `number` for each `event` on `table` while the block runs.
sub refusing ($number, $event, $table, $block) {
	$stack->sql("CREATE TRIGGER better_auth.refusing BEFORE $event ON better_auth.$table
	    FOR EACH ROW SIGNAL SQLSTATE 'HY000' SET MYSQL_ERRNO = $number");
	$block->();
	$stack->sql('DROP TRIGGER better_auth.refusing');
}

my $in = auth('POST', '/sign-up/email', \%ann);
($cookie) = map { /\A([^;]+)/ } grep { /session_token=[^;]/ } $in->all('Set-Cookie');
is(auth('GET', '/token')->status, 200, 'Ann is signed in');
$stack->allow_status(500);

# A session that cannot be looked up was 401, and the page asked to sign in again.
$stack->sql('RENAME TABLE better_auth.session TO better_auth.away');
is_internal(auth('GET', '/token'), 'a token, while sessions cannot be looked up');
is_internal(auth('GET', '/get-session'), 'the session, then');
is_internal(auth('POST', '/update-user', { name => 'Anna' }), 'a change, then');
$stack->sql('RENAME TABLE better_auth.away TO better_auth.session');
is(auth('GET', '/token')->status, 200, 'Ann is still signed in');

# A database that lets everybody wait: requests that nobody waits for any more were
# kept without a bound.
my $lock = $stack->holding('LOCK TABLES better_auth.session WRITE; SELECT 1;');
my $ask = "GET /api/auth/token HTTP/1.1\r\nCookie: $cookie\r\n\r\n";
for (1 .. 5) {
	my @waiting = map { Issuer->new($stack) } 1 .. 100;
	for my $one (@waiting) {
		$one->_connect;
		$one->_write($ask);
	}
	is(Issuer->new($stack)->send('GET', '/api/auth/ok')->status, 200,
	    'others are answered while some hundreds wait') if $_ < 5;
	$_->close for @waiting;
}
my $issuer = Issuer->new($stack);
my $until = time + 20;
my $busy;
do { $busy = $issuer->send('GET', '/api/auth/ok') } until $busy->status == 503 || time > $until;
is_deeply([$busy->status, $busy->header('Retry-After')], [503, '1'],
    'with 500 waiting a further one is refused');
undef $lock;
$until = time + 20;
1 while $issuer->send('GET', '/api/auth/token', [[Cookie => $cookie]])->status != 200
    && time < $until;
is($issuer->send('GET', '/api/auth/token', [[Cookie => $cookie]])->status, 200,
    'and is answered once the others have been');
ok($issuer->lives, 'by the same process');

# 1205: the wait for a lock took too long. "Signed out" was told, and was not so.
refusing(1205, 'DELETE', 'session',
    sub { is_internal(auth('POST', '/sign-out', {}), 'a session that cannot be deleted') });
is(auth('GET', '/token')->status, 200, 'Ann is signed in');
is(auth('POST', '/sign-out', {})->status, 200, 'she signs out');
is(auth('GET', '/token')->status, 401, 'and is');

# 1114: the table is full. It was 422, the client's mistake.
undef $cookie;
refusing(1114, 'INSERT', 'user', sub {
	is_internal(auth('POST', '/sign-up/email', { %ann, email => "2$ann{email}" }),
	    'an account that cannot be stored');
});
is(auth('POST', '/sign-up/email', { %ann, email => "2$ann{email}" })->status, 200,
    'it can be once the table is not full');

$stack->done;
