# Goal: clients that read nothing, or stop sending, hold a bounded number of bytes on disk
# and in memory and of descriptors, however many connections and streams they open. All
# other requests are answered meanwhile, and everything is free once these clients go.

use v5.36;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Socket qw(SOL_SOCKET SO_RCVBUF);
use Test::More;
use Facts;
use Faults;
use Files;
use Http2;
use Nginx;
use Sql;
use Stack;

# The limits for one client in nginx/todo-fastcgi-params.conf and todo-server.conf.
use constant { LISTS => 32, REQUESTS => 100, STREAMS => 32, MIB => 1 << 20 };
# The most memory that nginx takes for a stream and for a connection; for a list also the
# buffers of todo-fastcgi-params.conf, and for a compressed answer zlib's.
use constant { STREAM => 32 << 10, BUFFERS => (64 * 8 + 16 + 32) << 10, CONNECTION => 256 << 10,
    GZIP => 320 << 10 };

my $CONNECTIONS = long(4, 10);
my $ATTEMPTS = 128; # streams that the attacker opens on each connection, whatever the limit
my $TASKS = long(200, 500);

my $stack = Stack->new(inside => 1);
# Small buffers of the kernel, here and below, so that nginx has to hold the answers.
my $nginx = Nginx->new(stack => $stack, install => sub ($self) {
	$self->install;
	$self->edit('conf.d/todo-site.conf', ' ssl http2;' => ' ssl http2 sndbuf=64k;');
});
my %tls = (url => $nginx->url, ca => $stack->{env}{STAGING_CA});
my $alice = $stack->user(client => $nginx->client);
my @bearer = ([Authorization => 'Bearer ' . $alice->token]);
# The largest possible tasks: each character takes six bytes of JSON.
insert_tasks($stack, [$alice], $TASKS, title => 'REPEAT(CHAR(1), 200)',
    description => 'REPEAT(CHAR(1), 1000)');
my $length = length $alice->get('/tasks?limit=500')->body;
cmp_ok($length, '>', $TASKS * 7200, "a list has $length bytes, nearly the largest possible");

# The bytes that nginx's worker holds on disk, in files without a name (st_blocks of files
# that /proc shows as deleted); the bytes of its memory (Pss); and its descriptors.
my ($worker) = $nginx->workers;
sub disk () {
	my $sum = 0;
	for my $fd (glob "/proc/$worker/fd/*") {
		next if (readlink($fd) // '') !~ m{\A\Q@{[$nginx->dir]}\E/.* \(deleted\)\z};
		$sum += 512 * ((stat $fd)[12] // 0);
	}
	return $sum;
}
sub memory () {
	return 1024 * (slurp_if_there("/proc/$worker/smaps_rollup") =~ /^Pss:\s+(\d+)/m)[0]
}
my %idle = (memory => memory(), descriptors => descriptors($worker));
is(disk(), 0, 'nginx when idle holds nothing on disk');

# Opens all connections and streams, and reads one byte of each body. (nginx holds back
# even the head of a stream that cannot send.) Returns status => number of streams, once
# each stream has a status.
my @attack;
sub attack ($target, $headers, %o) {
	my %seen;
	for (1 .. $CONNECTIONS) {
		my $h2 = Http2->new(%tls, window => 1);
		my @id =
		    map { $h2->ask($o{method} // 'GET', $target, $headers, %o) } 1 .. $ATTEMPTS;
		push @attack, [$h2, \@id];
		next if $o{pending};
		$seen{ $h2->answer($_) }++ for @id;
	}
	return %seen;
}
sub give_up () {
	$_->[0]->close for splice @attack;
	poll { descriptors($worker) <= $idle{descriptors} } 'nginx has closed the connections';
}

# Lists that the client does not read.
{
	my %seen = attack($alice->tasks . '?limit=500', \@bearer);
	is($attack[0][0]->concurrent, STREAMS, 'a connection announces its limit of streams');
	is($seen{reset}, $CONNECTIONS * ($ATTEMPTS - STREAMS),
		'lists: streams beyond the limit are reset');
	is($seen{200}, LISTS, 'lists: as many as the limit for one client are answered');
	is($seen{429}, $CONNECTIONS * STREAMS - LISTS, 'lists: the others are refused');
	# The workers have passed all answers to nginx.
	my $id = $alice->id;
	poll { (grep { /route=\S+tasks status=200/ && /user=\Q$id\E/ } $stack->log_lines) > LISTS }
	    'the pool is free';
	my $other = $stack->user(client => $nginx->client(from => '127.0.0.2'));
	answers($other->get('/tasks'), 200, 'lists: another client is answered', []);
	$other->{client}->close;
	answers($alice->get('/api/me'), 200, 'lists: the same client is answered elsewhere');
	$stack->allow_status(429);
	refuses($alice->get('/tasks'),
		rate_limited => 'lists: the same client is refused another list');
	# Reading one byte at a time frees nothing.
	for (@attack) { my ($h2, $ids) = @$_; $h2->window_update($_, 1) for @$ids; $h2->take(0.1) }
	ok((poll { disk() >= LISTS * ($length - BUFFERS) } 'nginx has read the answers'),
	    'lists: the disk holds what does not fit into the buffers');
	my %is = (disk => disk(), memory => memory() - $idle{memory});
	my %may = (disk => LISTS * ($length + 4096),
	    memory => LISTS * BUFFERS + $CONNECTIONS * (STREAMS * STREAM + CONNECTION));
	for (qw(disk memory)) {
		cmp_ok($is{$_}, '<=', $may{$_},
			"lists: the $_ is bounded: $is{$_} of $may{$_} bytes");
	}
	figure('lists that nobody reads', sprintf '%d connections x %d streams of %d bytes: '
	    . '%.0f MiB of disk, %.1f MiB of memory',
	    $CONNECTIONS, $ATTEMPTS, $length, $is{disk} / MIB, $is{memory} / MIB);
	give_up();
	is(disk(), 0, 'lists: the disk is free once the connections are closed');
	answers($alice->get('/tasks?limit=1'), 200,
		'lists are answered once the connections are closed');
}

# The same over HTTP/1.1, with a connection for each list.
{
	my @reader;
	my %seen;
	for (1 .. LISTS + 8) {
		my $reader = $nginx->client;
		$reader->_connect;
		$reader->{socket}->setsockopt(SOL_SOCKET, SO_RCVBUF, 65536) or die $!;
		$reader->_write(
			$reader->_text('GET', $alice->tasks . '?limit=500', \@bearer, undef));
		$reader->_fill until $reader->{buf} =~ m{\AHTTP/1\.1 (\d+)};
		$seen{$1}++;
		push @reader, $reader;
	}
	is_deeply(\%seen, { 200 => LISTS, 429 => 8 },
		'HTTP/1.1: as many lists as the limit are answered');
	my ($disk, $may) = (disk(), LISTS * ($length + 4096));
	cmp_ok($disk, '<=', $may, "HTTP/1.1: the disk is bounded: $disk of $may bytes");
	$_->close for @reader;
	poll { descriptors($worker) <= $idle{descriptors} } 'nginx has closed the connections';
}

# The page, which the client does not read.
{
	mkdir $nginx->dir . '/page' or die $!;
	$nginx->text('page/index.html', '<!doctype html>' . 'x' x 100_000);
	chmod 0755, $nginx->dir, $nginx->dir . '/page';
	my %seen = attack('/', [['Accept-Encoding' => 'gzip']]);
	is($seen{200}, REQUESTS, 'page: as many requests as the limit for one client are answered');
	is($seen{429}, $CONNECTIONS * STREAMS - REQUESTS, 'page: the others are refused');
	my $more = descriptors($worker) - $idle{descriptors};
	cmp_ok($more, '<=', REQUESTS + $CONNECTIONS, "page: the descriptors are bounded: $more");
	my $memory = memory() - $idle{memory};
	my $may = REQUESTS * GZIP + $CONNECTIONS * (STREAMS * STREAM + CONNECTION);
	cmp_ok($memory, '<=', $may, "page: the memory is bounded: $memory of $may bytes");
	figure('a page that nobody reads', sprintf '%d connections x %d streams:'
	    . ' %d descriptors, %.1f MiB of memory', $CONNECTIONS, $ATTEMPTS, $more, $memory / MIB);
	give_up();
}

# Bodies that do not end: the time limit is for the pause between two bytes, so their
# number is limited.
for (['a task', $alice->tasks, \@bearer], ['Better Auth', '/api/auth/sign-in/email', []]) {
	my ($name, $target, $headers) = @$_;
	my @type = (['Content-Type' => 'application/json'], ['Content-Length' => 20]);
	attack($target, [@$headers, @type], method => 'POST', open => 1, pending => 1);
	my %seen;
	poll {
		%seen = ();
		for (@attack) {
			my ($h2, $ids) = @$_;
			$h2->take;
			$seen{ $h2->status($_) // 'open' }++ for @$ids
		}
		($seen{open} // 0) == REQUESTS;
	} "$name: as many bodies as the limit are being received";
	is($seen{429}, $CONNECTIONS * STREAMS - REQUESTS, "$name: the others are refused");
	is($seen{reset}, $CONNECTIONS * ($ATTEMPTS - STREAMS),
		"$name: streams beyond the limit are reset");
	give_up();
}

$stack->sql("DELETE FROM todo.tasks WHERE user_id = '" . $alice->id . "'");
$stack->done;
