# Goal: none of the inputs in t/fuzz/corpus and t/fuzz/found, and no thousand
# executions more of each target, crash the program, trip a sanitizer or do what
# the targets say must never happen. The long form is make check-fuzz.

use v5.36;
use FindBin;
use lib "$FindBin::Bin/../lib";
use File::Temp ();
use Test::More;
use Faults qw(slurp);

my $dir = File::Temp->newdir('todo-fuzz-XXXXXX', TMPDIR => 1);
system('sh', '-c',
	'echo "int main(void){return 0;}" | cc -fsanitize=address,undefined -x c - -o "$0/probe" && pkg-config --exists fcgi json-c libjwt',
	$dir) == 0
    or plan skip_all => 'no compiler with sanitizers, or not what it would need';

my $fuzz = "$FindBin::Bin/../fuzz";
sub inputs ($folder, $target) { my @files = glob "$fuzz/$folder/$target/*"; return scalar @files }
my @targets = map { m{([^/]+)\.dict\z} } glob "$fuzz/*.dict";
is_deeply([sort @targets], [qw(body params target token)], 'four targets');
for my $target (@targets) {
	cmp_ok(inputs(corpus => $target), '>', 5, "$target has a corpus");
	my $status = system "'$fuzz/run' -n 1000 -o '$dir' '$target' >'$dir/out' 2>&1 </dev/null";
	my $out = slurp("$dir/out");
	is($status, 0, "$target: no finding") or diag($out);
	note($out);
	my ($did) = $out =~ /^check-fuzz: (\d+) /m;
	cmp_ok($did // 0, '>=', inputs(corpus => $target) + inputs(found => $target),
		'and each of its inputs was executed');
}
done_testing;
