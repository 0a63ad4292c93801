# Goal: a token that fails before its signature is known to be right has one answer, and
# neither the answer nor its time shows where the token failed or how much of the signature
# was right. Executed instructions are counted (valgrind), since a clock on a busy machine
# proves nothing; the long form also uses a clock and Student's t-test.

use v5.36;
use FindBin;
use lib "$FindBin::Bin/../lib";
use File::Temp ();
use List::Util qw(sum);
use Test::More;
use Faults;
use Files;
use Program;
use Token qw(b64u sign claims payload);

my $build = $ENV{STAGING_BUILD} // (defined $ENV{STAGING_DIR} ? "$ENV{STAGING_DIR}/build" : undef);
plan skip_all => 'no build tree' if !defined $build || !-e "$build/libtodo.a";
my $dir = File::Temp->newdir('todo-timing-XXXXXX', TMPDIR => 1);

# The answer ------------------------------------------------------------------

my $KEY = '0123456789abcdef0123456789abcdef';
my $URL = 'https://todo.example';
spew("$dir/todo.cnf", "[todo]\nsocket=/nonexistent/mariadb.sock\n");
chmod 0755, $dir;
my $program = Program->new(
	path => $ENV{TODO_FCGI} // "$build/todo-fcgi", asan => "$dir/asan",
	env => {BETTER_AUTH_SECRET => $KEY, BETTER_AUTH_URL => $URL,
		TODO_DB_DEFAULTS_FILE => "$dir/todo.cnf", TODO_LOG => 'stderr'
	});
my $worker = $program->worker;
my $client = $worker->client;

my $header = b64u('{"alg":"HS256","typ":"JWT"}');
sub body (%o) { b64u(payload(claims('alice', $URL, $URL, %o))) }
my $other = 'another key, of thirty-two bytes!';
my $right = sign($header, body(), $KEY);
sub altered ($at) { my $t = $right; substr $t, $at, 1, (substr $t, $at, 1) eq 'Q' ? 'A' : 'Q'; $t }
sub with_header ($json) { sign(b64u($json), body(), $KEY) }
my %wrong = (
	'nothing' => '', 'no token' => 'x', 'no dots' => 'x' x 200, 'too long' => 'x' x 5000,
	'two segments' => "$header." . body(), 'an empty payload' => sign($header, '', $KEY),
	'padded' => "$right=", 'a byte that is no base64url' => $right =~ s/./*/r,
	'a short signature' => substr($right, 0, -4), 'no signature' => $right =~ s/[^.]+\z//r,
	'the first character of the signature' => altered(-43),
	'one in the middle' => altered(-20), 'the last' => altered(-1),
	'a signature of zeros' => $right =~ s/[^.]+\z/'A' x 43/er,
	'another key' => sign($header, body(), $other),
	'another key, expired' => sign($header, body(exp => 1, iat => 0), $other),
	'another key and issuer' => sign($header, body(iss => '"x"'), $other),
	'another key and audience' => sign($header, body(aud => '"x"'), $other),
	'another key, no claims' => sign($header, b64u('{}'), $other),
	'another key, no JSON' => sign($header, b64u('x'), $other),
	'a payload changed after signing' => do {
		my ($h, undef, $s) = split /\./, $right;
		join '.', $h, body(user_id => '"bob"', sub => '"bob"'), $s
	},
	'alg none' => with_header('{"alg":"none"}'),
	'alg none, no signature' => b64u('{"alg":"none"}') . '.' . body() . '.',
	'HS512' => with_header('{"alg":"HS512"}'),
	'RS256' => with_header('{"alg":"RS256"}'),
	'EdDSA' => with_header('{"alg":"EdDSA"}') =~ s/[^.]+\z/'A' x 86/er,
	'no alg' => with_header('{}'),
	'no JSON in the header' => with_header('x'),
	'crit' => with_header('{"alg":"HS256","crit":["x"]}'),
	'a kid' => with_header('{"alg":"HS256","kid":1}'),
);
my %seen;
for my $name (sort keys %wrong) {
	my $answer = $client->send('GET', '/api/me', [[Authorization => "Bearer $wrong{$name}"]]);
	my $id = $answer->id;
	my $whole = join "\n", $answer->status,
	    (map { "$_->[0]: $_->[1]" } $answer->{headers}->@*), '', $answer->body;
	push $seen{ $whole =~ s/\Q$id\E/ID/gr }->@*, $name;
}
is(scalar keys %seen, 1,
	keys(%wrong)
	    . ' tokens that fail in different ways have the same answer, except for the request id'
) or diag(explain(\%seen));
like((keys %seen)[0], qr/\A401\n.*"code":"token_invalid"/s,
	'the common answer is 401 token_invalid');
my $taken = $client->send('GET', '/api/me', [[Authorization => "Bearer $right"]]);
is($taken->status, 200, 'the unmodified token is accepted');
undef $worker;

# The time -------------------------------------------------------------------

SKIP: {
	skip 'a build with sanitizers', 1 if sanitized($build);
	my $timing = compiled('fuzz/timing.c', build => $build) or skip 'no C compiler', 1;

	# What verify() executes, by callgrind: the numbers of instructions, reads, writes and
	# branches, for each signature.
	my $counts = sub ($what) {
		my %count;
		my $valgrind = 'valgrind -q --tool=callgrind --cache-sim=yes --branch-sim=yes'
		    . qq( --toggle-collect=verify --callgrind-out-file="$dir/$what.%p");
		my $out = qx{$valgrind "$timing" ways $what 2>"$dir/$what.log"};
		$? == 0 or return diag(slurp("$dir/$what.log"));
		for (grep { !/^#/ } split /\n/, $out) {
			my ($pid, $name) = split /\t/;
			my $text = slurp("$dir/$what.$pid");
			my ($events) = $text =~ /^events: (.*)/m;
			my %of;
			@of{ split ' ', $events } = split ' ', ($text =~ /^totals: (.*)/m)[0];
			$count{$name} = join ' ',
			    map { "$_=" . ($of{$_} // die "no $_") } qw(Ir Dr Dw Bc Bi);
		}
		return \%count;
	};
	my $figure;
	SKIP: {
		system('command -v valgrind >/dev/null') == 0 or skip 'no valgrind', 1;
		my $count = $counts->('plain');
		my $good = delete $count->{'43 right'};
		is(scalar keys %$count, 86,
			'86 signatures: 0 to 42 characters are right, or all except one');
		my %ways = map { $_ => 1 } values %$count;
		is(scalar keys %ways, 1, 'verify() executes the same for each wrong signature')
		    or diag(explain($count));
		ok($good && !$ways{$good},
			'verify() executes something else for the right signature');
		my ($each) = keys %ways;
		note("each: $each");

		# The same with an added ordinary comparison, which has to be seen.
		my $leak = $counts->('leak');
		delete $leak->{'43 right'};
		my %leaks = map { $_ => 1 } values %$leak;
		is(scalar keys %leaks, 43,
			'an ordinary comparison has one way for each character it stops at');
		$figure = '86 wrong signatures, right up to characters 0 to 42 or but for one: ' .
		    keys(%ways) . " way through auth_identify ($each)";
	}
	if (is_long()) {
		# One sample is one process. The mean difference and Student's t, without the
		# times above each percentile.
		my $times = sub ($processes, $count, $leak) {
			my (%of, $mean);
			for (1 .. $processes) {
				for (qx{"$timing" times $count $leak}) {
					my ($percent, $base, $difference) = split;
					push $of{$percent}->@*, $difference;
					$mean = $base;
				}
			}
			my @t;
			for my $percent (sort { $a <=> $b } keys %of) {
				my @d = $of{$percent}->@*;
				my $difference = sum(@d) / @d;
				my $error =
				    sqrt(sum(map { ($_ - $difference)**2 } @d) / (@d - 1) / @d);
				push @t, [abs $difference / $error, $difference, $error];
				diag(
					sprintf
					    '%s of %d processes, below the percentile %d:'
					    . ' difference %.3f +- %.3f ns of %.0f, t = %.2f',
					scalar @d, $percent,
					$difference, $error, $mean, $difference / $error);
			}
			return sort { $b->[0] <=> $a->[0] } @t;
		};
		my ($t) = $times->(50, 200_000, '');
		cmp_ok($t->[0], '<', 4.5,
			'a clock does not tell a wrong first character from a wrong last one');
		my ($leak) = $times->(10, 100_000, 'leak');
		cmp_ok($leak->[0], '>', 4.5, 'a clock sees an ordinary comparison');
		$figure .=
		      sprintf '; the clock, over 50 processes of 200,000 verifications: largest |t|'
		    . ' %.2f (%.2f +- %.2f ns), and of an ordinary comparison over 10 of 100,000'
		    . ' %.0f (%.0f ns)', $t->@*, $leak->@[0, 1];
	}
	figure('timing',
		      keys(%wrong)
		    . ' tokens that fail before the signature is known to be right:'
		    . " one answer; $figure");
}
done_testing;
