# Goal: titles and descriptions are counted in code points and come back byte for
# byte as they were sent; a title has a character that is not White_Space.

use v5.36;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Facts;
use Stack;

my $stack = Stack->new;
my $alice = $stack->user;

sub utf8 ($text) { utf8::encode($text); $text }
sub json ($text) {
	'"' . utf8($text) =~ s/["\\]/\\$&/gr =~ s/[\x00-\x1f]/sprintf '\\u%04x', ord $&/ger . '"'
}
sub shown ($text) { substr(utf8($text), 0, 40) =~ s/[^ -~]/sprintf '\\x%02x', ord $&/ger }
sub round_trip ($title, $description, $name) {
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $made = $alice->post('/tasks',
		'{"title":' . json($title) . ',"description":' . json($description) . '}');
	return fail($name) || diag($made->dump) if $made->status != 201;
	is_task($alice->get('/tasks/' . $made->json->{id}),
		{ title => $title, description => $description }, $name);
}
sub title ($text) { $alice->post('/tasks', '{"title":' . json($text) . '}') }
sub description ($text) {
	$alice->post('/tasks', '{"title":"t","description":' . json($text) . '}')
}

# What comes back is what was sent.
round_trip($_, $_, 'as sent: ' . shown($_))
    for 'plain', ' two  blanks ', "tab\tand\nline\r\nfeed", '"quoted" \\ / \'',
    "\x{1}\x{1f}\x{7f}", "\x{80}\x{9f}", "e\x{301}", "\x{e9}", "\x{feff}bom",
    "\x{1F468}\x{200D}\x{1F469}\x{200D}\x{1F467}", "\x{10FFFF}", "\x{FFFF}\x{FFFE}", "\x{FFFD}",
    "\x{2028}x\x{2029}", "\x{202E}rtl", '<b>&amp;</b>', '%41%00', '${x}',
    "'; DROP TABLE tasks; --", '\\u0041', '\u0041',
    "\x{130}\x{131}\x{DF}\x{1E9E}", "\x{D7FF}\x{E000}", 'null', '0', 'true', 'x' x 200,
    "\x{1F600}" x 200, "x\x{200B}", "\x{2060}x", "\x{180E}x", "a\x{300}" x 100;
my $escapes = '{"title":"\u0041\u00e9\ud83d\ude00\/","description":"\b\f\n\r\t\""}';
is_task($alice->post('/tasks', $escapes),
    { title => "A\x{e9}\x{1F600}/", description => "\b\f\n\r\t\"" },
    'escapes become the characters that they stand for');

# Each pair of surrogates is one code point.
for my $point (0x10000, 0x1d800, 0x1dbff, 0x1dc00, 0x1dfff, 0x2d800, 0x2dc00, 0x10d800, 0x10dfff,
	0x1f600, 0xfffff, 0x10ffff)
{
	my $pair = sprintf '\u%04x\u%04x', 0xd800 + ($point - 0x10000 >> 10),
	    0xdc00 + ($point & 0x3ff);
	is_task($alice->post('/tasks', "{\"title\":\"$pair\",\"description\":\"a$pair$pair\"}"),
		{ title => chr $point, description => 'a' . chr($point) x 2 },
		"$pair is " . sprintf 'U+%04X', $point);
}

# 200 code points, and 201, however many bytes or UTF-16 units each has.
for my $char ('x', "\x{e9}", "\x{20AC}", "\x{1F600}", "\x{301}", "\x{DF}", "\x{FDFA}") {
	my $name = sprintf 'U+%04X', ord $char;
	answers(title($char x 200), 201, "a title of 200 $name");
	refuses(title($char x 201), invalid => "a title of 201 $name", errors => ['title']);
	answers(description($char x 1000), 201, "a description of 1,000 $name");
	refuses(description($char x 1001), invalid => "a description of 1,001 $name",
		errors => ['description']);
}
answers(title('x'), 201, 'a title of 1');
refuses(title(''), invalid => 'a title of 0', errors => ['title']);
answers(description(''), 201, 'a description of 0');
refuses(title('x' x 5000), invalid => 'a title of 5,000', errors => ['title']);
refuses($alice->post('/tasks', '{"title":"' . '\u0041' x 201 . '"}'),
	invalid => 'a title of 201 code points written as escapes', errors => ['title']);
answers($alice->post('/tasks', '{"title":"' . '\ud83d\ude00' x 200 . '"}'), 201,
	'a title of 200 code points written as surrogate pairs');
my $smile = "\xf0\x9f\x98\x80";
my ($title, $description) = ($smile x 200, $smile x 1000);
answers($alice->post('/tasks', qq({"title":"$title","description":"$description"})), 201,
    'a title and a description at their limits, four bytes each character');
my $both = $alice->post('/tasks', '{"title":"","description":"' . 'x' x 1001 . '"}');
refuses($both, invalid => 'a title of 0 and a description of 1,001');
is_deeply([sort map { $_->{member} } $both->json->{errors}->@*], ['description', 'title'],
	'both wrong members are named');

# A title of White_Space alone, by Unicode's property, is refused.
my @white = (0x9 .. 0xd, 0x20, 0x85, 0xa0, 0x1680, 0x2000 .. 0x200a, 0x2028, 0x2029, 0x202f, 0x205f,
	0x3000);
for my $white (@white) {
	refuses(title(chr $white), invalid => sprintf('a title of U+%04X alone', $white),
		errors => ['title']);
	answers(title(chr($white) . 'x'), 201, sprintf('a title of U+%04X and an x', $white));
}
refuses(title(join '', map { chr } @white), invalid => 'a title of every White_Space character',
	errors => ['title']);
refuses(title(' ' x 200), invalid => 'a title of 200 blanks', errors => ['title']);
answers(title(chr $_), 201, sprintf 'a title of U+%04X, which is not White_Space', $_)
    for 0x1c, 0x1f, 0x7f;
answers(description(' '), 201, 'a description of one blank');

# PUT and PATCH have the same limits.
my $path = '/tasks/' . $alice->task('to be written')->{id};
for my $method (qw(PUT PATCH)) {
	refuses($alice->request($method, $path, {}, { title => '' }),
		invalid => "$method of an empty title", errors => ['title']);
	refuses($alice->request($method, $path, {}, { title => "\x{3000}" }),
		invalid => "$method of a blank title", errors => ['title']);
	refuses($alice->request($method, $path, {}, { title => 'x' x 201 }),
		invalid => "$method of a long title", errors => ['title']);
	refuses($alice->request($method, $path, {}, { description => 'x' x 1001 }),
		invalid => "$method of a long description", errors => ['description']);
	my $longest = { title => "\x{1F600}" x 200, description => "\x{e9}" x 1000 };
	is_task($alice->request($method, $path, {}, $longest), $longest, "$method at the limit");
	is_task($alice->request($method, $path, {}, { title => 'case' }), { title => 'case' },
		"$method of another title");
	for my $near ('CASE', "cas\x{e9}", 'case ', "c\x{e4}se", 'case') {
		my $had = $alice->get($path)->header('ETag');
		my $answer = $alice->request($method, $path, {}, { title => $near });
		is_task($answer, { title => $near },
			"$method of a title that sorts alike: " . shown($near));
		isnt($answer->header('ETag'), $had,
			"$method of a title that sorts alike changes the ETag");
	}
	is_task($alice->request($method, $path, {}, { description => $_ }), { description => $_ },
		"$method of a description that differs in case or blanks: '$_'")
	    for 'd', 'D', 'D ', '';
}

$stack->done;
