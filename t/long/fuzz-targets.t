# Goal: no input in t/fuzz/corpus and t/fuzz/found, and none of 1,000 more executions of
# each target, crashes the program, triggers a sanitizer or does what a target forbids. The
# long form is make check-fuzz.

use v5.36;
use FindBin;
use lib "$FindBin::Bin/../lib";
use File::Temp ();
use Test::More;
use Files;

my $dir = File::Temp->newdir('todo-fuzz-XXXXXX', TMPDIR => 1);
my $compile = 'cc -fsanitize=address,undefined -x c - -o "$0/probe"';
my $probe = "echo 'int main(void){return 0;}' | $compile && pkg-config --exists fcgi json-c libjwt";
system('sh', '-c', $probe, $dir) == 0
    or plan skip_all => 'no compiler with sanitizers, or no headers of the libraries';

my $fuzz = "$FindBin::Bin/../fuzz";
sub inputs ($folder, $target) { my @files = glob "$fuzz/$folder/$target/*"; return scalar @files }
my @targets = map { m{([^/]+)\.dict\z} } glob "$fuzz/*.dict";
is_deeply([sort @targets], [qw(body params target token)], 'there are four targets');
for my $target (@targets) {
	cmp_ok(inputs(corpus => $target), '>', 5, "$target has more than 5 inputs in its corpus");
	my $status = system "'$fuzz/run' -n 1000 -o '$dir' '$target' >'$dir/out' 2>&1 </dev/null";
	my $out = slurp_if_there("$dir/out");
	is($status, 0, "$target: no finding") or diag($out);
	note($out);
	my ($did) = $out =~ /^check-fuzz: (\d+) /m;
	cmp_ok($did // 0, '>=', inputs(corpus => $target) + inputs(found => $target),
		"$target: each input was executed");
}
done_testing;
