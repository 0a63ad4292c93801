# Goal: whichever allocation fails, on whatever endpoint, nobody gets in who
# should not, no 2xx is wrong or cut short, and no write is half done. What fails
# in the program itself, in libjwt or in json-c is a 5xx; a worker that dies of a
# failure inside libfcgi, Connector/C or the C library is replaced. (json-c 0.16
# itself looks into the name of a member that it had no memory for: the worker
# dies there too, which nginx makes a 502.)

use v5.36;
use FindBin;
use lib "$FindBin::Bin/lib", "$FindBin::Bin/faults";
use File::Temp;
use Test::More;
use Time::HiRes qw(time sleep);
use Facts;
use Faults;
use Stack;

my $stack = Stack->new(inside => 1);
plan skip_all => 'sanitizers have an allocator of their own' if sanitized($stack->{build});
my $scarce = compiled('faults/scarce.c', shared => 1) or plan skip_all => 'no C compiler';
$stack->allow_status(500, 503);
my $dir = File::Temp->newdir;
my $SIZE = 20 + 64 + 64;
open my $control, '+>', "$dir/control" or die $!;
syswrite $control, "\0" x $SIZE;

# SCARCE_BUILD: a tree in which every allocation of the pool is a malloc() of its
# own, which shows more of them (check-faults makes one).
my $program = $stack->program;
$program->{path} = "$ENV{SCARCE_BUILD}/todo-fcgi" if $ENV{SCARCE_BUILD};
my $worker;
sub start { $worker = $program->worker(LD_PRELOAD => $scarce, SCARCE_FILE => "$dir/control") }
start();
my ($deaths, $requests) = (0, 0);

sub arm ($pid, $at, $count = 1) { sysseek $control, 0, 0; syswrite $control, pack 'L5 x128', $pid, $at, $count, 0, 0 }
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
my $token = $stack->token_of($id);
my $expired = $stack->token_of($id, claims => { exp => time - 5, iat => time - 50 });
my $foreign = $stack->token_of($id, key => 'x' x 40);
sub bearer ($t = $token) { [Authorization => "Bearer $t"] }
my $json = ['Content-Type' => 'application/json'];
sub rows () { map { $_->[0] => $_->[1] } $stack->sql("SELECT title, CONCAT(COALESCE(description, '-'), '|', completed, '|', revision) FROM todo.tasks WHERE user_id = '$id'") }

my $own = sub ($object) { $object =~ /\A(?:todo-fcgi|libjwt|libjansson|libjson-c|libcrypto)/ };

# One kind of request. make->($n): method, target, headers, body; good: the
# status it has when nothing fails; check->($answer, $n): is this 2xx right?
my (%by, @wrong);
my ($tried, $kinds) = (0, 0);
sub endpoint ($name, $good, $make, $check) {
	state %short = map { $_ => 1 } 'GET one', 'POST with a key', 'PUT', 'DELETE', 'an expired token', 'a member twice';
	return if !is_long() && !$short{$name};
	$kinds++;
	my ($k, $none, $first) = (1, 0, @wrong + 0);
	while ($k < 3000) {
		my @request = $make->($k);
		# All that stays from request to request is there already.
		my $warm = eval { client()->send('GET', "/api/$id/tasks?limit=1", [bearer()]) };
		if (!$warm || $warm->status != 200) {
			if (defined $worker->ended) { $deaths++; start() }
			sleep 0.05;
			next if ++$none < 200;
			push @wrong, "$name: does not come back";
			return;
		}
		$none = 0;
		arm($worker->pid, $k);
		my $answer = eval { client()->send($request[0], $request[1], $request[2] // [], $request[3], maybe => 1) };
		my $why = $@;
		my $c = told();
		arm(0, 0);
		$requests++;
		my $status = $answer ? $answer->status : 'none';
		my $who = $c->{failed} ? $c->{object} : 'nobody';
		my $kind = !$c->{failed} ? 'unscathed' : $status eq $good ? 'coped' : $status =~ /\A5/ ? '5xx' : $status eq 'none' ? 'died' : $status;
		$by{$who}{$kind}++ if $c->{failed};
		my $where = "$name, allocation $k ($who $c->{symbol})";
		if ($answer && $status < 300 && !$check->($answer, $k)) { push @wrong, "$where: a wrong $status: " . $answer->dump }
		elsif ($status eq $good) { }
		elsif ($status eq 'none') {
			push @wrong, "$where: no answer" if $own->($who) && $who !~ /\Alibjson-c/;
			push @wrong, "$where: no answer, but nothing failed" if !$c->{failed};
		}
		elsif ($status !~ /\A5/) { push @wrong, "$where: $status instead of $good" if $own->($who) || $status < 400 }
		last if !$c->{failed};
		$tried++;
		$k++;
	}
	my @new = @wrong[$first .. $#wrong];
	is(scalar @new, 0, "$name: none of " . ($k - 1) . ' allocations, failing, does harm');
	diag(join "\n", map { substr $_, 0, 300 } @new[0 .. ($#new > 4 ? 4 : $#new)]) if @new;
}

my $answer = client()->send('POST', "/api/$id/tasks", [bearer(), $json], '{"title":"first","description":"kept"}');
my $task = $answer->json;
my $path = "/api/$id/tasks/$task->{id}";
my $same = sub ($a, $k) { my $t = $a->json; $t->{id} eq $task->{id} && $t->{user_id} eq $id };

endpoint('GET one', 200, sub ($k) { ('GET', $path, [bearer()]) }, sub ($a, $k) { $same->($a, $k) && $a->json->{title} eq 'first' && $a->json->{description} eq 'kept' && $a->header('ETag') });
endpoint('list', 200, sub ($k) { ('GET', "/api/$id/tasks?status=all&sort=title&limit=1", [bearer()]) }, sub ($a, $k) { $a->json->@* == 1 });
endpoint('me', 200, sub ($k) { ('GET', '/api/me', [bearer()]) }, sub ($a, $k) { $a->json->{user_id} eq $id && $a->json->{email} eq "$id\@example.com" });
endpoint('healthz', 200, sub ($k) { ('GET', '/healthz') }, sub ($a, $k) { $a->body eq '{"status":"ok"}' });
endpoint('readyz', 200, sub ($k) { ('GET', '/readyz') }, sub ($a, $k) { $a->body eq '{"status":"ok"}' });
endpoint('POST', 201, sub ($k) { ('POST', "/api/$id/tasks", [bearer(), $json], qq({"title":"made $k","description":"\\ud83d\\ude00 $k","completed":true})) },
    sub ($a, $k) { my $t = $a->json; $t->{title} eq "made $k" && $t->{description} eq "\x{1F600} $k" && $t->{completed} });
endpoint('POST with a key', 201, sub ($k) { ('POST', "/api/$id/tasks", [bearer(), $json, ['Idempotency-Key' => "key$k"]], qq({"title":"keyed $k"})) },
    sub ($a, $k) { my $t = $a->json; $t->{title} eq "keyed $k" && !defined $t->{description} });
endpoint('PUT', 200, sub ($k) { ('PUT', $path, [bearer(), $json], qq({"description":"put $k"})) }, sub ($a, $k) { $same->($a, $k) && $a->json->{title} eq 'first' && $a->json->{description} eq "put $k" });
endpoint('PATCH with If-Match', 200, sub ($k) { ('PATCH', $path, [bearer(), $json, ['If-Match' => '*']], qq({"description":"patch $k"})) }, sub ($a, $k) { $same->($a, $k) && $a->json->{description} eq "patch $k" });
endpoint('complete', 200, sub ($k) { ('PATCH', "$path/complete", [bearer(), $json], '{"completed":' . ($k % 2 ? 'true' : 'false') . '}') }, sub ($a, $k) { $same->($a, $k) && !$a->json->{completed} == !($k % 2) });

# Each DELETE has a task of its own.
my @doomed;
endpoint('DELETE', 204, sub ($k) {
	my $made = eval { client()->send('POST', "/api/$id/tasks", [bearer(), $json], qq({"title":"doomed $k"})) };
	('DELETE', $made && $made->status == 201 ? "/api/$id/tasks/" . $made->json->{id} : $path . 'x', [bearer(), ['If-Match' => '*']]) }, sub ($a, $k) { $a->body eq '' });

# Who may not: 401 or 403, or a failure, but never more.
my $never = sub ($a, $k) { 0 };
endpoint('a foreign signature', 401, sub ($k) { ('GET', $path, [bearer($foreign)]) }, $never);
endpoint('an expired token', 401, sub ($k) { ('GET', $path, [bearer($expired)]) }, $never);
endpoint('no token', 401, sub ($k) { ('GET', $path) }, $never);
endpoint('alg none', 401, sub ($k) { ('GET', $path, [bearer($token =~ s/\A[^.]+/eyJhbGciOiJub25lIn0/r)]) }, $never);
endpoint('another tenant', 403, sub ($k) { ('GET', "/api/other$id/tasks", [bearer()]) }, $never);
endpoint('a body that is no JSON', 400, sub ($k) { ('POST', "/api/$id/tasks", [bearer(), $json], '{"title":"x') }, $never);
endpoint('a member twice', 400, sub ($k) { ('POST', "/api/$id/tasks", [bearer(), $json], '{"title":"x","title":"y"}') }, $never);

# What is in the table is whole: what was sent, or nothing.
my %row = rows();
my @half = grep {
	my $now = $row{$_};
	!(/\Amade (\d+)\z/ ? $now eq "\xf0\x9f\x98\x80 $1|1|1" : /\Akeyed \d+\z/ ? $now eq '-|0|1' : /\Adoomed \d+\z/ ? $now eq '-|0|1' : $_ eq 'first' && $now =~ /\A(?:kept|put \d+|patch \d+)\|[01]\|\d+\z/)
} keys %row;
is_deeply(\@half, [], 'no write is half done') or diag(map { "$_: $row{$_}\n" } @half);

for my $who (sort keys %by) { note("$who: " . join ', ', map { "$_ $by{$who}{$_}" } sort keys $by{$who}->%*) }
my %sum;
for my $who (keys %by) { $sum{$_} += $by{$who}{$_} for keys $by{$who}->%* }
figure('out of memory', sprintf '%d allocations failed on %d kinds of request: %s; %d deaths of a worker; %d harmful',
    $tried, $kinds, join(', ', map { "$sum{$_} x $_" } sort keys %sum), $deaths, scalar @wrong);
undef $worker;
$stack->expect_log(qr/./);
$stack->done;
