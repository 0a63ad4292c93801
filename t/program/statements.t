# Goal: statements are prepared once and kept in a bounded cache. A statement with more
# values or columns than there is room for, or with a wrong number of them, is refused,
# with both numbers in the log.

use v5.36;
use FindBin;
use lib "$FindBin::Bin/../lib";
use File::Temp ();
use Test::More;
use Stack;

my $stack = Stack->new(inside => 1);
my $program = "$stack->{build}/t/unit/db";
plan skip_all => "no $program: make check builds it" if !-x $program;

# A unit test program, which uses the stack's database.
my $stderr = File::Temp->new;
my $options = $stack->file('etc/todo.cnf');
my @line = qx{"$program" "$options" 2>"$stderr"};
is($?, 0, 'the unit test program exits 0');
for (@line) {
	chomp;
	if (/\A(not )?ok \d+ - (.*)/) { ok(!$1, $2) }
	elsif (/\A# (.*)/) { diag($1) }
}
like($line[-1] // '', qr/\A1\.\.\d+\z/, 'the unit test program runs to its end');

# Each refusal is one log line, the same line both times.
my @reason = map { /reason="([^"]*)"/ ? $1 : () } grep { /level=error/ } <$stderr>;
my @wrong = (
	'3 parameters, 4 values', '3 parameters, 2 values', '2 columns, 3 types',
	'2 columns, 1 types',
	'2 columns, 0 types', '0 columns, 1 types'
);
is_deeply(
	\@reason,
	['column 2 has 4097 bytes, more than 4096', map { ("statement has $_ given") x 2 } @wrong],
	'the log has the reason of each refusal, with both numbers');

$stack->done;
