# Goal: clients that read nothing, or send nothing more, hold a bounded amount of
# disk, memory and descriptors, however many connections and streams they open;
# counted in bytes. Meanwhile everybody else is served, and once they are gone
# all of it is free again.

use v5.36;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Socket qw(SOL_SOCKET SO_RCVBUF);
use Test::More;
use Facts;
use Faults;
use Http2;
use Nginx;
use Stack;

# What nginx/todo-fastcgi-params.conf and todo-server.conf allow one client.
use constant { LISTS => 32, REQUESTS => 100, STREAMS => 32, MIB => 1 << 20 };
# What a stream and a connection take of nginx's memory at most; a list, besides,
# the buffers of todo-fastcgi-params.conf, and what is compressed zlib's.
use constant { STREAM => 32 << 10, BUFFERS => (64 * 8 + 16 + 32) << 10, CONNECTION => 256 << 10,
    GZIP => 320 << 10 };

my $CONNECTIONS = long(4, 10);
my $ATTEMPTS = 128; # streams that the attacker opens on each, whatever it is told
my $TASKS = long(200, 500);

my $stack = Stack->new(inside => 1);
# With buffers of the kernel, here and below, that do not hold an answer for nginx.
my $nginx = Nginx->new(stack => $stack, install => sub ($self) {
	$self->install;
	$self->edit('conf.d/todo-site.conf', ' ssl http2;' => ' ssl http2 sndbuf=64k;');
});
my %tls = (url => $nginx->url, ca => $stack->{env}{STAGING_CA});
my $alice = $stack->user(client => $nginx->client);
my @bearer = ([Authorization => 'Bearer ' . $alice->token]);
# The largest task there is: each character takes six bytes of JSON.
$stack->sql(sprintf "INSERT INTO todo.tasks (user_id, id, title, description, completed, revision,
	created_at, updated_at) SELECT '%s', UNHEX(LPAD(HEX(seq), 32, '0')), REPEAT(CHAR(1), 200),
	REPEAT(CHAR(1), 1000), 0, 1, NOW(6), NOW(6) FROM todo.seq_1_to_%d", $alice->id, $TASKS);
my $length = length $alice->get('/tasks?limit=500')->body;
cmp_ok($length, '>', $TASKS * 7200, "a list is as large as can be: $length bytes");

# Bytes that nginx's worker holds on disk in files without a name (st_blocks of
# what /proc has as deleted), bytes of its memory (Pss), and its descriptors.
my ($worker) = $nginx->workers;
sub disk () {
	my $sum = 0;
	for my $fd (glob "/proc/$worker/fd/*") {
		next if (readlink($fd) // '') !~ m{\A\Q@{[$nginx->dir]}\E/.* \(deleted\)\z};
		$sum += 512 * ((stat $fd)[12] // 0);
	}
	return $sum;
}
sub memory () { return 1024 * (slurp("/proc/$worker/smaps_rollup") =~ /^Pss:\s+(\d+)/m)[0] }
my %idle = (memory => memory(), descriptors => descriptors($worker));
is(disk(), 0, 'idle, nginx holds nothing on disk');

# Opens all the connections and streams, and reads one byte of each body. (Of a
# stream that can send nothing nginx keeps back the head too.) Returns how many
# got which status, once each has one.
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
	poll { descriptors($worker) <= $idle{descriptors} } 'nginx has closed what it had open';
}

# Lists that nobody reads.
{
	my %seen = attack($alice->tasks . '?limit=500', \@bearer);
	is($attack[0][0]->concurrent, STREAMS, 'a connection is told how many streams it may have');
	is($seen{reset}, $CONNECTIONS * ($ATTEMPTS - STREAMS), 'those beyond are not taken');
	is($seen{200}, LISTS, 'so many lists are under way for one client');
	is($seen{429}, $CONNECTIONS * STREAMS - LISTS, 'and the others refused');
	# The workers have handed over what they had to: nginx has all of it.
	my $id = $alice->id;
	poll { (grep { /route=\S+tasks status=200/ && /user=\Q$id\E/ } $stack->log_lines) > LISTS }
	    'the pool is free again';
	my $other = $stack->user(client => $nginx->client(from => '127.0.0.2'));
	answers($other->get('/tasks'), 200, 'another client is served', []);
	$other->{client}->close;
	answers($alice->get('/api/me'), 200, 'and so is this one, with what is no list');
	$stack->allow_status(429);
	refuses($alice->get('/tasks'), rate_limited => 'for lists it has to wait');
	# A little at a time is as little as nothing.
	for (@attack) { my ($h2, $ids) = @$_; $h2->window_update($_, 1) for @$ids; $h2->take(0.1) }
	ok((poll { disk() >= LISTS * ($length - BUFFERS) } 'nginx has read the answers'),
	    'on disk is what does not fit into the buffers');
	my %is = (disk => disk(), memory => memory() - $idle{memory});
	my %may = (disk => LISTS * ($length + 4096),
	    memory => LISTS * BUFFERS + $CONNECTIONS * (STREAMS * STREAM + CONNECTION));
	for (qw(disk memory)) {
		cmp_ok($is{$_}, '<=', $may{$_},
			"the $_ of it is bounded: $is{$_} of $may{$_} bytes");
	}
	figure('lists that nobody reads', sprintf '%d connections x %d streams of %d bytes: '
	    . '%.0f MiB of disk, %.1f MiB of memory',
	    $CONNECTIONS, $ATTEMPTS, $length, $is{disk} / MIB, $is{memory} / MIB);
	give_up();
	is(disk(), 0, 'and it is all free when they are gone');
	answers($alice->get('/tasks?limit=1'), 200, 'lists too');
}

# The same over HTTP/1.1, by a connection for each.
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
	is_deeply(\%seen, { 200 => LISTS, 429 => 8 }, 'over HTTP/1.1 as many are under way');
	my ($disk, $may) = (disk(), LISTS * ($length + 4096));
	cmp_ok($disk, '<=', $may, "the disk of it is bounded: $disk of $may bytes");
	$_->close for @reader;
	poll { descriptors($worker) <= $idle{descriptors} } 'nginx has closed what it had open';
}

# The page, of which nobody reads the answers either.
{
	mkdir $nginx->dir . '/page' or die $!;
	$nginx->text('page/index.html', '<!doctype html>' . 'x' x 100_000);
	chmod 0755, $nginx->dir, $nginx->dir . '/page';
	my %seen = attack('/', [['Accept-Encoding' => 'gzip']]);
	is($seen{200}, REQUESTS, 'so many requests are under way for one client');
	is($seen{429}, $CONNECTIONS * STREAMS - REQUESTS, 'and the others refused');
	my $more = descriptors($worker) - $idle{descriptors};
	cmp_ok($more, '<=', REQUESTS + $CONNECTIONS, "its descriptors are bounded: $more");
	my $memory = memory() - $idle{memory};
	my $may = REQUESTS * GZIP + $CONNECTIONS * (STREAMS * STREAM + CONNECTION);
	cmp_ok($memory, '<=', $may, "so is the memory: $memory of $may bytes");
	figure( 'a page that nobody reads',
		sprintf '%d connections x %d streams: %d descriptors, %.1f MiB '
		    . 'of memory', $CONNECTIONS, $ATTEMPTS, $more, $memory / MIB);
	give_up();
}

# Bodies that do not end: they have a time limit between two bytes alone, and so
# their number is what bounds them.
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
	} "$name: so many bodies may be on their way";
	is($seen{429}, $CONNECTIONS * STREAMS - REQUESTS, "$name: the others were refused");
	is($seen{reset}, $CONNECTIONS * ($ATTEMPTS - STREAMS), "$name: or not taken");
	give_up();
}

$stack->sql("DELETE FROM todo.tasks WHERE user_id = '" . $alice->id . "'");
$stack->done;
