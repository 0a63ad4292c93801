# Goal: a stage whose port is taken between its choice and its use takes another port, and
# never mistakes a foreign listener for its nginx.

use v5.36;
use FindBin;
use lib "$FindBin::Bin/../lib";
use POSIX ();
use Socket;
use Test::More;
use Facts;
use Files;
use Stack;

my $stack = Stack->new(private => 1);
$stack->staging('down');

# A port that is bound without listen() looks free.
socket my $other, PF_INET, SOCK_STREAM, 0 or die $!;
bind $other, pack_sockaddr_in(0, INADDR_LOOPBACK) or die $!;
my ($port) = unpack_sockaddr_in(getsockname $other);
spew($stack->file('etc/url'), "https://127.0.0.1:$port");
my $refused = sub { scalar grep { /Address already in use/ } $stack->log_lines('nginx-error.log') };
my $before = $refused->();
my $pid = fork // die $!;
if (!$pid) {
	$ENV{STAGING_DIR} = $stack->dir;
	exec Stack->root . '/t/staging', 'up', '--quiet' or POSIX::_exit(127);
}
poll { $refused->() > $before } "nginx does not get port $port";
listen $other, 5 or die $!;
waitpid $pid, 0;
is($?, 0, 'the stage starts');
my ($now) = $stack->read('etc/url') =~ /:(\d+)\z/;
isnt($now, $port, 'the stage has another port than the taken one');
close $other;
# "up" polls /healthz before the pool listens.
$stack->expect_log(qr{Address already in use|still could not bind|"GET /healthz });
$stack->{url} = "https://127.0.0.1:$now";
answers($stack->user(client => $stack->new_client)->get('/nothing'), 404,
    'the stage answers at its port');
$stack->done;
