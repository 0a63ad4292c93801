# Goal: a title has a visible character. Which code points are invisible follows
# from Unicode's properties; the program, openapi.yaml and the page agree on them.

use v5.36;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Unicode::UCD ();
use Facts;
use Files;
use Stack;

my $stack = Stack->new(inside => 1);
my $root = Stack->root;
my $alice = $stack->user;
my $blank = qr/[\p{White_Space}\p{Default_Ignorable_Code_Point}\x{2800}]/;
sub utf8 ($text) { utf8::encode($text); $text }
sub title ($text) {
	$text =~ s/["\\]/\\$&/g;
	$text =~ s/[\x00-\x1f]/sprintf '\\u%04x', ord $&/ge;
	return '{"title":"' . utf8($text) . '"}';
}
sub names (@points) { join ' ', map { sprintf 'U+%04X', $_ } grep { defined } @points[0 .. 9] }

# The program's table and this Perl have Unicode 14.0.0. A text holds no surrogates.
is(Unicode::UCD::UnicodeVersion(), '14.0.0', 'the version of Unicode of this Perl');
my @point = grep { $_ < 0xD800 || $_ > 0xDFFF } 0 .. 0x10FFFF;
my %wanted = map { $_ => 1 } grep { chr =~ $blank } @point;
cmp_ok(keys %wanted, '>', 4000, 'invisible code points: ' . keys %wanted);

my $program = "$stack->{build}/t/unit/invisible";
SKIP: {
	skip "no $program: make check builds it", 2 if !-x $program;
	my @range = map { [map { hex } split] } qx{"$program"};
	my %has = map { $_ => 1 } map { $_->[0] .. $_->[1] } @range;
	is(names(grep { $wanted{$_} && !$has{$_} } @point), '',
		'the program lists every invisible code point');
	is(names(grep { $has{$_} && !$wanted{$_} } @point), '',
		'the program lists no visible code point');
}

# openapi.yaml and the page have patterns; Perl reads them once \u is \x.
my ($pattern) = slurp("$root/openapi.yaml") =~ /^    Title:\n.*?^      pattern: '(.*?)'$/ms
    or die 'openapi.yaml: no pattern of Title';
my $contract = $pattern =~ s/\\u([0-9a-f]{4})/\\x{$1}/gr;
is(
	names(grep { $_ <= 0xFFFF && (chr =~ /$contract/) == defined $wanted{$_} } @point), '',
	'the pattern in openapi.yaml agrees up to U+FFFF');
is(names(grep { $_ > 0xFFFF && chr !~ /$contract/ } @point), '',
	'the pattern in openapi.yaml allows all code points beyond U+FFFF');
($pattern) = slurp("$root/frontend/page/src/task-api.ts") =~ m{^const blank = /(.*?)/u;$}m
    or die 'task-api.ts: no pattern of a blank title';
my $page = $pattern =~ s/\\u([0-9a-f]{4})/\\x{$1}/gr;
is(names(grep { (chr =~ /$page/) != defined $wanted{$_} } @point), '',
	'the pattern of the page agrees');

# The API refuses titles of invisible code points, 200 to a title.
my @blank = sort { $a <=> $b } keys %wanted;
my $path = '/tasks/' . $alice->task('seen')->{id};
while (my @some = splice @blank, 0, 200) {
	my $text = join '', map { chr } @some;
	my $name = sprintf '%d invisible code points from U+%04X on', scalar @some, $some[0];
	refuses($alice->post('/tasks', title($text)), invalid => "POST: $name",
		errors => ['title']);
	refuses($alice->put($path, title($text)), invalid => "PUT: $name", errors => ['title']);
	refuses($alice->patch($path, title($text)), invalid => "PATCH: $name", errors => ['title']);
}
for my $alone (0xAD, 0x34F, 0x61C, 0x115F, 0x180B, 0x200B, 0x202E, 0x2060, 0x2800, 0x3164, 0xFE0F,
    0xFEFF, 0xFFA0, 0x1D173, 0xE0001) {
	my $name = sprintf 'U+%04X alone', $alone;
	refuses($alice->post('/tasks', title(chr $alone)), invalid => $name, errors => ['title']);
}
for my $seen ('x', '.', "\x{301}", "\x{2801}", "\x{1F468}", "\x{E000}") {
	my $text = "\x{200B}\x{3164}$seen\x{2800} ";
	my $made = $alice->post('/tasks', title($text));
	answers($made, 201, sprintf 'a title with the visible U+%04X', ord $seen);
	is($made->json->{title}, $text,
		sprintf 'a title with the visible U+%04X comes back as sent', ord $seen);
}
is_task($alice->patch($path, { description => "\x{200B}" }), { description => "\x{200B}" },
    'a description may be invisible');
is($alice->get($path)->json->{title}, 'seen', 'refused writes wrote nothing');

$stack->done;
