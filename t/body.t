# Goal: a body is strict JSON (RFC 8259) in valid UTF-8, of the right type, size
# and length; any other body is refused, and nothing is stored.

use v5.36;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Facts;
use Stack;

my $stack = Stack->new(inside => 1);
my $alice = $stack->user;
my $stored = 0;

sub shown ($text) { substr($text, 0, 60) =~ s/[^ -~]/sprintf '\\x%02x', ord $&/ger }
sub post ($body, %headers) {
	my $answer = $alice->request('POST', '/tasks', \%headers, $body);
	$stored++ if $answer->status == 201;
	return $answer;
}
sub bad ($body, $name = shown($body)) {
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	refuses(post($body), bad_request => "400: $name");
}
sub good ($body, $name = shown($body)) {
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	answers(post($body), 201, "201: $name");
}
# A right task with this value as its only unknown member.
sub with ($value) { qq({"title":"t","x":$value}) }

# Texts that are not JSON, as a member's value -------------------------------

my @not_json = (
	'', ' ', 'nul', 'nulll', 'Null', 'NULL', 'True', 'TRUE', 'tru', 'FALSE', 'undefined',
	'none', 'yes',
	# numbers
	'NaN', 'nan', 'Infinity', '-Infinity', '+Infinity', 'inf', '-inf', '-nan', 'NAN', '-NaN',
	'01', '-01', '00', '-00', '007', '0x1', '0X1F', '0b1', '0o7',
	'1.', '-1.', '0.', '.5', '-.5', '-.1', '+.5', '0.e1', '1.e1', '1.e', '0.1.2', '1..2', '1e',
	'1e+', '1e-', '1E', '1eE2', '1e1.5', '1e+-1', '0e', '0e+', '0.3e', '0.3e+', '1.0e',
	'1.0e-', '2.e3', '2.e-3', '9.e+', '+1', '++1', '--1', '- 1', '-', '+', '1 000', '1_000',
	'1,000.0x', "1\x00", '1a', '123abc', '0x', '-foo', '1ea', '1f', '0.5d', '1L',
	"\xef\xbc\x91",
	'1e1e1', '-0x1', '.', '-.', '.e1', 'e1', '1+2', '1-', '0-1', '0+0', '0.1-', '1/2',
	# strings
	'"', '"a', 'a"', "'a'", "'", '`a`', '"a"b', '"a" "b"', "\"a\tb\"", "\"a\nb\"", "\"a\rb\"",
	"\"\x01\"", "\"\x1f\"", "\"\x00\"", "\"a\x0bb\"", '"\\"', '"\\x41"', '"\\a"', '"\\\'"',
	'"\\0"', '"\\v"', '"\\U0041"',
	'"\\u"', '"\\u1"', '"\\u12"', '"\\u123"', '"\\u12G4"', '"\\u+123"', '"\\u 123"',
	'"\\u-123"', '"\\u{41}"', '"\\ "', "\"\\\n\"", '"\\', '"\\u00', '"\\ud800',
	"\"\\u00\xc3\xa9\"",
	# arrays
	'[', ']', '[[]', '[]]', '[1', '[1,', '[1,]', '[,1]', '[,]', '[1,,2]', '[1 2]', '[1;2]',
	'[1:2]', '["a":1]', '[1}', '{]', '[1,]]', '["a",', '[""', '[*]', '["",]', '[-]', "[a",
	'[1,2,...]', '[x]', '(1)', '<1>',
	# objects
	'{', '}', '{}}', '{{}', '{"a"}', '{"a":}', '{:1}', '{"a":1,}', '{,"a":1}',
	'{"a":1,,"b":2}', '{"a":1 "b":2}', '{"a" 1}', '{"a"=1}', '{a:1}', "{'a':1}", '{1:1}',
	'{null:1}', '{true:1}', '{[]:1}', '{"a":1:2}',
	'{"a"::1}', '{"a":1;"b":2}', '{"a":"b"]', '{"a":1', '{"a":', '{"a', '{"a":b}',
	'{"a":"b"/**/}', '{"a":1/*', '{"a":1}#', '{...}', '{"a":1,"a', '{\'a\':0}', "{a:'b'}",
	'{"a",1}', '{"x", null}', '{"x"::"b"}', '{9999E9999:1}',
	# comments, other blanks, other characters
	'/**/1', '1/**/', '//1', "1//\n", '#1', '<!-- -->', '1;', "\xc2\xa01", "\x0c1", "\x0b1",
	"1\x0c", "\xe2\x80\xa81", "\xe2\x81\xa01", "\xef\xbb\xbf1", "1\x1a", '\\u0031', '\\n',
	'$1', '@', '&', '*', 'a', "\xc3\xa9", '2@', '""""',
);
bad(with($_)) for @not_json;

# Texts that are not JSON as a whole.
bad($_)
    for '', ' ', "\n", 'x', '{', '}', '{"title":"t"', '"title":"t"', '{"title":"t"}}',
    '{"title":"t"}x', '{"title":"t"} {"title":"t"}', '{"title":"t"}{}', '{"title":"t"},',
    '{"title":"t"}]',
    '{"title":"t",}', '{,"title":"t"}', '{title:"t"}', "{'title':'t'}", '{"title":"t"}//c',
    '{"title":"t"}/*c*/', '/*c*/{"title":"t"}', "// c\n{\"title\":\"t\"}", '#!{"title":"t"}',
    "{\"title\":\"t\"}\0", "\0{\"title\":\"t\"}",
    "{\"title\":\"t\"}\0\0\0", "{\"title\":\"t\"}\0garbage", "{\"title\":\"t\"\0}",
    "{\0\"title\":\"t\"}", "\xef\xbb\xbf{\"title\":\"t\"}", "\xff\xfe{\0}\0", "\xfe\xff\0{\0}",
    "{\0\"\0t\0\"\0", 'title=t', 'title=t&completed=true', '<title>t</title>', "--b\r\n",
    '[', ']', '[]]', '[[]', '["title","t"', 'nul', 'tru', '"', '"\\', '-', '+1', '01', '1.', 'NaN',
    '{"title"', '{"title":', '{"title":"', '{"title":"t', '{"title":"t",', '{"title":"t","',
    '{"title":"t"\\u007d', ')]}\',{"title":"t"}';

# Texts that are JSON --------------------------------------------------------

good(with($_))
    for 'null', 'true', 'false', '0', '-0', '1', '-1', '1.5', '-1.5', '0.0', '-0.0', '1e1', '1E1',
    '1e+1', '1e-1', '1.5e+10', '0e0', '0E+0', '0.1e-5', '20e1', '1e400', '-1e400', '1e-400',
    '123456789012345678901234567890', '-9223372036854775809', '18446744073709551616',
    '0.' . '1' x 400, '9' x 400, '""', '"a"', '"\\"\\\\\\/\\b\\f\\n\\r\\t"',
    '"\\u0001\\u001f\\u007f"', '"\\u00e9"', '"\\u00E9"', '"\\ud83d\\ude00"', '"\\uD83D\\uDE00"',
    '"\\uFFFF"', '"\\uFEFF"', '"\\u2028"', "\"\xe2\x80\xa8\"", "\"\x7f\"",
    "\"\xc3\xa9\xf0\x9f\x98\x80\"", "\"\xef\xbf\xbf\"", "\"\xf4\x8f\xbf\xbf\"", "\"\xc2\x80\"",
    "\"\xed\x9f\xbf\"", "\"\xee\x80\x80\"", "\"\xef\xbb\xbf\"",
    '"/*x*/"', '"//"', "\"'\"", '[]', '[ ]', '[1,2]', '[ 1 , 2 ]', '[null,true,"a",1.5,{},[]]',
    '[[],[]]', '{}', '{ }', '{"a":1}', '{"a":1,"b":2}', '{"":0}', '{"a":{"a":{"a":1}}}',
    '{"a\\u0020b":1}', '{"A":1,"a":2}', "\t\r\n 1 \t\r\n", '{"__proto__":1,"constructor":2}',
    '{"a":[{"b":1},{"b":2}]}';
good($_)
    for " {\"title\":\"t\"} ", "\r\n\t{\r\n\t\"title\"\r\n:\t\"t\"\r\n}\n", '{"t\u0069tle":"t"}',
    '{"\u0074\u0069\u0074\u006c\u0065":"t"}', '{"title":"t","Title":"u","TITLE":1,"title ":2}',
    '{"description":null,"title":"t","completed":false}';

# Nesting: 32 levels, and 33. The body itself is the first level.
sub nested ($n, $open, $close, $core = '') { $open x $n . $core . $close x $n }
good(with(nested(31, '[', ']')), '32 levels of arrays');
good(with(nested(31, '[', ']', '1')), '32 levels of arrays with a number inside');
good(with(nested(30, '{"a":', '}', '{}')), '32 levels of objects');
good(with(nested(31, '{"a":', '}', 'null')), '32 levels of objects with null inside');
good(with('[' . join(',', (nested(30, '[', ']')) x 50) . ']'),
	'32 levels of arrays, fifty times side by side');
bad(with(nested(32, '[', ']')), '33 levels of arrays');
bad(with(nested(32, '[', ']', '1')), '33 levels of arrays with a number inside');
bad(with(nested(31, '{"a":', '}', '{}')), '33 levels of objects');
bad(with(nested(16, '[{"a":', '}]')), '33 levels of arrays and objects, nothing inside');
bad(with(nested(16, '[{"a":', '}]', '1')), '33 levels of arrays and objects with a number inside');
bad(with('[' x 5000), '5,000 open brackets');
bad('[' x 16000, '16,000 open brackets');
bad('{"a":' x 3000, '3,000 open objects');
bad(nested(7000, '[', ']'), '7,000 levels of arrays');

# Invalid UTF-8, in strings, in names, and after the object.
my @not_utf8 = qw(
	80 bf ff fe c3 c328 c0af c080 c1bf e0 e282 e28228 e080af e08080 e09fbf
	eda080 edafbf edb080 edbfbf eda080edb080 f0 f09f98 f0808080 f08080af
	f08fbfbf f4908080 f5808080 f7bfbfbf f888808080 fc8480808080 fbbfbfbfbf
	c3c3 a9c3 e9 fffe feff efbb c2 e2ff80
);
for my $hex (@not_utf8) {
	my $bytes = pack 'H*', $hex;
	bad("{\"title\":\"a${bytes}b\"}", "a title with $hex");
	bad("{\"title\":\"t\",\"description\":\"$bytes\"}", "a description of $hex");
	bad("{\"title\":\"t\",\"x\":\"$bytes\"}", "an unknown member of $hex");
	bad("{\"title\":\"t\",\"$bytes\":1}", "a name of $hex");
	bad("{\"title\":\"t\"}$bytes", "$hex after the object");
}

# U+0000 and lone surrogates, written as escapes.
for my $escape ('\u0000', 'a\u0000b', '\ud800', '\udbff', '\udc00', '\udfff', '\ud83d',
	'\ude00\ud83d', '\ud83d\ud83d', '\ud83dx', '\ud83d\n', '\ud83d\u0041', 'x\uDC00',
	'\uD800\uDBFF', '\ud83d\\\\ude00')
{
	bad("{\"title\":\"$escape\"}", "a title $escape");
	bad("{\"title\":\"t\",\"description\":\"$escape\"}", "a description $escape");
	bad("{\"title\":\"t\",\"x\":[\"$escape\"]}", "an unknown member $escape");
	bad("{\"title\":\"t\",\"x$escape\":1}", "a name $escape");
}
bad('{"title\u0000x":"t"}', 'the name title\u0000x');
bad('{"title":"t","title\u0000":"u"}', 'the name title\u0000 beside title');

# The same member twice.
bad($_)
    for '{"title":"t","title":"t"}', '{"title":"a","title":"b"}', '{"title":"t","t\u0069tle":"t"}',
    '{"title":"t","completed":true,"completed":false}',
    '{"title":"t","description":null,"description":null}',
    '{"title":"t","x":1,"x":1}', '{"title":"t","x":{"y":1,"y":2}}',
    '{"title":"t","x":[[{"y":1,"z":2,"y":3}]]}', '{"title":"t","":1,"":2}',
    "{\"title\":\"t\",\"\xc3\xa9\":1,\"\\u00e9\":2}",
    '{"title":"t","\ud83d\ude00":1,' . "\"\xf0\x9f\x98\x80\":2}",
    '{' . join(',', map { "\"m$_\":0" } 0 .. 500, 250) . ',"title":"t"}';
good('{' . join(',', map { "\"m$_\":0" } 0 .. 500) . ',"title":"t"}', '501 different members');

# JSON that is no task: 422, naming the member -------------------------------

for my $body ('[]', '[{"title":"t"}]', '"title"', '1', '-0.5', 'null', 'true', 'false', '""',
	' [ ] ')
{
	my $answer = post($body);
	refuses($answer, invalid => "422: not an object: $body");
}
my @wrong = (
	[title => '{}', '{"description":"d"}', '{"Title":"t"}',
	    map { qq({"title":$_}) } qw(null true false 0 1 1.5 [] {} ["t"] {"a":"b"} "")],
	[description => map { qq({"title":"t","description":$_}) }
	    qw(true false 0 1.5 [] {} ["d"])],
	[completed => map { qq({"title":"t","completed":$_}) }
	    qw(null 0 1 "true" "false" "" [] {} [true] 1.0)],
);
for (@wrong) {
	my ($member, @bodies) = @$_;
	refuses(post($_), invalid => "422: $_", errors => [$member]) for @bodies;
}
my $several = post('{"title":1,"description":2,"completed":3}');
refuses($several, invalid => 'several wrong members');
my %named = map { $_->{member} => 1 } $several->json->{errors}->@*;
ok($named{title}, 'the first wrong member is named');

my $task = $alice->task('to be written');
my $its_path = "/tasks/$task->{id}";
$stored++;
for my $method (qw(PUT PATCH)) {
	for (@wrong) {
		my ($member, @bodies) = @$_;
		for my $body (grep { /"\Q$member\E":/ } @bodies) {
			refuses($alice->request($method, $its_path, {}, $body),
				invalid => "$method 422: $body", errors => [$member]);
		}
	}
	refuses($alice->request($method, $its_path, {}, $_), invalid => "$method 422: $_")
	    for '[]', 'null', '1', '"x"';
	refuses($alice->request($method, $its_path, {}, $_),
		bad_request => "$method 400: " . shown($_))
	    for '', '{', '{"title":"a","title":"b"}', "{\"title\":\"\xff\"}", '{"title":"\u0000"}',
	    "\xef\xbb\xbf{}", with('NaN'), with("'a'"), with('[1,]');
	refuses($alice->request($method, $its_path, { 'Content-Type' => 'application/json' }),
		bad_request => "$method without a body");
}
my $complete = "$its_path/complete";
for my $body ('[]', 'null', '1', 'true', 'false', '"true"') {
	refuses($alice->patch($complete, $body), invalid => "complete 422: $body");
}
refuses($alice->patch($complete, $_), bad_request => 'complete 400: ' . shown($_))
    for '{', ' ', "\0", '{"completed":tru}', '{"completed":true,"completed":true}', "\xff",
    '{"completed":true}x';
refuses($alice->patch($complete, '{"completed":true}', { 'Content-Type' => 'text/plain' }),
	unsupported_media_type => 'complete 415');
answers($alice->get($its_path), 200, 'the task is unchanged after these refusals',
	{ map { $_ => $task->{$_} } grep { $_ ne 'etag' } keys %$task });
refuses($alice->request('POST', '/tasks', { 'Content-Type' => 'application/json' }),
	bad_request => 'POST without a body');

# Content-Type -----------------------------------------------------------------

for my $type ('application/json', 'Application/JSON', 'application/json;charset=utf-8',
	'application/json; charset=UTF-8', 'application/json; charset="utf-8"',
	'application/json ; charset=utf-8', "application/json;\tcharset=Utf-8",
	'application/json; x="a;charset=latin1"')
{
	answers(post('{"title":"t"}', 'Content-Type' => $type), 201, "201: $type");
}
for my $type (
	undef, '', 'text/plain', 'text/json', 'application/x-www-form-urlencoded',
	'multipart/form-data; boundary=b', 'application/jsonx', 'application/json5',
	'application/json-patch+json', 'application/problem+json', 'json', 'application',
	'application/', '*/*',
	'application/*', 'application/json, text/plain', 'text/plain; application/json',
	'application/json; charset=iso-8859-1', 'application/json; charset=utf-16',
	'application/json;charset=utf8x', 'application/json; charset=',
	'application/json; x=";charset=utf-8', 'application/json charset=utf-8',
	'x application/json', "application/json\xff")
{
	refuses(post('{"title":"t"}', 'Content-Type' => $type),
		unsupported_media_type => '415: ' . shown($type // 'none'));
}

# UTF-8 by its other name, and as a quoted string with backslashes.
for my $name ('utf8', 'UTF8', 'Utf8', '"utf8"', '"UTF-8"', '"ut\\f-8"', '"\\u\\t\\f8"') {
	my $answer = post('{"title":"t"}', 'Content-Type' => "application/json; charset=$name");
	answers($answer, 201, "201: charset=$name");
}
for my $name ('utf_8', 'utf-88', '"utf-8 "', '" utf8"', '"utf-8\\"', '""', 'utf') {
	my $answer = post('{"title":"t"}', 'Content-Type' => "application/json; charset=$name");
	refuses($answer, unsupported_media_type => "415: charset=$name");
}

# application/merge-patch+json (RFC 7396) is for PATCH alone; 415 lists the types that are accepted.
my $merge = 'application/merge-patch+json';
my $one = $alice->task('one', description => 'to go');
my $path = "/tasks/$one->{id}";
$stored++;
sub patch ($body, $type = $merge) { $alice->patch($path, $body, { 'Content-Type' => $type }) }
is_task(patch('{"title":"two","description":null}'), { title => 'two', description => undef },
    'a merge patch with null removes the description');
is_task(patch('{"description":"back","x":null}', "$merge;charset=utf8"),
	{ title => 'two', description => 'back', completed => false },
	'a merge patch keeps the members that it leaves out');
is_task(patch('{}', uc $merge), { title => 'two', description => 'back' },
	'an empty merge patch changes nothing');
refuses(patch('{"title":null}'), invalid => 'a merge patch cannot remove the title',
	errors => ['title']);
refuses(patch('{"completed":null}'), invalid => 'a merge patch cannot remove completed',
	errors => ['completed']);
refuses(patch($_), invalid => "a merge patch that is not an object: $_") for '[]', 'null', '"x"';
refuses(patch($_), bad_request => "a merge patch that is not JSON: $_")
    for '{', '', '{"title":"a","title":"b"}';
is_task($alice->patch("$path/complete", '{"completed":true}', { 'Content-Type' => $merge }),
    { completed => true }, 'a merge patch completes a task');
for (['POST', '/tasks'], ['PUT', $path], ['PATCH', $path], ['PATCH', "$path/complete"]) {
	my ($method, $target) = @$_;
	my ($has, $lacks) = ('Accept', 'Accept-Patch');
	($has, $lacks) = ($lacks, $has) if $method eq 'PATCH';
	my $accept =
	    { 'Accept' => 'application/json', 'Accept-Patch' => "$merge, application/json" };
	my $body = '{"title":"t","completed":true}';
	my $patch = $method eq 'PATCH' ? 'application/json-patch+json' : $merge;
	for my $type ('text/plain', "$merge;charset=latin1", $patch) {
		my $answer = $alice->request($method, $target, { 'Content-Type' => $type }, $body);
		refuses($answer, unsupported_media_type => "$method $target: $type");
		is($answer->header($has), $accept->{$has}, "$method $target: $type: 415 has $has");
		is($answer->header($lacks), undef, "$method $target: $type: 415 has no $lacks");
	}
}
is($alice->patch($path, '{')->header($_), undef, "400 has no $_") for 'Accept', 'Accept-Patch';
is_task($alice->get($path), { title => 'two', description => 'back', completed => true },
    'refused patches wrote nothing');

# Size: 16 KiB, and one byte more, with Content-Length and without.
my $room = 16384 - length '{"title":"t","x":""}';
sub sized ($n) { '{"title":"t","x":"' . 'y' x ($room + $n) . '"}' }
good(sized(0), 'a body of 16,384 bytes');
refuses(post(sized(1)), content_too_large => 'a body of 16,385 bytes');
refuses(post(sized(100_000)), content_too_large => 'a body of 116,384 bytes');
refuses(post('x' x 16385), content_too_large => 'a body of 16,385 bytes that is not JSON');
$stack->expect_log(qr/client intended to send too large (?:chunked )?body/);
sub chunked ($text, $n) {
	my $out = '';
	$out .= sprintf "%x\r\n%s\r\n", length, $_ for unpack "(a$n)*", $text;
	return "${out}0\r\n\r\n"
}
answers(post(chunked('{"title":"chunked"}', 5), 'Transfer-Encoding' => 'chunked'), 201,
	'a chunked body');
answers(post(chunked(sized(0), 1000), 'Transfer-Encoding' => 'chunked'), 201,
	'a chunked body of 16,384 bytes');
refuses(post(chunked(sized(1), 1000), 'Transfer-Encoding' => 'chunked'),
	content_too_large => 'a chunked body of 16,385 bytes');
refuses(post(chunked('', 1), 'Transfer-Encoding' => 'chunked'),
	bad_request => 'a chunked body of 0 bytes');
answers($alice->request('PATCH', $complete, { 'Transfer-Encoding' => 'chunked' }, chunked('', 1)),
	200,
	'a chunked body of 0 bytes toggles');
refuses($alice->request('PUT', "/tasks/$task->{id}", {}, sized(1)),
	content_too_large => 'PUT of 16,385 bytes');

# Over FastCGI: the body must be as long as CONTENT_LENGTH says -----------------

my $direct = $stack->fastcgi;
sub send_short ($body, $length, %o) {
	return $direct->send(
		'POST',
		$alice->tasks,
		[
			[Authorization => 'Bearer ' . $alice->token],
			['Content-Type' => 'application/json'], ['Content-Length' => $length]
		],
		$body, %o);
}
answers(send_short('{"title":"direct"}', 18), 201, 'the right length over FastCGI');
$stored++;
refuses(send_short('{"title":"short"}', 18), bad_request => 'a body one byte short');
refuses(send_short('{"title":"short"}', 16000), bad_request => 'a body far too short');
refuses(send_short('', 18), bad_request => 'an empty body where 18 bytes were announced');
refuses(send_short('{"title":"x"}', 16385),
	content_too_large => 'CONTENT_LENGTH beyond the limit');
refuses(send_short('{"title":"x"}' . ' ' x 20000, 20013),
	content_too_large => 'a body beyond the limit');
refuses(send_short('{"title":"x"}', '99999999999'),
	content_too_large => 'CONTENT_LENGTH beyond 32 bits');
for my $length (
	'-1', '+13', '1e1', '0x0d', '13x', 'x', ' 13', '13 ', '99999999999999999999',
	'18446744073709551629')
{
	my $answer = send_short('{"title":"x"}', $length);
	ok($answer->status == 400 || $answer->status == 413, "CONTENT_LENGTH $length")
	    or diag($answer->dump);
}
refuses(send_short('{"title":"x"}', ''), bad_request => 'no CONTENT_LENGTH');
refuses(send_short('{"title":"x"}', 12), bad_request => 'a body one byte too long');
refuses(send_short('{"title":"x"}  ', 13),
	bad_request => 'a body with blanks beyond CONTENT_LENGTH');
my $cut = send_short('{"title":"cut off"}', 19, cut => 1, maybe => 1);
ok(!defined $cut || $cut->status == 201 || $cut->status == 400,
	'a stream that breaks off after the whole body: 201, 400 or no answer');
$stored++ if defined $cut && $cut->status == 201;
$cut = send_short('{"title":"cut off"', 19, cut => 1, maybe => 1);
ok(!defined $cut || $cut->status == 400,
	'a stream that breaks off within the body: 400 or no answer');
sub complete ($body, $length) {
	return $alice->with(client => $direct)
	    ->patch($complete, $body, { 'Content-Length' => $length });
}
answers(complete('{"completed":true}', 18), 200, 'the pool still answers after cut streams');
refuses(complete('', 18), bad_request => 'complete without the announced body');
refuses(complete('{"completed":true}', ''), bad_request => 'complete with a body of no length');

# A client that goes away in the middle of its body leaves no task.
$stack->client->close;
my $gone = $stack->new_client;
$gone->_connect;
$gone->_write(join "\r\n", "POST @{[$alice->tasks]} HTTP/1.1",
	'Host: ' . $gone->authority, 'Authorization: Bearer ' . $alice->token,
	'Content-Type: application/json', 'Content-Length: 100', '', '{"title":"half"}');
$gone->close;

# Every body that was accepted is stored, and no other.
my $n = 0;
my $target = '/tasks?limit=500';
while ($target) {
	my $answer = $alice->get($target);
	$n += $answer->json->@*;
	$target = ($answer->header('Link') // '') =~ /<([^>]+)>/ ? $1 : undef;
}
is($n, $stored, "$stored bodies were accepted, and as many tasks are stored");

$stack->done;
