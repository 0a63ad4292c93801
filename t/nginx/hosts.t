# Goal: the complete server answers requests for its own names and refuses requests
# for any other host first of all, whatever the path and however the host is named.
# Other servers on its port are not affected.

use v5.36;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Test::More;
use Client;
use Facts;
use Http2;
use Nginx;
use Stack;

my $stack = Stack->new(inside => 1);
my $client = $stack->client;
my ($port) = $client->authority =~ /:(\d+)\z/;
my %tls = (url => $stack->url, ca => $stack->{env}{STAGING_CA});
$stack->allow_status(200); # requests sent by raw() have no known route
my $refused = qr/\AThe request is for another host, or names none\z/;
sub request ($host, $target = '/healthz', $version = '1.1') {
	return "GET $target HTTP/$version\r\n" . (defined $host ? "Host:$host\r\n" : '')
	    . "Connection: close\r\n\r\n";
}

# The server's own names, however they are written.
for my $host ("127.0.0.1:$port", '127.0.0.1', 'localhost', "localhost:$port", 'LocalHost',
	'localhost.', "LOCALHOST.:$port", 'localhost:', 'localhost:65535', 'localhost:1') {
	answers($client->raw(request(" $host")), 200, "Host: $host is the server's own");
}
my $absolute = 'https://localhost/healthz';
answers($client->raw(request(' localhost', $absolute)), 200, 'an absolute target with an own name');
answers($client->raw(request(" LOCALHOST:$port", $absolute)), 200,
	'an absolute target with Host in upper case and with a port');
answers($client->raw(request(' localhost', '/healthz', '1.0')), 200, 'an own name over HTTP/1.0');

# Any other name, in the Host header.
my @hosts = ('evil.example', "evil.example:$port", 'todo.example', 'localhost.evil.example',
	'evil-localhost', 'xlocalhost', 'localhostx', '127.0.0.10', '127.1', '2130706433', '0x7f.1',
	'[::1]', "[::1]:$port",
	'[::ffff:127.0.0.1]', '_', '~', '*', 'a:b', 'a|b', '%', 'localhost:99999999', 'localhost:x',
	'localhost:65536', 'localhost:-1', 'localhost:80:80', 'user@localhost',
	'localhost,evil.example', 'localhost evil.example',
	'localhost;', 'localhost#', 'localhost?',
	'x' . '\\' x 7000 . 'y?', "x\\api\\auth\\ok?", 'l%6fcalhost', "\xe9");
for my $host (@hosts) {
	my $name = $host =~ s/[^ -~]/?/gr;
	$name = substr($name, 0, 30) . '...' if length $name > 30;
	for my $target ('/healthz', '/', '/api/auth/ok', '/api/me') {
		my $answer = $client->raw(request(" $host", $target));
		refuses($answer, bad_request => "Host: $name is refused at $target",
		    detail => qr/\AThe request is /);
	}
}
refuses($client->raw(request(' evil.example')),
	bad_request => 'the refusal of another host says why', detail => $refused);
refuses($client->raw(request('')), bad_request => 'an empty Host');
refuses($client->raw(request(' ')), bad_request => 'a Host of blanks');
refuses($client->raw(request(undef)), bad_request => 'no Host');
refuses($client->raw(request(undef, '/healthz', '1.0')), bad_request => 'no Host over HTTP/1.0',
    detail => $refused);
refuses($client->raw(request(" localhost\r\nHost: localhost")), bad_request => 'two Hosts');

# An absolute target, which counts instead of the header (RFC 9112, section
# 3.2.2); both have to agree.
my $other = 'https://evil.example/healthz';
for ([$other, ' localhost'], [$other, ' evil.example'],
	[$absolute, ' evil.example'], [$absolute, ' 127.0.0.1'],
	['https://localhost.evil.example/healthz', ' localhost']) {
	my ($target, $host) = @$_;
	refuses($client->raw(request($host, $target)), bad_request => "$target with Host:$host",
	    detail => $refused);
}
for my $target ('https://localhost@evil.example/healthz', 'https:///healthz') {
	refuses($client->raw(request(' localhost', $target)), bad_request => "the target $target");
}
refuses($client->raw(request(undef, $absolute, '1.0')),
	bad_request => 'an absolute target without a Host');

# The internal locations of the refusal are not reachable.
for my $name ('host', '400', '405') {
	my $answer = $stack->of_others(sub { $client->send('GET', "/todo/problem/$name") });
	is($answer->status, 404, "/todo/problem/$name is not found");
}

# Over HTTP/2.
sub h2 (@fields) {
	my $h2 = Http2->new(%tls);
	my $id = $h2->head([[':method' => 'GET'], [':scheme' => 'https'], [':path' => '/healthz'],
	    @fields]);
	my $status = $h2->answer($id);
	$h2->close;
	return $status;
}
is(h2([':authority' => "127.0.0.1:$port"]), 200, 'HTTP/2: an own name as :authority');
is(h2([':authority' => 'LOCALHOST']), 200, 'HTTP/2: another own name as :authority');
is(h2([host => 'localhost']), 200, 'HTTP/2: an own name as Host alone');
for my $host ('evil.example', 'a:b', 'localhost:x', 'xlocalhost', '%') {
	is(h2([':authority' => $host]), 400, "HTTP/2: :authority $host");
	is(h2([':authority' => 'localhost'], [host => $host]), 400,
		"HTTP/2: Host $host beside an own :authority");
	is(h2([':authority' => $host], [host => 'localhost']), 400,
		"HTTP/2: an own Host beside :authority $host");
}
is(h2([host => 'evil.example']), 400, 'HTTP/2: a foreign Host alone');
is(h2(), 400, 'HTTP/2: neither :authority nor Host');
unlike(h2([':authority' => '']), qr/\A2/, 'HTTP/2: an empty :authority');

# The name in TLS (SNI) does not count.
my $sni = Client->new(%$client{qw(ca on_answer)}, url => "https://localhost:$port");
answers($sni->send('GET', '/healthz'), 200, 'an own name in TLS and in the request');
refuses($sni->send('GET', '/healthz', [[Host => 'evil.example']]),
	bad_request => 'an own name in TLS alone',
	detail => $refused);

# Beside an operator's servers on the same port, one of them the default server:
# they keep their own names and unknown ones.
my $nginx = Nginx->new(stack => $stack, http => sub ($nginx) { <<~END });
	server {
		listen 127.0.0.1:@{[$nginx->port]} ssl http2 default_server;
		@{[$nginx->certificate]}
		return 418;
	}
	server {
		listen 127.0.0.1:@{[$nginx->port]} ssl http2;
		server_name other.example;
		@{[$nginx->certificate]}
		return 410;
	}
	include conf.d/*.conf;
	END
my $beside = $nginx->client;
my sub status ($host) { $stack->of_others(sub { $beside->raw(request(" $host"))->status }) }
is(status('localhost'), 200, 'beside other servers: an own name');
is(status('other.example'), 410, 'beside other servers: the name of another server');
is(status('evil.example'), 418, 'beside other servers: an unknown name goes to the default server');

$stack->done;
