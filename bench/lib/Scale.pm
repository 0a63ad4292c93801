package Scale;

# How todo-fcgi fares as the data grows: each kind of list in a small table and
# in a large one, by turns, from two pools that differ in nothing else; and what
# a pool takes of memory over a million requests.

use v5.36;
use utf8;
use Contestant;
use Figures;

my $PAGE = 20;
my $GIANT = 1_000_000;	# the number of the tenant that has the most tasks
my $LEAST = 0.15;	# seconds, below which there may be no answer yet
my $AIM = 1.2;		# what a large case may cost of the small one
my $MEMORY_AIM = 1.02;
my @REFUSALS = qw(expired signature);

# The tables. Both have as many tenants that are asked for, each with as many
# tasks, and one tenant with `giant` tasks, of which 10 are pending.
sub _sizes ($smoke) {
	return (
		small => { tenants => 20, giant => 60 },
		large => { tenants => 200, giant => 2500 },
		readers => 20, tasks => 25, deep => 100,
	) if $smoke;
	return (
		small => { tenants => 1000, giant => 60 },
		large => { tenants => 20_000, giant => 1_000_000 },
		readers => 1000, tasks => 100, deep => 10_000,
	);
}

# stage: a Bench; conditions of the run, for the report; options of the run, with
# `measure`, which loads one contestant with one kind of work.
sub figures ($stage, $conditions, $o) {
	my %size = _sizes($o->{smoke});
	my %pool = map {
		$_ => Contestant->new(name => $_, of => 'todo', stage => $stage,
			workers => $o->{workers})
	} qw(small large);
	$pool{small}->build;
	$pool{large}{program} = $pool{small}{program};

	$stage->start_database;
	_fill($stage, $_, $size{$_}, $size{tasks}, $o->{tell}) for qw(small large);
	$stage->start_nginx(map { $_->backend } @pool{qw(small large)});
	$_->start({}) for values %pool;
	my @first = ('GET', '/api/' . $stage->tenant(1) . '/tasks', $stage->token(1));
	for my $name (keys %pool) {
		$stage->until_ready($name,
			sub { $stage->ask($name, @first)->{status} == 200 });
	}
	my @cases = _cases($stage, \%size, $o->{tell});
	my %figures = (
		kind => 'scale',
		conditions => {
			%$conditions, tasks => $size{tasks},
			map {
				my $of = $size{$_};
				("${_}_rows" => $of->{tenants} * $size{tasks} + $of->{giant});
			} qw(small large),
		},
		cases => _play($stage, \%pool, \@cases, $o),
		memory => _remember($stage, $pool{small}, \%size, $o),
	);
	$figures{aims} = [
		(map { _aim($_->{what}, $AIM, $_->{ratio}) } $figures{cases}->@*),
		_aim('memory, end / begin', $MEMORY_AIM, $figures{memory}{ratio}),
	];
	return \%figures;
}

sub _aim ($what, $limit, $figure) {
	return { what => $what, aim => "≤ $limit", figure => $figure,
		reached => $figure <= $limit ? 1 : 0 };
}

sub _fill ($stage, $database, $size, $tasks, $tell) {
	my $rows = $size->{tenants} * $tasks + $size->{giant};
	$tell->("Filling the $database table: $rows tasks");
	$stage->sql("DROP DATABASE IF EXISTS $database");
	$stage->migrate($database);
	# Not all at once: the server sorts what it inserts.
	for (my $first = 1; $first <= $size->{tenants}; $first += 2000) {
		my $last = $first + 1999;
		$last = $size->{tenants} if $last > $size->{tenants};
		$stage->fill(database => $database, first => $first, last => $last,
			tasks => $tasks);
	}
	$stage->fill(database => $database, first => $GIANT, last => $GIANT,
		tasks => $size->{giant}, pending => 10);
	$stage->sql('ANALYZE TABLE tasks', $database);
}

# The cursor of page number `page` of the giant's list.
sub _cursor ($stage, $name, $query, $page) {
	my $left = ($page - 1) * $PAGE;
	my $after = '';
	while ($left > 0) {
		my $limit = $left < 500 ? $left : 500;
		my $answer = $stage->ask($name, 'GET', '/api/' . $stage->tenant($GIANT)
			. "/tasks?${query}limit=$limit$after", $stage->token($GIANT));
		my ($cursor) = ($answer->{headers}{link} // '') =~ /[?&]after=([^>&]+)>/
		    or die "$name: no page $page of $query\n$answer->{status} $answer->{content}\n";
		$after = "&after=$cursor";
		$left -= $limit;
	}
	return $after;
}

# [what, how many tasks it answers with, the requests to each of the two]
sub _cases ($stage, $size, $tell) {
	my @cases;
	my $step = sub ($name) { int($size->{$name}{tenants} / $size->{readers}) };
	push @cases, ["$size->{large}{tenants} tenants", $PAGE, map {
		my $name = $_;
		[map {
			my $n = 1 + $_ * $step->($name);
			join "\t", 'GET', '/api/' . $stage->tenant($n) . "/tasks?limit=$PAGE",
			    $stage->token($n);
		} 0 .. $size->{readers} - 1];
	} qw(small large)];

	my $giant = sub ($what, $count, @queries) {
		push @cases, [$what, $count, map {
			[join "\t", 'GET', '/api/' . $stage->tenant($GIANT) . "/tasks?$_",
				$stage->token($GIANT)];
		} @queries];
	};
	for my $status (qw(all pending completed)) {
		for my $sort (qw(created updated title)) {
			for my $order (qw(desc asc)) {
				my $query = "status=$status&sort=$sort&order=$order&limit=$PAGE";
				$giant->("$status, by $sort $order",
					$status eq 'pending' ? 10 : $PAGE, $query, $query);
			}
		}
	}
	$tell->("Walking to page $size->{deep}");
	for my $query ('', 'sort=updated&', 'sort=title&', 'status=completed&sort=title&') {
		my %after = (
			small => _cursor($stage, 'small', $query, 2),
			large => _cursor($stage, 'large', $query, $size->{deep}),
		);
		$giant->("page $size->{deep} of " . ($query =~ s/&\z//r || 'all'), $PAGE,
			map { "${query}limit=$PAGE$_" } @after{qw(small large)});
	}
	return @cases;
}

# Is each case the same work to both?
sub _check ($stage, $case) {
	my ($what, $count, @requests) = @$case;
	for my $name (qw(small large)) {
		my ($method, $target, $token) = split /\t/, (shift @requests)->[0];
		my $answer = $stage->ask($name, $method, $target, $token);
		my $tasks = () = $answer->{content} =~ /"id":/g;
		die "$name, $what: $answer->{status}, $tasks tasks and not $count\n"
		    if $answer->{status} != 200 || $tasks != $count;
	}
}

# Each case by turns, as often as there are rounds; one more before that counts
# for nothing. Returns what each cost.
sub _play ($stage, $pool, $cases, $o) {
	my (%seen, @figures);
	for my $i (0 .. $#$cases) {
		my ($what, $count, @requests) = $cases->[$i]->@*;
		_check($stage, $cases->[$i]);
		for my $name (qw(small large)) {
			$stage->put("etc/$name$i.requests", join "\n", (shift @requests)->@*, '');
		}
	}
	for my $round (0 .. $o->{rounds}) {
		$o->{tell}->("Round $round of $o->{rounds}") if $round > 0;
		for my $i (0 .. $#$cases) {
			for my $name (qw(small large)) {
				# The first round meets tokens that no worker knows yet.
				my $seconds = $o->{seconds} * ($round == 0 && $i == 0 ? 0.8 : 0.1);
				$seconds = $LEAST if $seconds < $LEAST;
				my $figures = $o->{measure}->($stage, $pool->{$name}, "$name$i",
					'-t', $seconds);
				push $seen{$name}[$i]->@*, $figures if $round > 0;
			}
		}
	}
	for my $i (0 .. $#$cases) {
		my %of = map { $_ => $seen{$_}[$i] } qw(small large);
		my %time = map { $_ => [map { 1e6 / ($_->{rate} || 1) } $of{$_}->@*] } keys %of;
		my %cpu = map {
			$_ => [map { my $cpu = $_->{cpu};
				$cpu->{nginx} + $cpu->{application} + $cpu->{mariadb} } $of{$_}->@*]
		} keys %of;
		push @figures, {
			what => $cases->[$i][0],
			(map { $_ => rounded(median($time{$_}->@*)) } keys %time),
			ratio => _ratio(@time{qw(large small)}),
			cpu => {
				(map { $_ => rounded(median($cpu{$_}->@*)) } keys %cpu),
				ratio => _ratio(@cpu{qw(large small)}),
			},
		};
	}
	return \@figures;
}

# The median over the rounds of one divided by the other.
sub _ratio ($one, $other) {
	return rounded(median(map { $one->[$_] / ($other->[$_] || 1) } 0 .. $#$one), 3);
}

# A pool's memory over many requests of several kinds: four times the same, of
# which the first fills what is there to be filled.
sub _remember ($stage, $pool, $size, $o) {
	my $name = $pool->name;
	my @work = (
		[list => 200, "GET\t/api/%s/tasks?limit=$PAGE\t%s"],
		[page => 200, "GET\t/api/%s/tasks?sort=title&limit=10\t%s"],
		[create => 201, "POST\t/api/%s/tasks\t%s\t{\"title\":\"Buy milk\"}"],
		(map { [$_ => 401, "GET\t/api/%s/tasks\t%s"] } @REFUSALS),
	);
	for (@work) {
		my ($kind, $status, $line) = @$_;
		my $wrong = $status == 401 ? $kind : '';
		$stage->put("etc/memory-$kind.requests", join '', map {
			sprintf("$line\n", $stage->tenant($_), $stage->token($_, $wrong))
		} 1 .. $size->{readers});
	}
	my $turns = 4;
	my $requests = int($o->{requests} / $turns / @work) || 1;
	my @samples;
	for my $turn (1 .. $turns) {
		for (@work) {
			my ($kind) = @$_;
			$o->{measure}->($stage, $pool, "memory-$kind", '-n', $requests,
				'-t', 600);
		}
		push @samples, $stage->memory($name);
		$o->{tell}->(sprintf 'After %d requests: %d KiB', $turn * @work * $requests,
			$samples[-1]);
	}
	return {
		requests => $turns * @work * $requests, samples => \@samples,
		begin => $samples[0], end => $samples[-1],
		ratio => rounded($samples[-1] / ($samples[0] || 1), 3),
	};
}

1;
