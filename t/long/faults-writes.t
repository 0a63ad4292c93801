# Goal: no acknowledged write is lost and none is doubled, when workers and the
# database are killed (-9) under load; a dying worker is invisible to GET and
# HEAD; a write that was in its hands is 502 and is not repeated by anybody.

use v5.36;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Test::More;
use Time::HiRes qw(time sleep);
use Facts;
use Faults;
use Stack;

my ($WORKERS, $WRITERS) = (4, 4);
my $stack = Stack->new(private => 1, env => { STAGING_WORKERS => $WORKERS });
$stack->allow_status(502, 503, 504);
$stack->expect_log(
	qr/event=(?:database|worker_died|start|ready|memory)/, qr/status=503/,
	qr/upstream prematurely closed|prematurely closed FastCGI|Connection reset|upstream server temporarily disabled|readv\(\) failed|writev\(\) failed/
);

# A client may itself be cut off only by its own deadline, never by a short answer.
sub load ($kills, $kill) {
	my $stop = $stack->dir . '/run/stop' . int rand 1e9;
	my $toggled = $stack->user(id => $stack->fresh_id);
	my $shared = $toggled->task('toggled by all');
	# A list of them is 25 KB: longer than what libfcgi writes at once.
	$toggled->task("listed $_", description => 'd' x 1000) for 1 .. 20;
	my @seen = in_parallel($stack, $WRITERS + 3, sub ($i) {
		if ($i == 0) {
			eval {
				for (1 .. $kills) { $kill->($_); sleep 0.05 }
			};
			open my $f, '>', $stop;
			die $@ if $@;
			return {};
		}
		my $client = $stack->new_client(timeout => 12);
		my %seen = (made => [], gone => [], unknown => [], statuses => {},
			toggles => [0, 0], torn => 0);
		# None of the others may stop a client: it asks until it is told to stop.
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
		if ($i <= 2) {    # readers
			my $me = $toggled->with(client => $client);
			until (-e $stop) {
				$ask->($me, $_,
					rand() < .5 ? '/tasks' : "/tasks/$shared->{id}")
				    for qw(GET HEAD);
			}
			return \%seen;
		}
		my $me = $stack->user(client => $client, id => $stack->fresh_id . "w$i");
		my $all = $toggled->with(client => $client);
		$seen{id} = $me->id;
		my ($n, $row) = (0, undef);
		until (-e $stop) {
			my $name = "$i-" . ++$n;
			# With a key: repeated until it is acknowledged.
			while (1) {
				my $answer =
				    $ask->($me, 'POST', '/tasks',
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
			# Without one: once, and if it is not acknowledged nobody knows.
			my $answer =
			    $ask->($me, 'POST', '/tasks', {}, { title => "bare $name" });
			push $seen{ $answer && $answer->status == 201 ? 'made' : 'unknown' }
			    ->@*, "bare $name";
			# Every third of those goes again.
			if ($n % 3 == 0 && $answer && $answer->status == 201) {
				my $title = pop $seen{made}->@*;
				$answer =
				    $ask->($me, 'DELETE', '/tasks/' . $answer->json->{id});
				push $seen{    $answer
					    && $answer->status == 204 ? 'gone' : 'unknown' }
				    ->@*, $title;
			}
		   # One row, written again and again: the last acknowledged or a later one.
			if ($row) {
				$answer = $ask->($me, 'PUT', "/tasks/$row", {},
					{ description => "$n" });
				if ($answer && $answer->status == 200) {
					$seen{written} = $n;
					$seen{tried} = []
				}
				else { push $seen{tried}->@*, $n }
			}
			$answer = $ask->($all, 'PATCH', "/tasks/$shared->{id}/complete", {},
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
			my $now = (
				$stack->sql(
					"SELECT description FROM todo.tasks WHERE user_id = '$id' AND id = UNHEX('$row')"
				)
			)[0][0];
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
	is($made->[1], $toggles % 2, 'and the task is as many toggles leave it');
	is($lost, 0, "$name: of $acknowledged acknowledged writes none is lost");
	is($doubled, 0, 'none is there twice');
	is($strange, 0, 'nor is any that was not sent');
	is($torn, 0, 'no answer was cut short, none was missing');
	note(join ', ', map { "$_: $status{$_}" } sort keys %status);
	$acknowledged += $sure;
	my $times = $toggles > $sure + $maybe ? $toggles - $sure - $maybe : 0;
	$lost += $sure - $toggles if $toggles < $sure;
	return (\%status, sprintf '%d acknowledged writes, %d lost, %d doubled', $acknowledged,
		$lost, $doubled + $times);
}

# Workers. The next is killed when the one before has been replaced; one of more
# than a second, for those who die younger the master makes wait (t/program/master.t).
sub age ($pid) {
	(split ' ', slurp('/proc/uptime'))[0] -
	    ((split ' ', slurp("/proc/$pid/stat") =~ s/.*\) //r)[19] // 'inf') / 100
}
my $kills = long(8, 100);
my ($shared, @seen) = load($kills, sub ($n) {
	my $victim = poll {
		my @old = grep { age($_) > 1.1 } $stack->workers;
		@old && $old[rand @old]
	}
	'one of more than a second';
	kill KILL => $victim;
	poll {
		my @now = $stack->workers;
		@now == $WORKERS && !grep { $_ == $victim } @now
	}
	'replaced';
	sleep rand 0.2;
});
my ($status, $told) = judge("$kills workers killed", $shared, @seen);
is_deeply([grep { !/\Aread 200\z/ } grep { /\Aread/ } keys %$status], [], 'no GET or HEAD notices');
is_deeply([grep { !/\Awrite (?:20[014]|502)\z/ } grep { /\Awrite/ } keys %$status], [],
	'and no write but for 502');
cmp_ok($status->{'write 502'} // 0, '<=', $kills, 'at most one for each worker killed');
cmp_ok(scalar(grep { /event=worker_died/ } $stack->log_lines), '>=', $kills,
	'each of them is in the log');
my $unread = 0;
$unread += $status->{$_} for grep { /\Aread (?!200)/ } keys %$status;
figure('workers killed', sprintf '%d kills, %s; %d writes were 502, %d of %d reads were not 200',
    $kills, $told, $status->{'write 502'} // 0, $unread, $unread + $status->{'read 200'});

# The database.
$kills = long(1, 20);
($shared, @seen) = load($kills, sub ($n) {
	sleep 0.5;
	kill KILL => $stack->pid('mariadb');
	sleep 0.2;
	$stack->staging('db-start');
	sleep 1.2;
});
($status, $told) = judge("the database killed ($kills)", $shared, @seen);
is_deeply([grep { !/ (?:20[014]|503)\z/ } keys %$status], [], 'what was not done was 503');
figure('database killed', sprintf '%d kills, %s; %d answers were 503',
    $kills, $told, ($status->{'write 503'} // 0) + ($status->{'read 503'} // 0));

$stack->done;
