# Goal: statements are prepared once and kept in a bounded number of places; none
# has more values or columns than there is room for; and one whose numbers of them
# are wrong is refused, with both numbers in the log.

use v5.36;
use FindBin;
use lib "$FindBin::Bin/../lib";
use File::Temp ();
use Test::More;
use Stack;

my $stack = Stack->new(inside => 1);
my $program = "$stack->{build}/t/unit/db";
plan skip_all => "no $program: make check builds it" if !-x $program;

# It is a test program of its own, with the stack's database.
my $stderr = File::Temp->new;
my $options = $stack->file('etc/todo.cnf');
my @line = qx{"$program" "$options" 2>"$stderr"};
is($?, 0, 'the program goes to its end');
for (@line) {
	chomp;
	if (/\A(not )?ok \d+ - (.*)/) { ok(!$1, $2) }
	elsif (/\A# (.*)/) { diag($1) }
}
like($line[-1] // '', qr/\A1\.\.\d+\z/, 'all of it');

# Each refusal is one line, the same both times.
my @reason = map { /reason="([^"]*)"/ ? $1 : () } grep { /level=error/ } <$stderr>;
my @wrong = (
	'3 parameters, 4 values', '3 parameters, 2 values', '2 columns, 3 types',
	'2 columns, 1 types',
	'2 columns, 0 types', '0 columns, 1 types'
);
is_deeply(
	\@reason,
	['column 2 has 4097 bytes, more than 4096', map { ("statement has $_ given") x 2 } @wrong],
	'and the log says what was wrong, in numbers');

$stack->done;
