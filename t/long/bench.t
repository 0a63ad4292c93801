# Goal: the benchmark runs from end to end with the contestants that are installed, and
# prints all its figures. Their values are not judged here.

use v5.36;
use FindBin;
use lib "$FindBin::Bin/../lib";
use File::Temp ();
use JSON::PP qw(decode_json);
use Test::More;
use Files;
use Stack;

my $stack = Stack->new(inside => 1);
my $bench = Stack->root . '/bench';
my $dir = File::Temp->newdir('todo-bench-XXXXXX', TMPDIR => 1);
my $program = "$stack->{build}/todo-fcgi";
plan skip_all => 'no program' if !-x $program;
chmod 0711, $dir; # as root, the services of the benchmark run as another user

# Runs the benchmark. Returns its output; its messages are notes.
sub bench (@options) {
	local %ENV = (%ENV, STAGING_BUILD => $stack->{build}, BENCH_DIR => "$dir/run");
	my $said = "$dir/said";
	my $out = qx{"$bench/run" @options 2>"$said"};
	my $status = $?;
	note(slurp($said));
	return $out if ok($status == 0, "bench/run @options");
	diag(`tail -n 20 "$said"`);
	$stack->done;
	exit;
}

# Each of the figures is a number.
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
is("@names[0, 1]", 'todo floor', 'todo-fcgi and the floor are contestants');
note("contestants: @names");
my %peer = map { $_ => 1 } @names[2 .. $#names];
for my $kind (qw(list one create expired signature rs256)) {
	my $of = $f->{work}{$kind};
	my @who = $kind =~ /list|one|create/ ? @names : grep { $_ ne 'floor' } @names;
	is_deeply([sort keys %$of], [sort @who], "$kind: each contestant has figures");
	are_numbers(
		"$kind: the figures of $_ are numbers", rate => $of->{$_}{rate}{median},
		(map { ($_ => $of->{todo}{$_}) } qw(p50 p99 p999)),
		map { ("cpu $_" => $of->{todo}{cpu}{$_}{median}) } qw(nginx application mariadb)
	) for @who;
	cmp_ok($of->{$_}{rate}{median} // 0, '>', 0, "$kind: $_ answers requests") for @who;
}
are_numbers(
	'the ratios are numbers', floor => $f->{ratio}{floor},
	'CPU to the floor\'s' => $f->{ratio}{application_cpu_floor},
	map { ("CPU refusing $_" => $f->{ratio}{refused_cpu}{$_}) } qw(expired signature rs256));
for (qw(fastapi fastapi_raw fastify ulfius)) {
	$peer{$_}
	    ? are_numbers("the ratio to $_ is a number", ratio => $f->{ratio}{$_})
	    : ok(exists $f->{ratio}{$_} && !defined $f->{ratio}{$_} && $f->{left_out}{$_},
		"$_ is left out, with the reason");
}
are_numbers(
	"memory and start of $_ are numbers", memory => $f->{memory}{$_}{pool},
	processes => $f->{memory}{$_}{processes}, start => $f->{start}{$_}{median}
) for @names;
are_numbers("the latencies of $_ are numbers",
	map { ($_ => $f->{open}{of}{todo}{$_}{median}) } qw(p50 p99 p999))
    for @names;

# Shown again from the saved figures.
spew("$dir/figures.json", $json);
my $table = bench("--from=$dir/figures.json", "--svg=$dir/again.svg");
my ($todo, $floor) = map { $f->{work}{list}{$_}{rate}{median} } qw(todo floor);
like($table, qr/^list of 20\s+$todo\s+$floor\b/m, 'the table has the saved figures');
my $svg = slurp("$dir/plot.svg");
is(slurp("$dir/again.svg"), $svg, 'the drawing of the saved figures is the same');
like($svg, qr/\A<svg [^>]*>.*todo-fcgi.*the floor.*<\/svg>\n\z/s,
	'the drawing shows todo-fcgi and the floor');
is(scalar(() = $svg =~ /<rect x=/g), 4 * @names, 'the drawing has four bars for each contestant');

# bench/run scale: growing data.
my $scale = eval { decode_json(bench(qw(scale --smoke --json))) } // {};
is(scalar(() = ($scale->{cases} // [])->@*), 23, 'bench/run scale has 23 cases');
are_numbers(
	"$_->{what}: numbers", small => $_->{small}, large => $_->{large}, ratio => $_->{ratio},
	cpu => $_->{cpu}{ratio}
) for $scale->{cases}->@*;
are_numbers('memory over many requests: numbers',
	%{ $scale->{memory} }{qw(requests begin end ratio)});

# The contestant that may not have run is valid Python.
SKIP: {
	skip 'no python3', 1 if !-x '/usr/bin/python3';
	my $parse = 'import ast, sys; ast.parse(open(sys.argv[1]).read())';
	is(system('/usr/bin/python3', '-c', $parse, "$bench/fastapi/app.py"), 0,
	    'fastapi/app.py is Python');
}

$stack->done;
