# Goal: whichever allocation fails, on whatever endpoint, nobody is let in wrongly, no 2xx
# is wrong or cut short, and no write is half done. A failure in the program itself, in
# libjwt or in json-c is a 5xx; a worker that dies of a failure inside libfcgi,
# Connector/C or the C library is replaced. (json-c 0.16 reads the name of a member for
# which it had no memory: the worker dies there too, and nginx answers 502.)

use v5.36;
use FindBin;
use lib "$FindBin::Bin/../lib";
use File::Temp;
use Test::More;
use Time::HiRes qw(time sleep);
use Facts;
use Faults;
use Files;
use Sql;
use Stack;

my $stack = Stack->new(inside => 1);
plan skip_all => 'sanitizers replace the allocator' if sanitized($stack->{build});
my $scarce = compiled('lib/scarce.c', shared => 1) or plan skip_all => 'no C compiler';
$stack->allow_status(500, 503);
my $dir = File::Temp->newdir;
my $SIZE = 20 + 64 + 64;
open my $control, '+>', "$dir/control" or die $!;
syswrite $control, "\0" x $SIZE;

my $program = $stack->program;
my ($way, $count, $run) = ('', 1, 0);
# An account of its own, so that its connection is known.
my $account = 'scarce' . $stack->tag;
$stack->sql("CREATE USER $account\@localhost IDENTIFIED BY 'scarce';
    GRANT SELECT, INSERT, UPDATE, DELETE ON todo.tasks TO $account\@localhost;
    GRANT SELECT ON todo.schema_migrations TO $account\@localhost");
END { $stack->sql("DROP USER IF EXISTS $account\@localhost") if defined $account }
my $options = $stack->read('etc/todo.cnf') =~ s/^user=.*/user=$account/mr;
spew("$dir/todo.cnf", $options =~ s/^password=.*/password=scarce/mr);
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
# A new token each time: a token that was verified before is cached.
sub bearer ($t = $stack->token_of($id)) { [Authorization => "Bearer $t"] }
my $json = ['Content-Type' => 'application/json'];
sub rows () {
	return map { $_->[0] => $_->[1] } $stack->sql("SELECT title,
	    CONCAT(COALESCE(description, '-'), '|', completed, '|', revision)
	    FROM todo.tasks WHERE user_id = '$id'");
}

my $own = sub ($object) { $object =~ /\A(?:todo-fcgi|libjwt|libjansson|libjson-c|libcrypto)/ };

# One kind of request. make->($n): method, target, headers, body; good: its status when
# nothing fails; check->($answer, $n): is this 2xx right?; before: a sub to call first.
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
		# Everything that is kept between requests has been allocated.
		my $warm = eval { client()->send('GET', "/api/$id/tasks?limit=1", [bearer()]) };
		if (!$warm || $warm->status != 200) {
			if (defined $worker->ended) { $deaths++; start() }
			sleep 0.05;
			next if ++$none < 200;
			fail("$name$way: a worker answers again");
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
	is(scalar @new, 0, "$name: " . ($k - 1) . " allocations fail$way without harm");
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

# A body of JSON with the token and more headers: the arguments of send().
sub write_to ($method, $target, $body, @headers) {
	return ($method, $target, [bearer(), $json, @headers], $body);
}
sub own_get (@headers) { ('GET', $path, [bearer(), @headers]) }
sub reader_get ($target) { ('GET', $target, [bearer($stack->token_of($reader->id))]) }
sub lists_only ($title) {
	return sub ($a, $k) { $a->json->@* == 1 && $a->json->[0]{title} eq $title };
}

sub all_kinds () {
	my $tasks = "/api/$id/tasks";
	my $ok = sub ($a, $k) { $a->body eq '{"status":"ok"}' };
	endpoint('GET one', 200, sub ($k) { own_get() }, sub ($a, $k) {
		my $t = $a->json;
		$same->($a, $k) && $t->{title} eq 'first' && $a->header('ETag')
		    && $t->{description} =~ /\A(?:kept|(?:put|patch) \d+)\z/;
	});
	endpoint('HEAD', 200, sub ($k) { ('HEAD', $path, [bearer()]) }, sub ($a, $k) {
		$a->header('ETag') && $a->header('Content-Length') && $a->body eq '';
	});
	endpoint('GET that is known', 304, sub ($k) { own_get(['If-None-Match' => '*']) },
	    sub ($a, $k) { 0 });
	endpoint('list', 200, sub ($k) { reader_get($page) }, sub ($a, $k) {
		lists_only('a')->($a, $k) && $a->header('Link');
	});
	endpoint('the next page', 200, sub ($k) { reader_get($next) }, sub ($a, $k) {
		lists_only('b')->($a, $k) && !$a->header('Link');
	});
	endpoint('OPTIONS', 204, sub ($k) { ('OPTIONS', $path) },
	    sub ($a, $k) { $a->header('Allow') });
	endpoint('me', 200, sub ($k) { ('GET', '/api/me', [bearer()]) }, sub ($a, $k) {
		$a->json->{user_id} eq $id && $a->json->{email} eq "$id\@example.com";
	});
	endpoint('healthz', 200, sub ($k) { ('GET', '/healthz') }, $ok);
	endpoint('readyz', 200, sub ($k) { ('GET', '/readyz') }, $ok);
	endpoint('POST', 201, sub ($k) {
		my $description = qq("\\ud83d\\ude00 $k");
		write_to('POST', $tasks,
		    qq({"title":"made $k","description":$description,"completed":true}));
	}, sub ($a, $k) {
		my $t = $a->json;
		$t->{title} eq "made $k" && $t->{description} eq "\x{1F600} $k" && $t->{completed};
	});
	endpoint('POST with a key', 201, sub ($k) {
		my @key = ('Idempotency-Key' => "key$run-$k");
		write_to('POST', $tasks, qq({"title":"keyed $k"}), \@key);
	}, sub ($a, $k) {
		$a->json->{title} eq "keyed $k" && !defined $a->json->{description};
	});
	endpoint('PUT', 200, sub ($k) { write_to('PUT', $path, qq({"description":"put $k"})) },
	    sub ($a, $k) {
		$same->($a, $k) && $a->json->{title} eq 'first'
		    && $a->json->{description} eq "put $k";
	});
	endpoint('PATCH with If-Match', 200, sub ($k) {
		write_to('PATCH', $path, qq({"description":"patch $k"}), ['If-Match' => '*']);
	}, sub ($a, $k) { $same->($a, $k) && $a->json->{description} eq "patch $k" });
	endpoint('complete', 200, sub ($k) {
		my $value = $k % 2 ? 'true' : 'false';
		write_to('PATCH', "$path/complete", qq({"completed":$value}));
	}, sub ($a, $k) { $same->($a, $k) && !$a->json->{completed} == !($k % 2) });
	endpoint('DELETE', 204, sub ($k) {
		my @request = write_to('POST', $tasks, qq({"title":"doomed $k"}));
		my $made = eval { client()->send(@request) };
		my $target = "${path}x";
		$target = "$tasks/" . $made->json->{id} if $made && $made->status == 201;
		return ('DELETE', $target, [bearer(), ['If-Match' => '*']]);
	}, sub ($a, $k) { $a->body eq '' });

	# With a new connection to the database. (After a failed connection the worker does
	# not try again for half a second: one run is enough.)
	my $cut = sub () {
		cut_connections($stack, $account);
		poll { !connections($stack, $account) } 'the connection is cut';
	};
	if (!$run) {
		endpoint('GET, connecting', 200, sub ($k) { own_get() },
		    sub ($a, $k) { $same->($a, $k) }, $cut);
		endpoint('PUT, connecting', 200,
		    sub ($k) { write_to('PUT', $path, qq({"description":"put $k"})) },
		    sub ($a, $k) { $same->($a, $k) && $a->json->{description} eq "put $k" }, $cut);
	}

	# Requests that are refused: the right 4xx, or a 5xx, but never a 2xx.
	my $never = sub ($a, $k) { 0 };
	my $refused = sub ($name, $status, @request) {
		endpoint($name, $status, sub ($k) { @request }, $never);
	};
	my $none = sub ($k) { $stack->token_of($id) =~ s/\A[^.]+/eyJhbGciOiJub25lIn0/r };
	$refused->('a foreign signature', 401, 'GET', $path, [bearer($foreign)]);
	$refused->('an expired token', 401, 'GET', $path, [bearer($expired)]);
	$refused->('no token', 401, 'GET', $path);
	endpoint('alg none', 401, sub ($k) { ('GET', $path, [bearer($none->($k))]) }, $never);
	endpoint('another tenant', 403, sub ($k) { ('GET', "/api/other$id/tasks", [bearer()]) },
	    $never);
	my $refused_write = sub ($name, $status, @write) {
		endpoint($name, $status, sub ($k) { write_to(@write) }, $never);
	};
	$refused_write->('a body that is not JSON', 400, 'POST', $tasks, '{"title":"x');
	$refused_write->('a stale ETag', 412, 'PUT', $path, '{"title":"never"}',
	    ['If-Match' => '"x"']);
	$refused_write->('a used key', 422, 'POST', $tasks, '{"title":"never"}',
	    ['Idempotency-Key' => 'first']);
	$refused_write->('two members wrong', 422, 'POST', $tasks, '{"title":"","completed":1}');
	$refused_write->('a member twice', 400, 'POST', $tasks, '{"title":"x","title":"y"}');
}

# The program as it is built, with one failing allocation; then with all later allocations
# failing too; then with each allocation of the arena as a malloc() of its own. (t/coverage
# builds the program like that from the start; such an arena has no reserve for an answer.)
all_kinds();
if (is_long() && !$ENV{FAULTS_ONE_BLOCK_EACH}) {
	($way, $count, $run) = (', and all later ones', 0xffffffff, 1);
	all_kinds();
	$program->{path} = rebuilt('-DONE_BLOCK_EACH=1') or die 'no compiler';
	($way, $count, $run) = (', each a malloc()', 1, 2);
	start();
	all_kinds();
}

# Each row of the table is whole.
my %row = rows();
sub is_whole ($title, $rest) {
	return $rest eq "\xf0\x9f\x98\x80 $1|1|1" if $title =~ /\Amade (\d+)\z/;
	return $rest eq '-|0|1' if $title =~ /\A(?:keyed|doomed) \d+\z/;
	return $title eq 'first' && $rest =~ /\A(?:kept|put \d+|patch \d+)\|[01]\|\d+\z/;
}
my @half = grep { !is_whole($_, $row{$_}) } keys %row;
is_deeply(\@half, [], 'no write is half done') or diag(map { "$_: $row{$_}\n" } @half);

for my $who (sort keys %by) {
	note("$who: " . join ', ', map { "$_ $by{$who}{$_}" } sort keys $by{$who}->%*)
}
my %sum;
for my $who (keys %by) { $sum{$_} += $by{$who}{$_} for keys $by{$who}->%* }
my $sums = join ', ', map { "$sum{$_} x $_" } sort keys %sum;
figure('out of memory', sprintf '%d allocations failed on %d kinds of request: %s;'
    . ' %d deaths of a worker; %d harmful', $tried, $kinds, $sums, $deaths, scalar @wrong);
undef $worker;
$stack->expect_log(qr/./);
$stack->done;
