# Goal: no acknowledged write is lost and no write is done twice when workers and the
# database are killed (-9) under load. A dying worker is invisible to GET and HEAD; a write
# that it was handling is 502, and nobody repeats it.

use v5.36;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Test::More;
use Time::HiRes qw(time sleep);
use Facts;
use Faults;
use Files;
use Stack;

my ($WORKERS, $WRITERS) = (4, 4);
my $stack = Stack->new(private => 1, env => { STAGING_WORKERS => $WORKERS });
$stack->allow_status(502, 503, 504);
$stack->expect_log(qr/event=(?:database|worker_died|start|ready|memory)/, qr/status=503/,
    qr/upstream prematurely closed|prematurely closed FastCGI|Connection reset/,
    qr/upstream server temporarily disabled/,
    qr/(?:readv|writev)\(\) failed/);

# Writers and readers ask while `kill` is called `kills` times. Returns a task that all have
# toggled, and what each client has seen.
sub load ($kills, $kill) {
	my $stop = $stack->dir . '/run/stop' . int rand 1e9;
	my $toggled = $stack->user(id => $stack->fresh_id);
	my $shared = $toggled->task('toggled by all');
	# A list of 25 KB: longer than one write of libfcgi.
	$toggled->task("listed $_", description => 'd' x 1000) for 1 .. 20;
	my @seen = in_parallel(
		$stack,
		$WRITERS + 3,
		sub ($i) {
			if ($i == 0) {
				eval {
					for (1 .. $kills) { $kill->($_); sleep 0.05 }
				};
				open my $f, '>', $stop or die $!;
				die $@ if $@;
				return {};
			}
			my $client = $stack->new_client(timeout => 12);
			my %seen = (
				made => [], gone => [], unknown => [], statuses => {},
				toggles => [0, 0], torn => 0
			);
			# Each client asks until it is told to stop, whatever happens.
			my $ask = sub ($user, @request) {
				my $answer = eval { $user->request(@request) };
				if (!$answer) {
					$seen{torn}++;
					diag("torn: $@") if $seen{torn} < 3;
					return
				}
				my $kind = $request[0] =~ /\A(?:GET|HEAD)\z/ ? 'read' : 'write';
				$seen{statuses}{ "$kind " . $answer->status }++;
				return $answer;
			};
			if ($i <= 2) {
				# readers
				my $me = $toggled->with(client => $client);
				until (-e $stop) {
					$ask->( $me, $_,
						rand() < .5 ? '/tasks' : "/tasks/$shared->{id}"
					) for qw(GET HEAD);
				}
				return \%seen;
			}
			my $me = $stack->user(client => $client, id => $stack->fresh_id . "w$i");
			my $all = $toggled->with(client => $client);
			$seen{id} = $me->id;
			my ($n, $row) = (0, undef);
			until (-e $stop) {
				my $name = "$i-" . ++$n;
				# With a key: repeated until acknowledged.
				while (1) {
					my $answer = $ask->(
						$me, 'POST', '/tasks',
						{ 'Idempotency-Key' => "k$name" },
						{ title => "key $name" });
					if ($answer && $answer->status == 201) {
						push $seen{made}->@*, "key $name";
						$row //= $answer->json->{id};
						last
					}
					last if -e $stop and push $seen{unknown}->@*, "key $name";
					sleep 0.02;
				}
		       # Without a key: sent once; without an acknowledgement the result is unknown.
				my $answer =
				    $ask->($me, 'POST', '/tasks', {}, { title => "bare $name" });
				push $seen{ $answer && $answer->status == 201 ? 'made' : 'unknown' }
				    ->@*, "bare $name";
				# Every third task without a key is deleted.
				if ($n % 3 == 0 && $answer && $answer->status == 201) {
					my $title = pop $seen{made}->@*;
					$answer =
					    $ask->($me, 'DELETE', '/tasks/' . $answer->json->{id});
					my $gone =
					    $answer && $answer->status == 204 ? 'gone' : 'unknown';
					push $seen{$gone}->@*, $title;
				}
			      # One row, written again and again: it has the last acknowledged value
			      # or a later one.
				if ($row) {
					$answer = $ask->(
						$me, 'PUT', "/tasks/$row", {},
						{ description => "$n" });
					if ($answer && $answer->status == 200) {
						$seen{written} = $n;
						$seen{tried} = []
					} else {
						push $seen{tried}->@*, $n
					}
				}
				$answer = $ask->(
					$all, 'PATCH', "/tasks/$shared->{id}/complete", {},
					undef);
				$seen{toggles}[$answer && $answer->status == 200 ? 0 : 1]++;
			}
			$seen{row} = $row;
			return \%seen;
		});
	return ($shared, @seen[1 .. $#seen]);
}

sub judge ($name, $shared, @seen) {
	my %status;
	my ($acknowledged, $lost, $doubled, $strange, $torn) = (0, 0, 0, 0, 0);
	my ($sure, $maybe) = (0, 0);
	for my $seen (@seen) {
		$status{$_} += $seen->{statuses}{$_} for keys $seen->{statuses}->%*;
		$torn += $seen->{torn};
		my $id = $seen->{id} // next;
		my %count;
		$count{ $_->[0] }++
		    for $stack->sql("SELECT title FROM todo.tasks WHERE user_id = '$id'");
		$acknowledged += $seen->{made}->@* + 2 * $seen->{gone}->@*;
		$lost += grep { !$count{$_} } $seen->{made}->@*;
		$lost += grep { $count{$_} } $seen->{gone}->@*;
		$doubled += grep { $_ > 1 } values %count;
		my %sent = map { $_ => 1 } $seen->{made}->@*, $seen->{gone}->@*,
		    $seen->{unknown}->@*;
		$strange += grep { !$sent{$_} } keys %count;
		if ($seen->{row} && defined $seen->{written}) {
			my $row = $seen->{row} =~ tr/-//dr;
			my ($now) = map { $_->[0] } $stack->sql("SELECT description FROM todo.tasks
			    WHERE user_id = '$id' AND id = UNHEX('$row')");
			$acknowledged++;
			$lost++
			    if !grep { $now eq $_ } $seen->{written}, ($seen->{tried} // [])->@*;
		}
		$sure += $seen->{toggles}[0];
		$maybe += $seen->{toggles}[1];
	}
	my $row = $shared->{id} =~ tr/-//dr;
	my $made =
	    ($stack->sql("SELECT revision, completed FROM todo.tasks WHERE id = UNHEX('$row')"))[0];
	my $toggles = $made->[0] - 1;
	ok($toggles >= $sure && $toggles <= $sure + $maybe,
		"$name: $sure toggles acknowledged, $maybe unknown, $toggles made");
	is($made->[1], $toggles % 2, "$name: completed agrees with the number of toggles");
	is($lost, 0, "$name: of $acknowledged acknowledged writes none is lost");
	is($doubled, 0, "$name: no write was done twice");
	is($strange, 0, "$name: there is no task that was not sent");
	is($torn, 0, "$name: each request was answered whole");
	note(join ', ', map { "$_: $status{$_}" } sort keys %status);
	$acknowledged += $sure;
	my $times = $toggles > $sure + $maybe ? $toggles - $sure - $maybe : 0;
	$lost += $sure - $toggles if $toggles < $sure;
	return (\%status, sprintf '%d acknowledged writes, %d lost, %d doubled', $acknowledged,
		$lost, $doubled + $times);
}

# Workers are killed one after the other, once the one before has been replaced. Each is
# older than a second, since the master delays the replacement of younger ones.
sub age ($pid) {
	my ($uptime) = split ' ', slurp_if_there('/proc/uptime');
	my $stat = slurp_if_there("/proc/$pid/stat") =~ s/.*\) //r;
	return $uptime - ((split ' ', $stat)[19] // 'inf') / 100;
}
my $kills = long(8, 100);
my ($shared, @seen) = load(
	$kills,
	sub ($n) {
		my $victim = poll {
			my @old = grep { age($_) > 1.1 } $stack->workers;
			@old && $old[rand @old]
		} 'a worker is older than a second';
		kill KILL => $victim;
		poll { replaced($stack, $WORKERS, $victim) } 'the worker is replaced';
		sleep rand 0.2;
	});
my ($status, $told) = judge("$kills workers killed", $shared, @seen);
is_deeply([grep { !/\Aread 200\z/ } grep { /\Aread/ } keys %$status], [],
	'workers killed: each GET and HEAD is 200');
is_deeply(
	[grep { !/\Awrite (?:20[014]|502)\z/ } grep { /\Awrite/ } keys %$status], [],
	'workers killed: each write is a success or 502');
cmp_ok($status->{'write 502'} // 0, '<=', $kills, 'workers killed: at most one 502 for each');
cmp_ok(scalar(grep { /event=worker_died/ } $stack->log_lines), '>=', $kills,
	'workers killed: each is in the log');
my $unread = 0;
$unread += $status->{$_} for grep { /\Aread (?!200)/ } keys %$status;
figure('workers killed', sprintf '%d kills, %s; %d writes were 502, %d of %d reads were not 200',
    $kills, $told, $status->{'write 502'} // 0, $unread, $unread + $status->{'read 200'});

# The database.
$kills = long(1, 20);
($shared, @seen) = load(
	$kills,
	sub ($n) {
		sleep 0.5;
		kill KILL => $stack->pid('mariadb');
		sleep 0.2;
		$stack->staging('db-start');
		sleep 1.2;
	});
($status, $told) = judge("the database killed ($kills)", $shared, @seen);
is_deeply([grep { !/ (?:20[014]|503)\z/ } keys %$status], [],
	'the database killed: each request is a success or 503');
figure( 'database killed', sprintf '%d kills, %s; %d answers were 503',
	$kills, $told, ($status->{'write 503'} // 0) + ($status->{'read 503'} // 0));

$stack->done;
