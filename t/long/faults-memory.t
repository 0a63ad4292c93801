# Goal: whichever allocation fails, on whatever endpoint, nobody gets in who
# should not, no 2xx is wrong or cut short, and no write is half done. What fails
# in the program itself, in libjwt or in json-c is a 5xx; a worker that dies of a
# failure inside libfcgi, Connector/C or the C library is replaced. (json-c 0.16
# itself looks into the name of a member that it had no memory for: the worker
# dies there too, which nginx makes a 502.)

use v5.36;
use FindBin;
use lib "$FindBin::Bin/../lib";
use File::Temp;
use Test::More;
use Time::HiRes qw(time sleep);
use Facts;
use Faults;
use Stack;

my $stack = Stack->new(inside => 1);
plan skip_all => 'sanitizers have an allocator of their own' if sanitized($stack->{build});
my $scarce = compiled('lib/scarce.c', shared => 1) or plan skip_all => 'no C compiler';
$stack->allow_status(500, 503);
my $dir = File::Temp->newdir;
my $SIZE = 20 + 64 + 64;
open my $control, '+>', "$dir/control" or die $!;
syswrite $control, "\0" x $SIZE;

my $program = $stack->program;
my ($way, $count, $run) = ('', 1, 0);
# An account of its own, so that its connection can be told from others.
my $account = 'scarce' . $stack->tag;
$stack->sql(
	"CREATE USER $account\@localhost IDENTIFIED BY 'scarce'; GRANT SELECT, INSERT, UPDATE, DELETE ON todo.tasks TO $account\@localhost; GRANT SELECT ON todo.schema_migrations TO $account\@localhost"
);
END { $stack->sql("DROP USER IF EXISTS $account\@localhost") if defined $account }
open my $f, '>', "$dir/todo.cnf" or die $!;
print {$f} $stack->read('etc/todo.cnf') =~ s/^user=.*/user=$account/mr =~
    s/^password=.*/password=scarce/mr;
close $f;
my $worker;
sub start {
	undef $worker;
	$worker = $program->worker(LD_PRELOAD => $scarce, SCARCE_FILE => "$dir/control",
		TODO_DB_DEFAULTS_FILE => "$dir/todo.cnf")
}
start();
my ($deaths, $requests) = (0, 0);

sub arm ($pid, $at) {
	sysseek $control, 0, 0;
	syswrite $control, pack 'L5 x128', $pid, $at, $count, 0, 0
}
sub told () {
	sysseek $control, 0, 0;
	my $bytes;
	sysread $control, $bytes, $SIZE;
	my %c;
	@c{qw(armed at count allocations failed object symbol)} = unpack 'L5 Z64 Z64', $bytes;
	return \%c;
}

sub client ($timeout = 10) { my $c = $stack->fastcgi($worker); $c->{timeout} = $timeout; $c }
my $id = $stack->fresh_id;
my $expired = $stack->token_of($id, claims => { exp => time - 5, iat => time - 50 });
my $foreign = $stack->token_of($id, key => 'x' x 40);
# Each of these is another token, for one that was verified before is known again.
sub bearer ($t = $stack->token_of($id)) { [Authorization => "Bearer $t"] }
my $json = ['Content-Type' => 'application/json'];
sub rows () {
	map { $_->[0] => $_->[1] }
	    $stack->sql(
		"SELECT title, CONCAT(COALESCE(description, '-'), '|', completed, '|', revision) FROM todo.tasks WHERE user_id = '$id'"
	    )
}

my $own = sub ($object) { $object =~ /\A(?:todo-fcgi|libjwt|libjansson|libjson-c|libcrypto)/ };

# One kind of request. make->($n): method, target, headers, body; good: the
# status it has when nothing fails; check->($answer, $n): is this 2xx right?;
# before: what is done just before it.
my (%by, @wrong);
my ($tried, $kinds) = (0, 0);
sub endpoint ($name, $good, $make, $check, $before = undef) {
	state %short = map { $_ => 1 } 'GET one', 'POST with a key', 'PUT', 'DELETE',
	    'an expired token', 'a member twice';
	return if !is_long() && !$short{$name};
	$kinds++ if !length $way;
	my ($k, $none, $first) = (1, 0, @wrong + 0);
	while ($k < 5000) {
		my @request = $make->($k);
		# All that stays from request to request is there already.
		my $warm = eval { client()->send('GET', "/api/$id/tasks?limit=1", [bearer()]) };
		if (!$warm || $warm->status != 200) {
			if (defined $worker->ended) { $deaths++; start() }
			sleep 0.05;
			next if ++$none < 200;
			fail("$name$way: the worker comes back");
			push @wrong, "$name$way: does not come back";
			diag($worker->log =~ s/\A.*(?=(?:.*\n){5}\z)//sr);
			return;
		}
		$none = 0;
		$before->() if $before;
		arm($worker->pid, $k);
		my $answer = eval {
			client()
			    ->send($request[0], $request[1], $request[2] // [], $request[3],
				maybe => 1)
		};
		my $why = $@;
		my $c = told();
		arm(0, 0);
		$requests++;
		my $status = $answer ? $answer->status : 'none';
		my $who = $c->{failed} ? $c->{object} : 'nobody';
		my $kind =
		     !$c->{failed} ? 'unscathed'
		    : $status eq $good ? 'coped'
		    : $status =~ /\A5/ ? '5xx'
		    : $status eq 'none' ? 'died'
		    : $status;
		$by{$who}{$kind}++ if $c->{failed};
		my $where = "$name, allocation $k$way ($who $c->{symbol})";
		if ($answer && $status < 300 && !$check->($answer, $k)) {
			push @wrong, "$where: a wrong $status: " . $answer->dump
		}
		elsif ($status eq $good) { }
		elsif ($status eq 'none') {
			push @wrong, "$where: no answer" if $own->($who) && $who !~ /\Alibjson-c/;
			push @wrong, "$where: no answer, but nothing failed" if !$c->{failed};
		} elsif ($status !~ /\A5/) {
			push @wrong, "$where: $status instead of $good"
			    if $own->($who)
			    || $status < 400
		}
		last if !$c->{failed};
		$tried++;
		$k++;
	}
	my @new = @wrong[$first .. $#wrong];
	is(scalar @new, 0, "$name: none of " . ($k - 1) . " allocations, failing$way, does harm");
	diag(join "\n", map { substr $_, 0, 300 } @new[0 .. ($#new > 4 ? 4 : $#new)]) if @new;
}

my $task =
    client()
    ->send('POST', "/api/$id/tasks", [bearer(), $json, ['Idempotency-Key' => 'first']],
	'{"title":"first","description":"kept"}')->json;
my $path = "/api/$id/tasks/$task->{id}";
my $reader = $stack->user(client => client());
$reader->task($_) for 'a', 'b';
my $page = $reader->tasks . '?status=all&sort=title&limit=1';
my ($next) = $reader->get($page)->header('Link') =~ /<(.*)>/;
my $same = sub ($a, $k) { my $t = $a->json; $t->{id} eq $task->{id} && $t->{user_id} eq $id };

sub all () {
	endpoint('GET one', 200, sub ($k) { ('GET', $path, [bearer()]) }, sub ($a, $k) {
		       $same->($a, $k)
		    && $a->json->{title} eq 'first'
		    && $a->json->{description} =~ /\A(?:kept|(?:put|patch) \d+)\z/
		    && $a->header('ETag')
	});
	endpoint('HEAD', 200, sub ($k) { ('HEAD', $path, [bearer()]) }, sub ($a, $k) {
		       $a->header('ETag')
		    && $a->header('Content-Length')
		    && $a->body eq ''
	});
	endpoint('GET that is known', 304,
		sub ($k) { ('GET', $path, [bearer(), ['If-None-Match' => '*']]) },
		sub ($a, $k) { 0 });
	endpoint(
		'list', 200,
		sub ($k) { ('GET', $page, [bearer($stack->token_of($reader->id))]) },
		sub ($a, $k) {
			$a->json->@* == 1 && $a->json->[0]{title} eq 'a' && $a->header('Link')
		});
	endpoint(
		'the next page',
		200,
		sub ($k) { ('GET', $next, [bearer($stack->token_of($reader->id))]) },
		sub ($a, $k) {
			$a->json->@* == 1 && $a->json->[0]{title} eq 'b' && !$a->header('Link')
		});
	endpoint('OPTIONS', 204, sub ($k) { ('OPTIONS', $path) },
		sub ($a, $k) { $a->header('Allow') });
	endpoint('me', 200, sub ($k) { ('GET', '/api/me', [bearer()]) }, sub ($a, $k) {
		$a->json->{user_id} eq $id && $a->json->{email} eq "$id\@example.com"
	});
	endpoint('healthz', 200, sub ($k) { ('GET', '/healthz') },
		sub ($a, $k) { $a->body eq '{"status":"ok"}' });
	endpoint('readyz', 200, sub ($k) { ('GET', '/readyz') },
		sub ($a, $k) { $a->body eq '{"status":"ok"}' });
	endpoint(
		'POST', 201,
		sub ($k)
		{ ('POST', "/api/$id/tasks", [bearer(), $json],
			qq({"title":"made $k","description":"\\ud83d\\ude00 $k","completed":true})
		) },
		sub ($a, $k) {
			my $t = $a->json;
			$t->{title} eq "made $k"
			    && $t->{description} eq "\x{1F600} $k"
			    && $t->{completed}
		});
	endpoint(
		'POST with a key',
		201,
		sub ($k)
		{ ('POST', "/api/$id/tasks",
			[bearer(), $json, ['Idempotency-Key' => "key$run-$k"]],
			qq({"title":"keyed $k"})) },
		sub ($a, $k) {
			my $t = $a->json;
			$t->{title} eq "keyed $k" && !defined $t->{description}
		});
	endpoint(
		'PUT', 200,
		sub ($k) { ('PUT', $path, [bearer(), $json], qq({"description":"put $k"})) },
		sub ($a, $k) {
			$same->($a, $k)
			    && $a->json->{title} eq 'first'
			    && $a->json->{description} eq "put $k"
		});
	endpoint(
		'PATCH with If-Match',
		200,
		sub ($k)
		{ ('PATCH', $path, [bearer(), $json, ['If-Match' => '*']],
			qq({"description":"patch $k"})) },
		sub ($a, $k) { $same->($a, $k) && $a->json->{description} eq "patch $k" });
	endpoint(
		'complete',
		200,
		sub ($k)
		{ ('PATCH', "$path/complete", [bearer(), $json],
			'{"completed":' . ($k % 2 ? 'true' : 'false') . '}') },
		sub ($a, $k) { $same->($a, $k) && !$a->json->{completed} == !($k % 2) });

	endpoint(
		'DELETE', 204,
		sub ($k) {
			my $made = eval {
				client()
				    ->send('POST', "/api/$id/tasks", [bearer(), $json],
					qq({"title":"doomed $k"}))
			};
			('DELETE',
				$made && $made->status == 201
				? "/api/$id/tasks/" . $made->json->{id}
				: $path . 'x', [bearer(), ['If-Match' => '*']])
		},
		sub ($a, $k) { $a->body eq '' });

	# On a connection that is made anew. (After each that fails none is tried for half
	# a second: once is enough.)
	my $cut = sub () {
		my $mine = "SELECT id FROM information_schema.processlist WHERE user = '$account'";
		$stack->sql(join '; ', 'DO 0',
			map { "KILL CONNECTION $_->[0]" } $stack->sql($mine));
		poll { !$stack->sql($mine) } 'it is cut';
	};
	endpoint('GET, connecting', 200, sub ($k) { ('GET', $path, [bearer()]) },
		sub ($a, $k) { $same->($a, $k) }, $cut)
	    if !$run;
	endpoint('PUT, connecting', 200,
		sub ($k) { ('PUT', $path, [bearer(), $json], qq({"description":"put $k"})) },
		sub ($a, $k) { $same->($a, $k) && $a->json->{description} eq "put $k" }, $cut)
	    if !$run;

	# Who may not: 401 or 403, or a failure, but never more.
	my $never = sub ($a, $k) { 0 };
	endpoint('a foreign signature', 401, sub ($k) { ('GET', $path, [bearer($foreign)]) },
		$never);
	endpoint('an expired token', 401, sub ($k) { ('GET', $path, [bearer($expired)]) }, $never);
	endpoint('no token', 401, sub ($k) { ('GET', $path) }, $never);
	endpoint(
		'alg none',
		401,
		sub ($k)
		{ ('GET', $path,
			[bearer($stack->token_of($id) =~ s/\A[^.]+/eyJhbGciOiJub25lIn0/r)]) },
		$never);
	endpoint('another tenant', 403, sub ($k) { ('GET', "/api/other$id/tasks", [bearer()]) },
		$never);
	endpoint('a body that is no JSON', 400,
		sub ($k) { ('POST', "/api/$id/tasks", [bearer(), $json], '{"title":"x') }, $never);
	endpoint('a stale ETag', 412,
		sub ($k)
		{ ('PUT', $path, [bearer(), $json, ['If-Match' => '"x"']], '{"title":"never"}') },
		$never);
	endpoint(
		'a key for another',
		422,
		sub ($k)
		{ ('POST', "/api/$id/tasks",
			[bearer(), $json, ['Idempotency-Key' => 'first']], '{"title":"never"}') },
		$never);
	endpoint('two members wrong', 422,
		sub ($k)
		{ ('POST', "/api/$id/tasks", [bearer(), $json], '{"title":"","completed":1}') },
		$never);
	endpoint('a member twice', 400,
		sub ($k)
		{ ('POST', "/api/$id/tasks", [bearer(), $json], '{"title":"x","title":"y"}') },
		$never);
}

# As it is built, one failing; then all that follow failing too; then each that is
# asked of the pool being a malloc() of its own. (t/coverage has it built like that
# to begin with; such a pool keeps nothing by for an answer when all fails.)
all();
if (is_long() && !$ENV{FAULTS_ONE_BLOCK_EACH}) {
	($way, $count, $run) = (', and all after it', 0xffffffff, 1);
	all();
	$program->{path} = rebuilt('-DONE_BLOCK_EACH=1') or die 'no compiler';
	($way, $count, $run) = (', each by itself', 1, 2);
	start();
	all();
}

# What is in the table is whole: what was sent, or nothing.
my %row = rows();
my @half = grep {
	my $now = $row{$_};
	!(        /\Amade (\d+)\z/ ? $now eq "\xf0\x9f\x98\x80 $1|1|1"
		: /\Akeyed \d+\z/ ? $now eq '-|0|1'
		: /\Adoomed \d+\z/ ? $now eq '-|0|1'
		: $_ eq 'first' && $now =~ /\A(?:kept|put \d+|patch \d+)\|[01]\|\d+\z/)
} keys %row;
is_deeply(\@half, [], 'no write is half done') or diag(map { "$_: $row{$_}\n" } @half);

for my $who (sort keys %by) {
	note("$who: " . join ', ', map { "$_ $by{$who}{$_}" } sort keys $by{$who}->%*)
}
my %sum;
for my $who (keys %by) { $sum{$_} += $by{$who}{$_} for keys $by{$who}->%* }
figure( 'out of memory',
	sprintf
	    '%d allocations failed on %d kinds of request: %s; %d deaths of a worker; %d harmful',
	$tried, $kinds, join(', ', map { "$sum{$_} x $_" } sort keys %sum), $deaths, scalar @wrong);
undef $worker;
$stack->expect_log(qr/./);
$stack->done;
