package Report;

# The figures as tables and as a drawing, and whether they are what was aimed at.

use v5.36;
use utf8;

my %KINDS = (
	list => 'list of 20', one => 'one by id', create => 'create',
	expired => 'token expired', signature => 'bad signature', rs256 => 'alg RS256',
);
my @KINDS = qw(list one create expired signature rs256);

# [what, aimed at, figure or undef, reached]
sub aims ($f) {
	my $ratio = $f->{ratio};
	my @aims;
	my $add = sub ($what, $sign, $limit, $figure) {
		push @aims, {
			what => $what, aim => "$sign $limit", figure => $figure,
			reached => !defined $figure ? undef
			    : ($sign eq '≥' ? $figure >= $limit : $figure <= $limit) ? 1 : 0,
		};
	};
	$add->('requests a second / the floor\'s', '≥', 0.90, $ratio->{floor});
	$add->('application CPU / the floor\'s', '≤', 1.35, $ratio->{application_cpu_floor});
	$add->('requests a second / Fastify\'s', '≥', 2, $ratio->{fastify});
	$add->('requests a second / FastAPI\'s', '≥', 6, $ratio->{fastapi});
	$add->('requests a second / Ulfius\'s', '≥', 1.3, $ratio->{ulfius});
	for (grep { $f->{open}{of}{$_} } qw(fastify fastapi fastapi_raw ulfius)) {
		my ($own, $theirs) = map { $f->{open}{of}{$_}{p99}{median} } 'todo', $_;
		$add->("p99 at the same rate / $_\'s", '≤', 1,
			$theirs ? 0 + sprintf '%.3f', $own / $theirs : undef) if defined $own;
	}
	if (my $memory = $f->{memory}{todo}) {
		$add->('MB a worker', '≤', 3,
			0 + sprintf '%.2f', $memory->{pool} / 1024 / $f->{conditions}{workers});
	}
	$add->('memory of the pool / Fastify\'s', '≤', 0.125, $ratio->{memory_fastify});
	$add->('ms from exec to the first answer', '≤', 50, $f->{start}{todo}{median});
	$add->("CPU of a refusal ($KINDS{$_}) / of a list", '≤', 1, $ratio->{refused_cpu}{$_})
	    for qw(expired signature rs256);
	return \@aims;
}

sub _line (@columns) { sprintf('%-22s' . '%12s' x $#columns . "\n", @columns) }

sub _conditions ($f) {
	my $c = $f->{conditions};
	return "$c->{date}, $c->{processors} × $c->{processor}, Linux $c->{kernel}, "
	    . "load $c->{load_before} before\n$c->{rounds} rounds, $c->{connections} clients, "
	    . "$c->{workers} workers or database connections each\n";
}

sub _aims ($f) {
	my $text = $f->{smoke} ? "\nA smoke run measures nothing.\n" : '';
	$text .= sprintf "\n%-50s%12s%12s\n", 'aimed at', '', 'figure';
	for ($f->{aims}->@*) {
		$text .= sprintf "%-50s%12s%12s  %s\n", $_->{what}, $_->{aim},
		    $_->{figure} // 'not run',
		    !defined $_->{reached} ? '' : $_->{reached} ? 'reached' : 'NOT reached';
	}
	return $text;
}

sub table ($f) {
	return _scale($f) if $f->{kind} eq 'scale';
	my @names = map { $_->{name} } $f->{contestants}->@*;
	my @titles = map { $_->{title} } $f->{contestants}->@*;
	my $text = _conditions($f);

	$text .= "\n" . _line('requests a second', @titles);
	for my $kind (@KINDS) {
		my $of = $f->{work}{$kind};
		$text .= _line($KINDS{$kind}, map {
			$of->{$_} ? $of->{$_}{rate}{median} : '–' } @names);
		$text .= _line('  least–most', map {
			$of->{$_} ? "$of->{$_}{rate}{min}–$of->{$_}{rate}{max}" : '' } @names);
	}
	$text .= "\n" . _line('CPU µs a request', @titles);
	for my $kind (@KINDS) {
		my $of = $f->{work}{$kind};
		$text .= "$KINDS{$kind}\n";
		for my $group (qw(nginx application mariadb)) {
			$text .= _line("  $group", map {
				$of->{$_} ? $of->{$_}{cpu}{$group}{median} : '–' } @names);
		}
	}
	$text .= "\n" . _line("ms at $f->{open}{rate}/s, lists", @titles);
	for my $p (qw(p50 p99 p999)) {
		$text .= _line("  $p", map { $f->{open}{of}{$_}{$p}{median} } @names);
	}
	$text .= _line('  answers a second', map { $f->{open}{of}{$_}{rate}{median} } @names);
	$text .= "\n" . _line('', @titles);
	$text .= _line('memory (PSS), MB', map {
		sprintf '%.1f', $f->{memory}{$_}{pool} / 1024 } @names);
	$text .= _line('  processes', map { $f->{memory}{$_}{processes} } @names);
	$text .= _line('first answer, ms', map { $f->{start}{$_}{median} } @names);
	return $text . _aims($f);
}

sub _scale ($f) {
	my $text = _conditions($f);
	$text .= "$f->{conditions}{small_rows} tasks in the small table, "
	    . "$f->{conditions}{large_rows} in the large one\n";
	$text .= sprintf "\n%-44s%12s%9s%9s%11s\n", 'microseconds a request', 'small',
	    'large', 'ratio', 'CPU ratio';
	$text .= sprintf "%-44s%12.0f%9.0f%9.2f%11.2f\n", @$_{qw(what small large ratio)},
	    $_->{cpu}{ratio} for $f->{cases}->@*;
	$text .= sprintf "\n%-44s%12d%9d%9.3f\n", 'memory of the pool, KiB: begin, end',
	    @{ $f->{memory} }{qw(begin end ratio)};
	$text .= "(over $f->{memory}{requests} requests)\n";
	return $text . _aims($f);
}

# --- the drawing ------------------------------------------------------------

sub _escape ($text) { $text =~ s/([&<>"])/'&#' . ord($1) . ';'/gre }

sub _text ($x, $y, $text, $attributes = '') {
	return qq{<text x="$x" y="$y" $attributes>} . _escape($text) . "</text>\n";
}

# Bars, one for each contestant: [name, length, least, most, what it says].
sub _bars ($y, $title, @bars) {
	my ($left, $width) = (100, 430);
	my ($most) = sort { $b <=> $a } map { $_->[3] } @bars;
	my $svg = _text(10, $y, $title, 'class="title"');
	for (@bars) {
		my ($name, $length, $least, $longest, $says) = @$_;
		my ($w, $x1, $x2) = map { sprintf '%.1f', $_ / ($most || 1) * $width }
		    $length, $least, $longest;
		$y += 22;
		my $class = $name eq 'todo-fcgi' ? 'own' : $name eq 'the floor' ? 'floor' : 'peer';
		$svg .= _text($left - 8, $y, $name, 'text-anchor="end"');
		my $top = $y - 12;
		$svg .= qq{<rect x="$left" y="$top" width="$w" height="15" class="$class"/>\n};
		$svg .= sprintf qq{<path d="M%.1f %.1fH%.1f" class="spread"/>\n},
		    $left + $x1, $y - 4.5, $left + $x2 if $x2 > $x1;
		$svg .= _text(sprintf('%.1f', $left + ($x2 > $w ? $x2 : $w) + 6), $y, $says);
	}
	return ($svg, $y + 34);
}

sub svg ($f) {
	die "there is no drawing of this\n" if $f->{kind} ne 'compare';
	my @contestants = $f->{contestants}->@*;
	my ($svg, $part, $y) = ('', '', 24);
	($part, $y) = _bars($y,
		'Requests a second, list of 20 (median of rounds; line: least to most)', map {
			my $rate = $f->{work}{list}{$_->{name}}{rate};
			[$_->{title}, @$rate{qw(median min max median)}];
		} @contestants);
	$svg .= $part;
	($part, $y) = _bars($y,
		'CPU a request, list of 20: nginx + application + MariaDB, µs', map {
		my $cpu = $f->{work}{list}{$_->{name}}{cpu};
		my @parts = map { sprintf '%.0f', $cpu->{$_}{median} }
		    qw(nginx application mariadb);
		my $sum = $parts[0] + $parts[1] + $parts[2];
		[$_->{title}, ($sum) x 3, "$sum = " . join ' + ', @parts];
	} @contestants);
	$svg .= $part;
	# What cannot keep up is off every scale: its bar is cut.
	my $open = $f->{open};
	my $cut = 4 * (sort { $a <=> $b } map { $open->{of}{$_->{name}}{p99}{median} }
		@contestants)[int(@contestants / 2)];
	($part, $y) = _bars($y,
		"Latency at $open->{rate} requests a second, list of 20: p99, ms", map {
		my $p99 = $open->{of}{$_->{name}}{p99}{median};
		my $shown = $p99 > $cut ? $cut : $p99;
		[$_->{title}, ($shown) x 3, $p99 > $cut ? "$p99 …" : $p99];
	} @contestants);
	$svg .= $part;
	($part, $y) = _bars($y, 'Memory (proportional set size), MB', map {
		my $mb = sprintf '%.1f', $f->{memory}{$_->{name}}{pool} / 1024;
		[$_->{title}, ($mb) x 3, $mb];
	} @contestants);
	$svg .= $part;
	my $c = $f->{conditions};
	$svg .= _text(10, $y - 8, "One run, $c->{date}: $c->{processors} processors shared by "
		. 'clients, nginx, MariaDB and application; '
		. "$c->{workers} database connections each",
		'class="note"');
	my $height = $y + 4;
	my $size = qq{viewBox="0 0 720 $height" width="720" height="$height"};
	return <<END;
<svg xmlns="http://www.w3.org/2000/svg" $size role="img" aria-label="todo-fcgi beside its peers">
<style>
text { font: 12px system-ui, sans-serif; fill: #24292f }
.title { font-weight: 600 }
.note { font-size: 11px; fill: #57606a }
.own { fill: #1a7f37 } .floor { fill: #afb8c1 } .peer { fill: #54aeff }
.spread { stroke: #24292f; stroke-width: 1.5 }
</style>
<rect width="720" height="$height" fill="#fff"/>
$svg</svg>
END
}

1;
