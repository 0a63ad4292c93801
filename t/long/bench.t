# Goal: the benchmark runs from end to end with whoever is here without installing
# anything, and its figures are all there. Whether they are good is not asked:
# this is no time to measure.

use v5.36;
use FindBin;
use lib "$FindBin::Bin/../lib";
use File::Temp ();
use JSON::PP qw(decode_json);
use Test::More;
use Stack;

my $stack = Stack->new(inside => 1);
my $bench = Stack->root . '/bench';
my $dir = File::Temp->newdir('todo-bench-XXXXXX', TMPDIR => 1);
my $program = "$stack->{build}/todo-fcgi";
plan skip_all => 'no program here' if !-x $program;
chmod 0711, $dir; # as root, the benchmark's services run as somebody else

# Runs it; what it prints. What it says meanwhile is for whoever wants to read.
sub bench (@options) {
	local %ENV = (%ENV, STAGING_BUILD => $stack->{build}, BENCH_DIR => "$dir/run");
	my $said = "$dir/said";
	my $out = qx{"$bench/run" @options 2>"$said"};
	my $status = $?;
	open my $f, '<', $said or die "$said: $!";
	note($_) for <$f>;
	return $out if ok($status == 0, "bench/run @options");
	diag(`tail -n 20 "$said"`);
	$stack->done;
	exit;
}

# A figure for each name, each of them a number.
sub are_numbers ($what, %figures) {
	my @wrong =
	    grep { !defined $figures{$_} || $figures{$_} !~ /\A\d+(?:\.\d+)?(?:e[-+]?\d+)?\z/ }
	    sort keys %figures;
	ok(%figures && !@wrong, $what)
	    or diag(map { "$_: " . ($figures{$_} // 'undef') . "\n" } @wrong);
}

my $json = bench(qw(--smoke --json), "--svg=$dir/plot.svg");
my $f = eval { decode_json($json) } // {};
my @names = map { $_->{name} } ($f->{contestants} // [])->@*;
is("@names[0, 1]", 'todo floor', 'todo-fcgi and the floor run everywhere');
note("runs here: @names");
my %peer = map { $_ => 1 } @names[2 .. $#names];
for my $kind (qw(list one create expired signature rs256)) {
	my $of = $f->{work}{$kind};
	my @who = $kind =~ /list|one|create/ ? @names : grep { $_ ne 'floor' } @names;
	is_deeply([sort keys %$of], [sort @who], "$kind: done by all");
	are_numbers(
		"$kind: figures of $_", rate => $of->{$_}{rate}{median},
		(map { ($_ => $of->{todo}{$_}) } qw(p50 p99 p999)),
		map { ("cpu $_" => $of->{todo}{cpu}{$_}{median}) } qw(nginx application mariadb)
	) for @who;
	cmp_ok($of->{$_}{rate}{median} // 0, '>', 0, "$kind: $_ answers") for @who;
}
are_numbers(
	'the ratios', floor => $f->{ratio}{floor},
	'CPU to the floor\'s' => $f->{ratio}{application_cpu_floor},
	map { ("CPU refusing $_" => $f->{ratio}{refused_cpu}{$_}) } qw(expired signature rs256));
for (qw(fastapi fastapi_raw fastify ulfius)) {
	$peer{$_}
	    ? are_numbers("ratio to $_", ratio => $f->{ratio}{$_})
	    : ok(exists $f->{ratio}{$_} && !defined $f->{ratio}{$_} && $f->{left_out}{$_},
		"$_ is left out, and why is said");
}
are_numbers("memory and start of $_", memory => $f->{memory}{$_}{pool},
	processes => $f->{memory}{$_}{processes}, start => $f->{start}{$_}{median})
    for @names;
are_numbers("latencies of $_", map { ($_ => $f->{open}{of}{todo}{$_}{median}) } qw(p50 p99 p999))
    for @names;

# Shown again without measuring again.
open my $saved, '>', "$dir/figures.json" or die $!;
print {$saved} $json;
close $saved;
my $table = bench("--from=$dir/figures.json", "--svg=$dir/again.svg");
like($table,
	qr/^list of 20\s+$f->{work}{list}{todo}{rate}{median}\s+$f->{work}{list}{floor}{rate}{median}\b/m,
	'the table has the figures');
sub slurp ($path) { open my $file, '<', $path or return ''; local $/; return <$file> // '' }
my $svg = slurp("$dir/plot.svg");
is(slurp("$dir/again.svg"), $svg, 'and the drawing is the same');
like($svg, qr/\A<svg [^>]*>.*todo-fcgi.*the floor.*<\/svg>\n\z/s, 'it shows both');
is(scalar(() = $svg =~ /<rect x=/g), 4 * @names, 'four bars for each');

# Growing data.
my $scale = eval { decode_json(bench(qw(scale --smoke --json))) } // {};
is(scalar(() = ($scale->{cases} // [])->@*), 23, 'every case of bench/run scale');
are_numbers($_->{what}, small => $_->{small}, large => $_->{large}, ratio => $_->{ratio},
	cpu => $_->{cpu}{ratio})
    for $scale->{cases}->@*;
are_numbers('memory over many requests', %{ $scale->{memory} }{qw(requests begin end ratio)});

# What did not run is at least a program.
SKIP: {
	skip 'no python3', 1 if !-x '/usr/bin/python3';
	is(
		system( '/usr/bin/python3', '-c',
			'import ast, sys; ast.parse(open(sys.argv[1]).read())',
			"$bench/fastapi/app.py"
		),
		0,
		'fastapi/app.py is Python');
}

$stack->done;
