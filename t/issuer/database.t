# Goal: what the database refuses is never answered as done, nor as a missing session:
# whoever is signed in stays signed in.

use v5.36;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Test::More;
use BetterAuth;
use Facts;
use Issuer;
use Stack;

my $stack = Stack->new(private => 1, issuer => 1);
my $auth = BetterAuth->new($stack);
my %ann = $auth->account('Ann');
my $cookie;

# As Ann, once she is signed in.
sub auth ($method, $path, $body = undef) { $auth->ask($method, $path, $cookie, $body) }
sub is_internal ($answer, $name) {
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	is_problem($answer, 500, 'internal', $name);
}
# Has MariaDB give error `number` for each `event` on `table` while the block runs.
sub refusing ($number, $event, $table, $block) {
	$stack->sql("CREATE TRIGGER better_auth.refusing BEFORE $event ON better_auth.$table
	    FOR EACH ROW SIGNAL SQLSTATE 'HY000' SET MYSQL_ERRNO = $number");
	$block->();
	$stack->sql('DROP TRIGGER better_auth.refusing');
}

$cookie = session_cookie(auth('POST', '/sign-up/email', \%ann));
is(auth('GET', '/token')->status, 200, 'Ann is signed in');
$stack->allow_status(500);

# A session that could not be looked up was once 401, and the page asked to sign in again.
$stack->sql('RENAME TABLE better_auth.session TO better_auth.away');
is_internal(auth('GET', '/token'), 'GET /token while sessions cannot be looked up');
is_internal(auth('GET', '/get-session'), 'GET /get-session while sessions cannot be looked up');
is_internal(auth('POST', '/update-user', { name => 'Anna' }),
	'POST /update-user while sessions cannot be looked up');
$stack->sql('RENAME TABLE better_auth.away TO better_auth.session');
is(auth('GET', '/token')->status, 200, 'Ann is still signed in once sessions can be looked up');

# A database that lets every statement wait: requests with a closed connection once
# piled up without a bound.
my $lock = $stack->holding('LOCK TABLES better_auth.session WRITE; SELECT 1;');
my $ask = "GET /api/auth/token HTTP/1.1\r\nCookie: $cookie\r\n\r\n";
for (1 .. 5) {
	my @waiting = map { Issuer->new($stack) } 1 .. 100;
	for my $one (@waiting) {
		$one->_connect;
		$one->_write($ask);
	}
	is(Issuer->new($stack)->send('GET', '/api/auth/ok')->status, 200,
	    "others are answered while $_ hundred requests wait") if $_ < 5;
	$_->close for @waiting;
}
my $issuer = Issuer->new($stack);
my $until = time + 20;
my $busy;
do { $busy = $issuer->send('GET', '/api/auth/ok') } until $busy->status == 503 || time > $until;
is_deeply([$busy->status, $busy->header('Retry-After')], [503, '1'],
    'one more request than 500 waiting ones is refused');
undef $lock;
$until = time + 20;
1 while $issuer->send('GET', '/api/auth/token', [[Cookie => $cookie]])->status != 200
    && time < $until;
is($issuer->send('GET', '/api/auth/token', [[Cookie => $cookie]])->status, 200,
    'requests are answered again once the database goes on');
ok($issuer->lives, 'the issuer is still the same process');

# 1205, lock wait timeout: once the answer was "signed out", and the session lived on.
refusing(
	1205, 'DELETE', 'session',
	sub {
		is_internal(auth('POST', '/sign-out', {}),
			'POST /sign-out while the session cannot be deleted')
	});
is(auth('GET', '/token')->status, 200, 'Ann is still signed in after the refused sign-out');
is(auth('POST', '/sign-out', {})->status, 200, 'Ann signs out');
is(auth('GET', '/token')->status, 401, 'Ann is signed out');

# 1114, the table is full: once the answer was 422, a mistake of the client.
undef $cookie;
refusing(1114, 'INSERT', 'user', sub {
	is_internal(auth('POST', '/sign-up/email', { %ann, email => "2$ann{email}" }),
	    'POST /sign-up/email while accounts cannot be stored');
});
is(auth('POST', '/sign-up/email', { %ann, email => "2$ann{email}" })->status, 200,
    'the account is stored once the table is not full');

$stack->done;
