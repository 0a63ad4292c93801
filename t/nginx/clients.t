# Goal: nginx counts requests by client, with and without a proxy in front: a client
# is one IPv4 address however it is written, or the first 64 bits of an IPv6 address.
# An address that the operator exempts is not counted. This holds in the complete
# server and in an operator's own.

use v5.36;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Test::More;
use Facts;
use Http2;
use Nginx;
use Stack;

my $stack = Stack->new(inside => 1);
my %tls = (ca => $stack->{env}{STAGING_CA});
# With a limit of 1, one request uses it up.
my $ONE = qr/(limit_conn\s+todo_requests\s+)100;/;
sub install ($self) {
	Nginx::install($self);
	for my $file (qw(todo-fastcgi-params todo-better-auth)) {
		my $text = $self->text("todo/$file.conf");
		$text =~ s/$ONE/${1}1;/ or die "$file.conf has no limit";
		$self->text("todo/$file.conf", $text);
	}
	$self->edit('conf.d/todo-settings.conf',
	    '#203.0.113.7 "";' => "198.51.100.7 \"\";\n\t2001:db8:9::9 \"\";");
}
my $proxied = "set_real_ip_from 127.0.0.1;\n\treal_ip_header X-Forwarded-For;\n";
my $nginx = Nginx->new(stack => $stack, install => \&install,
    http => "$proxied\tinclude conf.d/*.conf;");
my $type = ['Content-Type' => 'application/json'];

# Is a request from `other` refused while one from `first` is under way? Both are
# addresses that the proxy reports; the first request has a body that does not end.
sub is_one ($nginx, $first, $other, $target = '/api/u/tasks') {
	my ($held, $asks) = map { Http2->new(%tls, url => $nginx->url) } 1, 2;
	my @head = ($type, ['Content-Length' => 9], ['X-Forwarded-For' => $first]);
	my $id = $held->ask('POST', $target, \@head, open => 1);
	# Once the ping is answered, nginx has read the request before it.
	$held->ping;
	my $status = $asks->answer($asks->ask('GET', $target, [['X-Forwarded-For' => $other]]));
	$held->body($id, '{"a":"b"}');
	$held->answer($id);
	$_->close for $held, $asks;
	return $status == 429 ? 1 : 0;
}

is(is_one($nginx, '192.0.2.1', '192.0.2.1'), 1, 'the same IPv4 address is one client');
is(is_one($nginx, '192.0.2.1', '192.0.2.2'), 0, 'two IPv4 addresses are two clients');
is(is_one($nginx, '192.0.2.1', '::ffff:192.0.2.1'), 1,
	'an IPv4 address and its IPv4-mapped form are one client');
is(is_one($nginx, '::ffff:192.0.2.1', '::ffff:192.0.2.2'), 0,
	'two IPv4-mapped addresses are two clients');
is(is_one($nginx, '2001:db8:1:2::1', '2001:db8:1:2:ffff:ffff:ffff:ffff'), 1,
	'two IPv6 addresses with the same first 64 bits are one client');
is(is_one($nginx, '2001:db8:1:2::1', '2001:db8:1:3::1'), 0,
	'two IPv6 addresses with other first 64 bits are two clients');
is(is_one($nginx, '2001:db8:1:a00::1', '2001:db8:1:a00::2'), 1,
	'first 64 bits with the byte of a line feed are one client');
is(is_one($nginx, '2001:db8:1:a00::1', '2001:db8:1:b00::1'), 0,
	'first 64 bits with the byte after a line feed are another client');
is(is_one($nginx, $_, $_), 0, "exempted by the operator: $_") for '198.51.100.7', '2001:db8:9::9';
is(is_one($nginx, '192.0.2.1', '192.0.2.1, 192.0.2.9'), 0,
	'the last address of X-Forwarded-For counts, which the proxy has added');

# In an operator's own server, which has another limit_conn.
my $beside = Nginx->new(stack => $stack, install => \&install, http => sub ($self) { <<~END });
	$proxied
	include conf.d/todo-settings.conf;
	limit_conn_zone \$server_port zone=theirs:1m;
	server {
		listen 127.0.0.1:@{[$self->port]} ssl http2;
		@{[$self->certificate]}
		limit_conn theirs 1000;
		include todo/todo-locations.conf;
		include todo/todo-better-auth.conf;
	}
	END
for my $target ('/api/u/tasks', '/api/me', '/api/auth/get-session') {
	is(is_one($beside, '192.0.2.1', '192.0.2.1', $target), 1,
		"in an operator's server: $target is limited");
	is(is_one($beside, '192.0.2.1', '192.0.2.2', $target), 0,
		"in an operator's server: $target is limited for each client");
}

$stack->done;
