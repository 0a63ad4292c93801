# Goal: peers on the workers' socket that are slow, incomplete, wrong or a thousand at once
# keep the workers from others for a few seconds at most, hold no memory for good, and end
# no worker.

use v5.36;
use FindBin;
use lib "$FindBin::Bin/../lib";
use IO::Select;
use IO::Socket::UNIX;
use Socket qw(AF_UNIX SOCK_STREAM SOCK_NONBLOCK pack_sockaddr_un);
use Test::More;
use Time::HiRes qw(time sleep);
use Facts;
use Faults;
use Sql;
use Stack;

my $WORKERS = 2;
# A worker drops a peer after two seconds; a request behind two peers waits twice.
my $PATIENCE = 7;
my $stack = Stack->new(inside => 1);
my $pool = $stack->program->pool(master => $WORKERS);
my $user = $stack->user(client => $stack->fastcgi($pool));
poll {
	my @w = $pool->workers;
	@w == $WORKERS && eval { $user->get('/tasks')->status == 200 }
} 'the pool answers';
my $task = $user->task('before');
my @workers = sort $pool->workers;

sub record ($type, $data, $id = 1, $pad = 0) {
	pack('CCnnCC', 1, $type, $id, length $data, $pad, 0) . $data . "\0" x $pad
}
sub pair ($name, $value) {
	join '',
	    (map { length $_ < 128 ? pack 'C', length : pack 'N', length($_) | 0x80000000 } $name,
		$value), $name, $value
}
sub begin ($role = 1, $keep = 0) { record(1, pack 'nCx5', $role, $keep) }
sub peer ($bytes = '') {
	my $s = IO::Socket::UNIX->new(Peer => $pool->socket) or die $!;
	local $SIG{PIPE} = 'IGNORE';
	$s->syswrite($bytes) if length $bytes;
	return $s;
}
my $get = pair(REQUEST_METHOD => 'GET') . pair(REQUEST_URI => '/healthz');
my $whole = begin() . record(4, $get) . record(4, '') . record(5, '');
my $token = pair(HTTP_AUTHORIZATION => 'Bearer ' . $user->token);

# The seconds that another request has to wait. Its answer must be right.
sub wait_of ($name) {
	my $start = time;
	my $answer = eval { $user->get("/tasks/$task->{id}") };
	my $took = time - $start;
	ok($answer && $answer->status == 200 && $took < $PATIENCE,
		sprintf '%s: another request is answered (%.2f s)', $name, $took);
	return $took;
}

my $longest = 0;
my $end = record(4, '') . record(5, '');
my $post = join '', $token, pair(REQUEST_METHOD => 'POST'), pair(REQUEST_URI => $user->tasks),
    pair(CONTENT_TYPE => 'application/json'), pair(CONTENT_LENGTH => 14);
my $long_body = $get . pair(CONTENT_LENGTH => 50_000);
my @kinds = (
	['silent', ''],
	['half a record', substr begin(), 0, 6],
	['parameters without an end', begin() . record(4, $get)],
	['no end of the body', begin() . record(4, $get) . record(4, '')],
	['a body that stalls', begin() . record(4, $post) . record(4, '') . record(5, '{"title"')],
	['an answer and no end', $whole],
	['keeping the connection', begin(1, 1) . record(4, $get) . $end],
	[
		'a body that is not read',
		begin() . record(4, $long_body) . record(4, '') . record(5, 'x' x 50_000)
	],
	[
		'names longer than memory',
		begin()
		    . record(4, pack('NN', 0xffffffff, 0xffffffff) . 'A' x 30_000)
		    . record(4, 'A' x 30_000)
	],
	[
		'a value of a gigabyte',
		begin() . record(4, pack('NN', 0x80000001, 0xbfffffff) . 'A' x 30_000)
	],
	['another role', begin(3) . record(4, $get) . $end],
	['no role', begin(9)],
	['another version', "\x02" . substr $whole, 1],
	['values asked for', pack('CCnnCC', 1, 9, 0, 48, 0, 0) . (pair(FCGI_MAX_CONNS => '') x 3)],
	['unknown management', record(77, 'x' x 8, 0)],
	['requests mixed',
	    begin() . record(1, pack('nCx5', 1, 0), 2) . record(4, $get) . record(4, '')],
	['an abort', begin() . record(2, '')],
);
# The short form leaves out most peers that take two seconds.
my %long = map { $_ => 1 } 'silent', 'half a record', 'no end of the body',
    'a value of a gigabyte', 'values asked for', 'requests mixed', 'an abort';
@kinds = grep { is_long() || !$long{ $_->[0] } } @kinds;
for (@kinds) {
	my ($name, $bytes) = @$_;
	my @peer = map { peer($bytes) } 1 .. $WORKERS;
	sleep 0.05;
	my $took = wait_of($name);
	$longest = $took if $took > $longest;
}

# One byte every 0.2 s, before the end of a request and after its answer.
for (['dripping in', begin() . record(4, $get)], ['dripping on', $whole]) {
	my ($name, $bytes) = @$_;
	my @peer = map { peer($bytes) } 1 .. $WORKERS;
	my $pid = fork // die $!;
	if (!$pid) {
		local $SIG{PIPE} = 'IGNORE';
		for (1 .. 60) { syswrite $_, "\1" for @peer; sleep 0.2 }
		POSIX::_exit(0);
	}
	sleep 0.1;
	my $took = wait_of($name);
	$longest = $took if $took > $longest;
	kill KILL => $pid;
	waitpid $pid, 0;
}

# A large answer that the peer does not read.
{
	my $big = $stack->user(client => $stack->fastcgi($pool));
	# 2.4 MB: more than a socket holds, and more than one write of the program.
	my $smile = '_utf8mb4 0xF09F9880';
	insert_tasks($stack, [$big], 500, title => "REPEAT($smile, 200)",
	    description => "REPEAT($smile, 1000)");
	my $list = begin() . record(4, join '', pair(REQUEST_METHOD => 'GET'),
	    pair(REQUEST_URI => $big->tasks . '?limit=500'),
	    pair(HTTP_AUTHORIZATION => 'Bearer ' . $big->token)) . $end;
	my @peer = map { peer($list) } 1 .. $WORKERS;
	sleep 0.1;
	my $took = wait_of('an answer that is not read');
	$longest = $took if $took > $longest;
	my ($title, $description) = map { "\x{1f600}" x $_ } 200, 1000;
	my @whole = grep { $_->{title} eq $title && $_->{description} eq $description }
	    $big->get('/tasks?limit=500')->json->@*;
	is(scalar @whole, 500, 'a client that reads gets the whole large answer');
}
is_deeply([sort $pool->workers], \@workers, 'no peer has ended a worker');
figure( 'slow and wrong peers',
	sprintf
	    '%d kinds, as many peers as workers: the longest wait of another request was %.1f s',
	@kinds + 3, $longest);

# 2,000 connections at once, each with a request; some are closed half way.
{
	my $n = 2000;
	my %before = map { $_ => resident($_) } $pool->workers;
	my ($answered, $refused, $left) = (0, 0, 0);
	my $start = time;
	my $in = IO::Select->new;
	my %got;
	my $collect = sub ($timeout) {
		for my $s ($in->can_read($timeout)) {
			my $r = sysread $s, my $bytes, 65536;
			if ($r) { $got{ fileno $s } .= $bytes; next }
			$answered++ if ($got{ fileno $s } // '') =~ /Status: 200/;
			delete $got{ fileno $s };
			$in->remove($s);
			close $s;
		}
	};
	for my $i (1 .. $n) {
		my $s;
		# The backlog is full: try again. (nginx would answer 502.)
		for my $try (1 .. 2000) {
			socket $s, AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0 or die $!;
			last if connect $s, pack_sockaddr_un($pool->socket);
			close $s;
			$refused++;
			undef $s;
			$collect->(0.01);
		}
		die 'no connection' if !$s;
		if ($i % 50 == 0) { $left++; syswrite $s, substr $whole, 0, 20; close $s; next }
		syswrite $s, $whole;
		$in->add($s);
		$collect->(0) if $i % 100 == 0;
	}
	my $until = time + 60;
	$collect->(0.5) while $in->count && time < $until;
	my $took = time - $start;
	is($answered, $n - $left,
		sprintf '%d connections at once: all whole requests are answered'
		    . ' (%.1f s, %d times the backlog was full)', $n, $took, $refused);
	wait_of('after 2,000 connections at once');
	is_deeply([sort $pool->workers], \@workers, '2,000 connections at once end no worker');
	my ($more) = sort { $b <=> $a } map { resident($_) - $before{$_} } keys %before;
	cmp_ok($more, '<', 1024,
		"2,000 connections at once: a worker grows by less than 1 MiB ($more KiB)"
	);
	figure( '2,000 connections at once',
		sprintf
		    '%d answered, %d left half way, none lost, %.1f s; memory of a worker +%d KiB',
		$answered, $left, $took, $more);
}

# Records of any bytes. (srand comes late, since ids of users are random too.)
my $seed = $ENV{FUZZ_SEED} // int(time) % 1_000_000;
srand $seed;
note("FUZZ_SEED=$seed");
my $count = long(400, 20_000);
my @bits = (
	$whole, begin(), record(4, $get), record(4, ''), record(5, ''), record(5, 'x'),
	record(2, ''), record(9, pair(FCGI_MAX_REQS => ''), 0),
	record(4, pair(REQUEST_URI => '/api/me') . $token), pack('NN', 0xffffffff, 0x80000000),
	pair(CONTENT_LENGTH => '99999999999'), "\1\4\0\1\xff\xff\xff\0"
);
my $served = 0;
for my $n (1 .. $count) {
	my $bytes = join '', map { $bits[rand @bits] } 1 .. 1 + rand 5;
	for (1 .. rand 5) {
		substr $bytes, rand(length $bytes), int rand 3, join '',
		    map { chr rand 256 }
		    1 .. rand 4
	}
	my $s = peer($bytes);
	$s->shutdown(1);
	1 while $s->sysread(my $answer, 65536);
	$served++ if $n % 100 == 0 && $user->get("/tasks/$task->{id}")->status == 200;
}
is($served, int $count / 100,
	"every request among $count streams of any bytes is answered (FUZZ_SEED=$seed)");
# libfcgi asserts that there is memory for a name and a value of up to 2 GiB less two
# bytes, and refuses longer ones. A worker that dies of the assertion is replaced.
my @died = $pool->log =~ /event=(worker_died.*)/g;
my $asserted = () = $pool->log =~ /fcgiapp\.c:\d+: Malloc: Assertion/g;
is(@died - $asserted, 0, 'no worker died, except of an assertion of libfcgi') or diag("@died");
figure('records of any bytes',
	sprintf '%d streams, %d workers died of an assertion of libfcgi, %d otherwise', $count,
	$asserted, @died - $asserted);

is($pool->log =~ /event=(?:request)[^\n]*status=500/ ? 1 : 0, 0, 'no request was 500');
undef $pool;
$stack->done;
