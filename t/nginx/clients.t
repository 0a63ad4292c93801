# Goal: nginx counts as one client what is one, by its own address also behind a
# proxy: an IPv4 address however it is written, 64 bits of an IPv6 address, and
# whom the operator leaves out is not counted. Both where we have a server of our
# own and in somebody else's.

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
# So few that one request uses them up.
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

# Does a request from `other` find the one of `first`, whose body does not end,
# under way, so that it is refused? Both as the proxy tells of them.
sub is_one ($nginx, $first, $other, $target = '/api/u/tasks') {
	my ($held, $asks) = map { Http2->new(%tls, url => $nginx->url) } 1, 2;
	my @head = ($type, ['Content-Length' => 9], ['X-Forwarded-For' => $first]);
	my $id = $held->ask('POST', $target, \@head, open => 1);
	# A ping that comes back: nginx has seen what was before it.
	$held->ping;
	my $status = $asks->answer($asks->ask('GET', $target, [['X-Forwarded-For' => $other]]));
	$held->body($id, '{"a":"b"}');
	$held->answer($id);
	$_->close for $held, $asks;
	return $status == 429 ? 1 : 0;
}

is(is_one($nginx, '192.0.2.1', '192.0.2.1'), 1, 'an address');
is(is_one($nginx, '192.0.2.1', '192.0.2.2'), 0, 'another is another client');
is(is_one($nginx, '192.0.2.1', '::ffff:192.0.2.1'), 1, 'the same address over an IPv6 socket');
is(is_one($nginx, '::ffff:192.0.2.1', '::ffff:192.0.2.2'), 0, 'two such addresses are two');
is(is_one($nginx, '2001:db8:1:2::1', '2001:db8:1:2:ffff:ffff:ffff:ffff'), 1, '64 bits of IPv6');
is(is_one($nginx, '2001:db8:1:2::1', '2001:db8:1:3::1'), 0, 'the next 64 bits are another client');
is(is_one($nginx, '2001:db8:1:a00::1', '2001:db8:1:a00::2'), 1, 'a line feed among them');
is(is_one($nginx, '2001:db8:1:a00::1', '2001:db8:1:b00::1'), 0, 'and the one after it');
is(is_one($nginx, $_, $_), 0, "left out by the operator: $_") for '198.51.100.7', '2001:db8:9::9';
is(is_one($nginx, '192.0.2.1', '192.0.2.1, 192.0.2.9'), 0, 'the word of the proxy counts alone');

# In somebody else's server, with a limit of its own that is no limit to us.
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
		"beside others: $target is limited");
	is(is_one($beside, '192.0.2.1', '192.0.2.2', $target), 0, "$target: for each client");
}

$stack->done;
