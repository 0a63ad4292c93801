# Goal: a title has something to see in it, by Unicode's properties over every
# code point, and the program, its contract and the page agree on which those are.

use v5.36;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Unicode::UCD ();
use Facts;
use Stack;

my $stack = Stack->new(inside => 1);
my $root = Stack->root;
my $alice = $stack->user;
my $blank = qr/[\p{White_Space}\p{Default_Ignorable_Code_Point}\x{2800}]/;
sub slurp ($path) { open my $f, '<', "$root/$path" or die "$path: $!"; local $/; return <$f> }
sub utf8 ($text) { utf8::encode($text); $text }
sub title ($text) {
	$text =~ s/["\\]/\\$&/g;
	$text =~ s/[\x00-\x1f]/sprintf '\\u%04x', ord $&/ge;
	return '{"title":"' . utf8($text) . '"}';
}
sub names (@points) { join ' ', map { sprintf 'U+%04X', $_ } grep { defined } @points[0 .. 9] }

# The table is of version 14.0.0, as this Perl's; no surrogate is in any text.
is(Unicode::UCD::UnicodeVersion(), '14.0.0', "Perl's Unicode");
my @point = grep { $_ < 0xD800 || $_ > 0xDFFF } 0 .. 0x10FFFF;
my %wanted = map { $_ => 1 } grep { chr =~ $blank } @point;
cmp_ok(keys %wanted, '>', 4000, 'code points that nobody sees: ' . keys %wanted);

my $program = "$stack->{build}/t/unit/invisible";
SKIP: {
	skip "no $program: make check builds it", 2 if !-x $program;
	my @range = map { [map { hex } split] } qx{"$program"};
	my %has = map { $_ => 1 } map { $_->[0] .. $_->[1] } @range;
	is(names(grep { $wanted{$_} && !$has{$_} } @point), '', 'the program sees none of them');
	is(names(grep { $has{$_} && !$wanted{$_} } @point), '', 'and sees all others');
}

# The rules of the contract and of the page are patterns that Perl can read, but for \u.
my ($pattern) = slurp('openapi.yaml') =~ /^    Title:\n.*?^      pattern: '(.*?)'$/ms
    or die 'openapi.yaml: no pattern of Title';
my $contract = $pattern =~ s/\\u([0-9a-f]{4})/\\x{$1}/gr;
is(names(grep { $_ <= 0xFFFF && (chr =~ /$contract/) == defined $wanted{$_} } @point), '',
    "openapi.yaml's pattern agrees up to U+FFFF");
is(names(grep { $_ > 0xFFFF && chr !~ /$contract/ } @point), '', 'and allows all beyond');
($pattern) = slurp('frontend/page/src/task-api.ts') =~ m{^const blank = /(.*?)/u;$}m
    or die 'task-api.ts: no pattern of a blank title';
my $page = $pattern =~ s/\\u([0-9a-f]{4})/\\x{$1}/gr;
is(names(grep { (chr =~ /$page/) != defined $wanted{$_} } @point), '', "the page's rule agrees");

# And so it is from outside: all that nobody sees, as many to a title as it holds.
my @blank = sort { $a <=> $b } keys %wanted;
my $path = '/tasks/' . $alice->task('seen')->{id};
while (my @some = splice @blank, 0, 200) {
	my $text = join '', map { chr } @some;
	my $name = sprintf '%d from U+%04X on', scalar @some, $some[0];
	refuses($alice->post('/tasks', title($text)), invalid => $name, errors => ['title']);
	refuses($alice->put($path, title($text)), invalid => 'PUT', errors => ['title']);
	refuses($alice->patch($path, title($text)), invalid => 'PATCH', errors => ['title']);
}
for my $alone (0xAD, 0x34F, 0x61C, 0x115F, 0x180B, 0x200B, 0x202E, 0x2060, 0x2800, 0x3164, 0xFE0F,
    0xFEFF, 0xFFA0, 0x1D173, 0xE0001) {
	my $name = sprintf 'U+%04X alone', $alone;
	refuses($alice->post('/tasks', title(chr $alone)), invalid => $name, errors => ['title']);
}
for my $seen ('x', '.', "\x{301}", "\x{2801}", "\x{1F468}", "\x{E000}") {
	my $text = "\x{200B}\x{3164}$seen\x{2800} ";
	my $made = $alice->post('/tasks', title($text));
	answers($made, 201, sprintf 'U+%04X among them is enough', ord $seen);
	is($made->json->{title}, $text, 'and the title is kept as sent');
}
is_task($alice->patch($path, { description => "\x{200B}" }), { description => "\x{200B}" },
    'a description may be blank');
is($alice->get($path)->json->{title}, 'seen', 'and no write that was refused has left anything');

$stack->done;
