# Goal: a request target is matched byte for byte. Encoded slashes, dot segments,
# empty segments, backslashes and control bytes are 400 or 404, and never become
# another path.

use v5.36;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Facts;
use Stack;

my $stack = Stack->new(inside => 1);
# A target that nginx normalises to one outside /api/ is looked for among the page's files.
$stack->expect_log(qr/open\(\) "[^"]*" failed \(2: No such file/);
my ($alice, $bob) = ($stack->user, $stack->user);
my ($a, $b) = ($alice->id, $bob->id);
my $hers = $alice->task('hers')->{id};
my $his = $bob->task('his')->{id};
my $client = $stack->client;
my @bearer = ([Authorization => 'Bearer ' . $alice->token]);

sub get ($target) { $client->send('GET', $target, \@bearer) }
sub nowhere ($target) {
	my $answer = $stack->of_others(sub { get($target) });
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	ok($answer->status == 400 || $answer->status == 404,
		'400 or 404: ' . $target =~ s/[^ -~]/sprintf '\\x%02x', ord $&/ger)
	    or diag($answer->dump);
}

# Encoded slashes.
nowhere($_) for map {
	my $s = $_;
	(
		"/api/$a${s}tasks", "/api${s}$a/tasks", "/api/$a/tasks${s}$hers",
		"/api/$b${s}..${s}$a/tasks", "/api/$a${s}..${s}$b/tasks",
		"/api/$a/tasks/$hers${s}complete", "/api${s}me",
		"/api/$a${s}/tasks", "/api/${s}$a/tasks", "/api/$a/tasks/..${s}..${s}$b${s}tasks")
} '%2F', '%2f', '%2F%2F';

# Dot segments, plain and encoded.
for my $dots ('..', '%2e%2e', '%2E.', '.%2e') {
	nowhere($_)
	    for "/api/$a/$dots/$b/tasks", "/api/$b/$dots/$a/tasks", "/api/$dots/api/$a/tasks",
	    "/api/$a/x/$dots/tasks",
	    "/api/$a/tasks/x/$dots", "/api/$a/tasks/$dots/tasks/$hers", "/api/$a/$dots/me",
	    "/x/$dots/api/me", "/$dots/api/me",
	    "/api/$dots/tasks", "/api/$a/tasks/$dots", "/api/auth/$dots/me",
	    "/api/auth/$dots/$a/tasks";
}
for my $dot ('.', '%2e', '%2E') {
	nowhere($_)
	    for "/api/$dot/$a/tasks", "/api/$a/$dot/tasks", "/api/$a/tasks/$dot", "/$dot/api/me",
	    "/api/$dot/me",
	    "/api/$a/tasks/$dot/$hers", "/api/$dot/tasks", "/api/$a/tasks/$hers/$dot/complete";
}

# The same for the paths of the page and of Better Auth.
nowhere($_)
    for '/api/x/../..', "/api/$a/tasks/../../../", '/api/../', '/x/..', '/./', '/%2e', '/.', '/..',
    '/%2E%2e/', '/x%2F..%2F', '/..%2f',
    '/healthz%2F..', '/api/auth/..%2f..', '/x/../api/auth/ok', '/api/auth/./ok',
    '/api/auth/x/../ok', '/api/auth/%2e%2E/auth/ok', '/api/auth/x%2f..%2fok',
    '/api//auth/ok', '/api/auth//ok', '//api/auth/ok', '//', '/x//', '/x/..?y', '/%5c', '/x%5C..',
    '/api/auth/%5C';
isnt($stack->of_others(sub { get("/?x=/../%2f//&y=..") })->status, 400,
	'slashes and dots in the query of the page');
$stack->of_others(sub {
	unlike(get($_)->body, qr/\A<!doctype/i, "$_ is not the page")
	    for '/...', '/.x', '/x../'
});

# Empty segments.
nowhere($_)
    for "//api/$a/tasks", "/api//$a/tasks", "/api/$a//tasks", "/api/$a/tasks/", "/api/$a/tasks//",
    "/api//tasks",
    "/api/$a/tasks//$hers", "/api/$a/tasks/$hers/", "/api//me", '//api/me', '/api/me/',
    '//healthz', '/healthz/', "///api/$a/tasks",
    '/api/', "/api/$a/", "/api/$a/tasks/$hers//complete";

# Backslashes, control bytes, NUL, bad encodings.
nowhere($_) for map {
	my $c = $_;
	(
		"/api/$a${c}tasks", "/api/$a$c/tasks", "/api/$c$a/tasks", "/api/$a/tasks$c",
		"/api/$a/tasks/$hers$c", "/api/$b$c..$c$a/tasks", "/api/me$c")
} '\\', '%5C', '%5c', '%00', '%01', '%0a', '%0D%0A', '%09', '%1f', '%7F';
nowhere($_) for map { "/api/$a$_/tasks" } '%', '%2', '%zz', '%2g', '%%', '%u0041', '%-1';
nowhere("/api/$a/tasks\x01"), nowhere("/api/$a\x7f/tasks"), nowhere("/api/$a\t/tasks");

# Fixed segments are matched as sent, without decoding.
nowhere($_)
    for "/%61pi/$a/tasks", "/api/$a/%74asks", "/api/$a/task%73", '/api/m%65', '/api/%6d%65',
    '/%68ealthz', '/health%7a',
    "/API/$a/tasks", "/api/$a/Tasks", "/api/$a/TASKS", '/api/ME', '/HEALTHZ',
    "/api/$a/tasks/$hers/%63omplete";

# No such route.
refuses(get($_), not_found => $_)
    for '/api', '/api?x', '/api/auth', '/api/auth?x', "/api/$a", "/api/$a/task", "/api/$a/tasksx",
    "/api/$a/tasks/$hers/completed", "/api/$a/tasks/$hers/complete/x",
    "/api/$a/tasks/$hers/x", "/api/$a/x/$hers", '/api/me/x', "/api/$a/tasks;x=1",
    "/api/$a/tasks/$hers;x", "/api/me;x", "/api/$a/tasks,", "/api/$a/tasks%20",
    "/api/$a/tasks%3Flimit=1";

# Malformed task ids are 404, and so are other spellings of a right one.
my $foreign = get("/api/$a/tasks/$his");
refuses(get("/api/$a/tasks/$_"), not_found => "id $_")
    for uc $hers, substr($hers, 0, -1), "${hers}0", "{$hers}", "urn:uuid:$hers",
    $hers =~ tr/-//dr, $hers =~ s/-/_/gr, 'x', '0', '1', 'null', '*', $hers =~ s/.\z/g/r,
    "$hers%20", "%20$hers", "0$hers", '-' x 36,
    '00000000-0000-0000-0000-000000000000', 'ffffffff-ffff-ffff-ffff-ffffffffffff',
    $hers =~ s/-7/-4/r, 'x' x 3000,
    $hers =~ s/-([0-9a-f]{4})-/-$1 /r =~ s/ /%2D%2D/r;

# A query does not change the path.
answers(get("/api/$a/tasks?x=/../../$b/tasks"), 200, 'a path in the query');
answers(get("/api/$a/tasks?"), 200, 'an empty query');
answers(get("/api/$a/tasks?limit=1?x"), 422, 'a second question mark is part of the value');
answers(get("/api/me?%00&\\&//&..&%zz"), 200, 'control bytes and dots in the query');
is_deeply([map { $_->{user_id} } get("/api/$a/tasks?/api/$b/tasks")->json->@*], [$a],
	"another tenant's path in the query lists no task of another tenant");

# The absolute form is the same target; another host in it changes nothing.
for my $authority ($client->authority, 'evil.example') {
	my $answer = $stack->of_others(sub { get("https://$authority/api/$a/tasks") });
	my $own = $answer->status == 200 && $answer->json->[0]{user_id} eq $a;
	ok($own || $answer->status == 400 || $answer->status == 421,
	    "the absolute form, with the host $authority") or diag($answer->dump);
	my $other = $stack->of_others(sub { get("https://$authority/api/$b/tasks") });
	ok($other->status == 403 || $other->status == 400,
		"the absolute form of Bob's path, with the host $authority")
	    or diag($other->dump);
}

# What is not a request at all is 400 by nginx, in the shape of the contract.
for (
	['a target without a slash' => "GET api/me HTTP/1.1"],
	['a blank in the target' => "GET /api/me x HTTP/1.1"],
	['NUL in the target' => "GET /api/\0me HTTP/1.1"], ['no target' => 'GET  HTTP/1.1'])
{
	my $answer = $client->raw("$_->[1]\r\nHost: " . $client->authority . "\r\n\r\n");
	refuses($answer, bad_request => $_->[0]);
}
refuses($client->raw("GET /api/me HTTP/1.1\r\n\r\n"), bad_request => 'no Host header');
refuses($client->raw("GET /api/me HTTP/1.1\r\nHost: @{[$client->authority]}\r\nX: a\0b\r\n\r\n"),
	bad_request => 'NUL in a header');
refuses(get('/api/' . 'x' x 9000), bad_request => 'a target of 9,000 bytes');

# The same over FastCGI, without nginx in between.
my $direct = $alice->with(client => $stack->fastcgi);
sub deep ($target) { $direct->{client}->send('GET', $target, \@bearer) }
my $wrong = 0;
for my $target (
	"/api/$a%2Ftasks", "/api/$a/../$b/tasks", "/api/$b/../$a/tasks", "/api//$a/tasks",
	"/api/$a/tasks/", "/api/$a\\tasks",
	"/api/$a%00/tasks", "/api/$a\x01/tasks", "/api/$a/./tasks", "/api/%2e%2e/tasks",
	"//api/$a/tasks", "api/$a/tasks", '', '*', '?', '/',
	"http://x/api/$a/tasks", "/api/$a%/tasks", "/api/$a%zz/tasks", "/api/$a/tasks#x",
	"/api/$a\xff/tasks", '/' x 5000,
	'/a' x 2000, "/api/$a/tasks/$hers/../$hers", '%', '/%', '/api/%', "/api/$a/tasks/\xc3\xa9")
{
	my $answer = $stack->of_others(sub { deep($target) });
	next
	    if $answer->status == 400
	    || $answer->status == 404
	    || $answer->status == 403 && $target =~ /\xff/;
	$wrong++;
	diag($answer->dump);
}
is($wrong, 0, 'over FastCGI every such target is 400, 404 or 403');
is($foreign->status, 404, "Bob's task id under Alice's path");

$stack->done;
