# Goal: no bytes in a body, a query, a path or a header give a 5xx or a malformed answer.
#
# FUZZ_SEED repeats a run, FUZZ_COUNT makes it longer.

use v5.36;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Test::More;
use Facts;
use Faults qw(sanitized);
use Stack;

my $seed = $ENV{FUZZ_SEED} // time % 1_000_000;
my $count = $ENV{FUZZ_COUNT} // 1500;
srand $seed;
note("FUZZ_SEED=$seed");
my $stack = Stack->new;
my $alice = $stack->user;
my $id = $alice->task('the one that is written')->{id};

sub any { $_[rand @_] }
sub bytes ($n) {
	join '', map { chr rand 256 } 1 .. $n
}
my @seeds = (
	'{"title":"t"}', '{"title":"Buy milk","description":"two\nlitres","completed":true}',
	'{"completed":false}', "{\"title\":\"\xc3\xa9\xf0\x9f\x98\x80\"}",
	'{"title":"\u00e9\ud83d\ude00","x":[1,-2.5e+3,null,{"y":[]}]}', '[]', '"x"', ''
);
my @bits =
    ('"', '\\', '{', '}', '[', ']', ',', ':', '\u0000', '\ud800', '\u', "\0", "\xff", "\xc3",
	"\xef\xbb\xbf", 'null', 'true', '1e999', '-', '0', 'title', '"title":', '"completed":',
	"\n", ' ', "'", '/*', '%s%n', "'; --", "\x7f");
sub mutated ($text) {
	for (1 .. 1 + rand 4) {
		substr $text, rand(1 + length $text), any(0, 0, 1, 1, 1 + int rand 8),
		    any(any(@bits), any(@bits), bytes(1), bytes(int rand 6), '');
	}
	return $text;
}
sub body () {
	my $r = rand;
	return bytes(int rand 200) if $r < .15;
	return bytes(int rand 17_000) if $r < .17;
	return any(@bits) x int rand(16_000 / 8) if $r < .22;
	return join '', map { any(@bits) } 1 .. 1 + rand 40 if $r < .4;
	return mutated(any(@seeds));
}

sub run ($name, $n, $make, $ask = sub { $alice->pipeline(@_) }) {
	my (%status, $bad);
	for (1 .. $n / 50) {
		for my $answer ($ask->(map { $make->() } 1 .. 50)) {
			$status{ $answer->status }++;
			$bad++, diag($answer->dump) if $answer->status >= 500 && ($bad // 0) < 3;
		}
	}
	is($bad // 0, 0, "$name: no 5xx (FUZZ_SEED=$seed)");
	note(join ', ', map { "$_: $status{$_}" } sort keys %status);
	return \%status;
}

my @tasks = ('/tasks', "/tasks/$id", "/tasks/$id/complete");
my $seen = run("$count bodies", $count, sub {
	my $i = int rand 4;
	[['POST', 'PUT', 'PATCH', 'PATCH']->[$i], $tasks[[0, 1, 1, 2]->[$i]], {}, body()]
});
ok($seen->{400} && $seen->{422} && $seen->{201}, 'some bodies are accepted, some refused');
$stack->expect_log(qr/client intended to send too large body/);

# Characters that a request line and a header field may have.
my @printable = map { chr } 33 .. 126;
sub junk ($n) {
	join '',
	    map { rand() < .5 ? sprintf '%%%02X', rand 256 : any(@printable) }
	    1 .. 1 +
	    rand $n
}
my @known = qw(status sort order limit after);
my @values = qw(all pending completed created updated title asc desc 1 500 0 501 -1 AAAA);
run('queries', $count, sub {
	my $q = join '&', map {
		      any(any(@known), junk(5))
		    . any('=', '=', '=', '', '==')
		    . any(any(@values), junk(20))
	} 1 .. rand 6;
	['GET', "/tasks?" . $q =~ tr/#/_/r, {}, undef]
});
run(
	'paths', $count,
	sub {
		my @s = ('api', $alice->id, 'tasks', $id, 'complete');
		my $p = join '/',
		    map { rand() < .8 ? $_ : any(junk(8), '', '.', '..', '%2e', uc, "$_%00") }
		    @s[0 .. int rand 5];
		[any(qw(GET GET PUT PATCH DELETE OPTIONS HEAD POST BREW)),
			'/api/' . $p =~ s{\A[^/]*/?}{}r =~ tr/#/_/r, {}, any(undef, '{}')]
	},
	# Some paths lead out of /api/, where other rules hold.
	sub {
		my @requests = @_;
		$stack->of_others(sub { $alice->pipeline(@requests) })
	});
run('headers', $count, sub {
	my $v = any(join('', map { chr any(9, 32 .. 126, 128 .. 255) } 1 .. rand 60), '"',
		'"x", ', '*', ',' x rand 50, 'x' x rand 3000);
	my $name = any('If-Match', 'If-None-Match', 'Idempotency-Key', 'Content-Type',
		'Authorization', 'Accept', 'X-Request-Id');
	[any(qw(GET PUT POST PATCH)), "/tasks", { $name => $v }, '{"title":"h"}']
});
answers($alice->get("/tasks?limit=1"), 200, 'the API answers after all mutations');

# Over FastCGI a value may hold any bytes.
if ($stack->dir) {
	my $direct = $stack->fastcgi;
	my $bad = 0;
	for (1 .. $count / 5) {
		my @headers = (
			[Authorization => 'Bearer ' . $alice->token],
			['Content-Type' => any('application/json', bytes(5))],
			map { [$_ => bytes(int rand 30)] }
			    grep { rand() < .3 } qw(If-Match If-None-Match Idempotency-Key)
		);
		my $target =
		    any($alice->tasks, $alice->tasks . '/' . $id, $alice->tasks . '?' . bytes(20),
			'/api/' . bytes(10), '/' . bytes(30), bytes(10));
		my $method = any(qw(GET POST PUT PATCH OPTIONS), bytes(5));
		my %id = rand() < .3 ? (first => [[REQUEST_ID => bytes(1 + int rand 200)]]) : ();
		my $answer = $stack->of_others(
			sub { $direct->send($method, $target, \@headers, body(), %id) });
		$bad++, diag($answer->dump) if $answer->status >= 500;
	}
	is($bad, 0, "over FastCGI: no 5xx (FUZZ_SEED=$seed)");
	for (["a\rX-Evil: 1", undef], ["\xe9", undef], ['x' x 129, undef], ['x' x 128, 'x' x 128],
		['req-1.2:3"', 'req-1.2:3"'])
	{
		my ($sent, $echoed) = @$_;
		my $answer = $stack->of_others(sub {
			$direct->send('GET', '/healthz', [], undef,
				first => [[REQUEST_ID => $sent]])
		});
		my $shown = $sent =~ s/[^ -~]/?/gr;
		is($answer->id, $echoed, "the request id $shown is "
		    . (defined $echoed ? 'echoed' : 'not echoed'));
	}
}

# A parameter with a length beyond all memory: libfcgi 2.4.2 ends the worker. It is
# replaced, and the others go on. (AddressSanitizer ends the program by itself.)
if ($stack->dir && !sanitized($stack->{build})) {
	my $pool = $stack->program->pool(master => 2);
	poll { my @w = $pool->workers; @w == 2 && $pool->log =~ /(?:event=ready.*){2}/s }
	    'a pool of two is ready';
	for (1 .. 3) {
		my %old = map { $_ => 1 } $pool->workers;
		my $socket = IO::Socket::UNIX->new(Peer => $pool->socket) or die $!;
		my $lengths = pack 'NN', 0xfffffffe, 0xc0000002;
		$socket->syswrite(
			      pack('CCnnxxnCx5', 1, 1, 1, 8, 1, 0)
			    . pack('CCnnxx', 1, 4, 1, length $lengths)
			    . $lengths);
		is($stack->fastcgi($pool)->send('GET', '/healthz')->status, 200,
			'the other worker answers');
		poll { my @w = $pool->workers; @w == 2 && grep { !$old{$_} } @w }
		    'the dead worker is replaced';
	}
	like($pool->log, qr/event=worker_died .*signal=6/, 'the log has the death of a worker');
}

$stack->done;
