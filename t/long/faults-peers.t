# Goal: whoever talks to the workers' socket slowly, half, wrongly or a thousand
# times at once does not keep them from others for longer than a few seconds,
# takes no memory for good, and ends none of them.

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
use Stack;

my $WORKERS = 2;
# A worker lets go after two seconds; whoever stands behind two peers waits twice.
my $PATIENCE = 7;
my $stack = Stack->new(inside => 1);
my $pool = $stack->program->pool(master => $WORKERS);
my $user = $stack->user(client => $stack->fastcgi($pool));
poll {
	my @w = $pool->workers;
	@w == $WORKERS && eval { $user->get('/tasks')->status == 200 }
}
'the pool answers';
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

# How long somebody else has to wait, in seconds; the answer must be right.
sub wait_of ($name) {
	my $start = time;
	my $answer = eval { $user->get("/tasks/$task->{id}") };
	my $took = time - $start;
	ok($answer && $answer->status == 200 && $took < $PATIENCE,
		sprintf '%s: others are served (%.2f s)', $name, $took);
	return $took;
}

my $longest = 0;
my @kinds = (
	['silent', ''],
	['half a record', substr begin(), 0, 6],
	['parameters without an end', begin() . record(4, $get)],
	['no end of the body', begin() . record(4, $get) . record(4, '')],
	[
		'a body that stalls',
		begin()
		    . record(
			4,
			pair(REQUEST_METHOD => 'POST')
			    . pair(REQUEST_URI => $user->tasks)
			    . $token
			    . pair(CONTENT_TYPE => 'application/json')
			    . pair(CONTENT_LENGTH => 14)
		    )
		    . record(4, '')
		    . record(5, '{"title"')
	],
	['an answer and no end', $whole],
	['keeping the connection', begin(1, 1) . record(4, $get) . record(4, '') . record(5, '')],
	[
		'a body nobody reads',
		begin()
		    . record(4, $get . pair(CONTENT_LENGTH => 50_000))
		    . record(4, '')
		    . record(5, 'x' x 50_000)
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
	['another role', begin(3) . record(4, $get) . record(4, '') . record(5, '')],
	['no role', begin(9)],
	['another version', "\x02" . substr $whole, 1],
	['values asked for', pack('CCnnCC', 1, 9, 0, 48, 0, 0) . (pair(FCGI_MAX_CONNS => '') x 3)],
	['unknown management', record(77, 'x' x 8, 0)],
	[
		'requests mixed',
		begin() . record(1, pack('nCx5', 1, 0), 2) . record(4, $get) . record(4, '')
	],
	['an abort', begin() . record(2, '')],
);
# The short form leaves out most of those that take their two seconds.
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

# One byte now and then, before the end of a request and after its answer.
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

# Nobody takes the answer, a large one.
{
	my $big = $stack->user(client => $stack->fastcgi($pool));
	# 2.4 MB: neither a socket nor one write of the program's holds that.
	my $rows = join ',', map {
		sprintf
		    "('%s', UNHEX('%032x'), REPEAT('\x{1f600}', 200), REPEAT('\x{1f600}', 1000), 0, 1, NOW(6), NOW(6))",
		    $big->id, $_
	} 1 .. 500;
	utf8::encode($rows);
	$stack->sql(
		"INSERT INTO todo.tasks (user_id, id, title, description, completed, revision, created_at, updated_at) VALUES $rows"
	);
	my $list =
	    begin()
	    . record(4,
		      pair(REQUEST_METHOD => 'GET')
		    . pair(REQUEST_URI => $big->tasks . '?limit=500')
		    . pair(HTTP_AUTHORIZATION => 'Bearer ' . $big->token))
	    . record(4, '')
	    . record(5, '');
	my @peer = map { peer($list) } 1 .. $WORKERS;
	sleep 0.1;
	my $took = wait_of('an answer nobody takes');
	$longest = $took if $took > $longest;
	my @got = $big->get('/tasks?limit=500')->json->@*;
	is(
		scalar(
			grep {
				       $_->{title} eq "\x{1f600}" x 200
				    && $_->{description} eq "\x{1f600}" x 1000
			} @got
		),
		500,
		'whoever takes it gets all of it');
}
is_deeply([sort $pool->workers], \@workers, 'no worker was lost over any of them');
figure('slow and wrong peers',
	sprintf '%d kinds, as many peers as workers: the longest wait of somebody else was %.1f s',
	@kinds + 3, $longest);

# 2,000 connections at once, each of them a request, some of which are left.
{
	my $n = 2000;
	my %before = map { $_ => resident($_) } $pool->workers;
	my ($answered, $refused, $left) = (0, 0, 0);
	my $start = time;
	my @open;
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
		# Full is full: nginx would answer 502 at once. We come again.
		for my $try (1 .. 2000) {
			socket $s, AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0 or die $!;
			last if connect $s, pack_sockaddr_un($pool->socket);
			close $s;
			$refused++;
			undef $s;
			$collect->(0.01);
		}
		die 'never let in' if !$s;
		if ($i % 50 == 0) { $left++; syswrite $s, substr $whole, 0, 20; close $s; next }
		syswrite $s, $whole;
		$in->add($s);
		$collect->(0) if $i % 100 == 0;
	}
	my $until = time + 60;
	$collect->(0.5) while $in->count && time < $until;
	my $took = time - $start;
	is($answered, $n - $left,
		sprintf
		    '%d connections at once: all that ask are answered (%.1f s, %d times the backlog was full)',
		$n, $took, $refused);
	wait_of('afterwards');
	is_deeply([sort $pool->workers], \@workers, 'by the same workers');
	my ($more) = sort { $b <=> $a } map { resident($_) - $before{$_} } keys %before;
	cmp_ok($more, '<', 1024, "whose memory has not grown by a MiB ($more KiB)");
	figure('2,000 connections at once',
		sprintf
		    '%d answered, %d left half way, none lost, %.1f s; memory of a worker +%d KiB',
		$answered, $left, $took, $more);
}

# Records of any bytes. (Only now: the names of users are random too.)
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
is($served, int $count / 100, "after $count streams of any bytes all are served (FUZZ_SEED=$seed)");
# libfcgi asserts that there is memory for a name and a value of 2 GiB less two bytes
# (what is longer it refuses): that worker is replaced, as any that dies.
my @died = $pool->log =~ /event=(worker_died.*)/g;
my $asserted = () = $pool->log =~ /fcgiapp\.c:\d+: Malloc: Assertion/g;
is(@died - $asserted, 0, 'and no worker died but of an assertion of libfcgi') or diag("@died");
figure('records of any bytes',
	sprintf '%d streams, %d workers died of an assertion of libfcgi, %d otherwise', $count,
	$asserted, @died - $asserted);

is($pool->log =~ /event=(?:request)[^\n]*status=500/ ? 1 : 0, 0, 'no 500 in all this');
undef $pool;
$stack->done;
