# Goal: no head of a request ends the issuer, misleads it or costs it much: 12,000
# hostile heads, to its own socket and through nginx over HTTP/1.1 and HTTP/2.
#
# FUZZ_SEED=n repeats a run; FUZZ_COUNT=n is how many are sent each way.

use v5.36;
use FindBin;
use IPC::Open2;
use lib "$FindBin::Bin/../lib";
use JSON::PP ();
use List::Util qw(max sum);
use Test::More;
use Issuer;
use Stack;

my $seed = $ENV{FUZZ_SEED} // (time ^ $$);
my $each = $ENV{FUZZ_COUNT} // 4000;
# A head that seems expensive is sent this many times again, and so is the plain one.
my $AGAIN = 40;
my $TIMES = 10;
srand $seed;
note("FUZZ_SEED=$seed");

my $stack = Stack->new(private => 1, issuer => 1);
my $issuer = Issuer->new($stack);
my $client = $stack->client;
my ($authority) = $stack->url =~ m{\Ahttps://(.*)\z};

# --- heads ------------------------------------------------------------------

sub pick (@list) { $list[rand @list] }
sub many ($most, $make) { join '', map { $make->() } 1 .. 1 + rand $most }
# Characters that mean something to a parser of URLs, cookies or lists, and some that do not.
my @SIGNS = (split(//, q{ab09:/\\?#@%&=;,.-_~!$'"[]|^`<>*+(){} }), "\t", "\x80", "\xc3\xa9",
    "\xff");
sub junk ($most = 40) { many($most, sub { pick(@SIGNS) }) }
# One or two signs, repeated many times: this shows patterns that backtrack.
sub long () { my $sign = pick(@SIGNS) . pick('', @SIGNS); substr($sign x 7800, 0, 1 + rand 7800) }
sub host () {
	return pick('a:b', 'a|b', '%', 'todo.example:99999', $authority, "$authority:1",
	    'localhost', '[::1', '[::1]', '[::1]:0x1', '1.2.3.4.5', '0x7f.1', '256.0.0.1', 'xn--',
	    'xn--a', "\xe2\x82\xac.example", 'x@y', 'user:pw@todo.example',
	    'x\\api\\auth\\ok?', 'x' . '\\' x (1 + rand 7800) . 'y?', 'x/api/auth/ok?',
	    'x/api/auth/ok#', '', ' ', '.', '..', 'a..b', '-', 'a' x 300, ('a.' x 2000) . 'b',
	    'javascript:alert(1)', 'file:///etc/passwd', 'null', junk(), long());
}
sub proto () {
	return pick('http', 'https', 'http,https', 'ftp', 'javascript:', 'https://x', '://', '',
	    junk(10), long());
}
sub origin () {
	return pick('null', $stack->url, 'https://' . host(), 'http://' . host(), host(), junk(),
	    long());
}
sub token () {
	return pick(junk(), long(), 'a.' . 'b' x 43 . '=', 'a' x 32 . '.' . 'A' x 43 . '%3D', '%',
	    '%zz' x 2000, '"', '""', '.' x 5000);
}
sub cookie_name () {
	return pick('__Secure-', '__Host-', '') . pick('todo', 'better-auth') . '.'
	    . pick('session_token', 'session_data', 'session_data.' . int rand 999,
	    'dont_remember', 'account_data.0');
}
sub cookie () {
	return pick(
		sub { cookie_name() . '=' . token() },
		sub { join '; ', map { cookie_name() . '=' . junk(8) } 1 .. 1 + rand 120 },
		sub { join ';', map { "__Secure-todo.session_token=$_" } 1 .. 1 + rand 200 },
		sub { ';' x (1 + rand 7800) }, sub { '=' x (1 + rand 7800) },
		sub { ';=' x (1 + rand 3900) }, \&junk, \&long,
	)->();
}
sub address () {
	return pick('127.0.0.1', '::1', '::ffff:1.2.3.4', join(', ', ('1.2.3.4') x (1 + rand 500)),
	    ':' x (1 + rand 7000), '1.' x (1 + rand 3000), junk(), long());
}
sub forwarded () {
	return pick('for=x;host=' . host() . ';proto=' . proto(), ';' x 3000, 'for="' . junk(),
	    long());
}
sub content_type () {
	return pick('application/json', 'text/plain', 'multipart/form-data; boundary=' . junk(),
	    junk(), long());
}
# Header => a sub that makes a hostile value of it.
my %HEADER = (
	'X-Forwarded-Host' => \&host,
	'X-Forwarded-Proto' => \&proto,
	'X-Forwarded-Port' => sub { pick('0', '99999', '-1', 'x', junk(6)) },
	'X-Forwarded-For' => \&address,
	'X-Forwarded-Prefix' => sub { pick('/x', '//x', junk()) },
	'X-Forwarded-Server' => \&host,
	'X-Forwarded-Scheme' => \&proto,
	'X-Real-IP' => \&junk,
	'X-Original-URL' => sub { '/api/auth/' . junk() },
	'X-Rewrite-URL' => sub { '/' . junk() },
	Forwarded => \&forwarded,
	Cookie => \&cookie,
	Origin => \&origin,
	Referer => \&origin,
	'Sec-Fetch-Site' => sub { pick('same-origin', 'cross-site', junk(9)) },
	'Sec-Fetch-Mode' => sub { pick('navigate', 'cors', junk(9)) },
	'Sec-Fetch-Dest' => \&junk,
	'User-Agent' => \&long,
	'X-Request-Id' => sub { pick(junk(), long()) },
	Authorization => sub { pick('Bearer ', 'Basic ') . token() },
	'Content-Type' => \&content_type,
	Accept => \&long,
	'X-HTTP-Method-Override' => sub { pick('DELETE', junk(8)) },
	Expect => sub { pick('100-continue', junk(5)) },
	'If-None-Match' => \&long,
	Range => sub { 'bytes=' . junk() },
	Via => \&junk,
	Upgrade => sub { pick('websocket', 'h2c', junk()) },
);
my @PATHS = map { "/api/auth/$_" } qw(ok ok get-session get-session token sign-out nothing error
    verify-password change-password), 'ok/', 'ok?' . '&' x 3000,
    'get-session?disableRefresh=1&__proto__=x', 'error?error=X&error_description=words';
sub target () {
	my $path = pick(@PATHS);
	return pick(($path) x 12, 'https://' . host() . $path, 'http://' . host() . $path,
	    "//x$path", "/x/..$path", "/api/auth/..%2fok", '/api/auth/' . junk(),
	    $path . '?' . junk(), '/api/auth/' . long(), '*', 'x', "/api/auth\\ok", "/api/auth/%00",
	    "/api/auth/%", "/api//auth/ok", "/api/auth/./ok");
}
my @METHODS = (('GET') x 8, qw(POST POST PUT DELETE HEAD OPTIONS PATCH CONNECT TRACE QUERY));
# { method, target, host, headers => [[name, value]...] }
sub head () {
	my %seen;
	my @names = grep { !$seen{$_}++ || rand() < 0.3 }
	    map { pick(sort keys %HEADER) } 0 .. rand 4;
	my @headers = map { [$_, $HEADER{$_}->()] } @names;
	# Half of the heads have a target and a host that let them reach Better Auth.
	return { method => 'GET', target => pick(@PATHS), host => $authority, headers => \@headers }
	    if rand() < 0.5;
	return { method => pick(@METHODS), target => target(),
	    host => pick($authority, host(), host()), headers => \@headers };
}

# --- three ways -------------------------------------------------------------

sub text ($head) {
	return "$head->{method} $head->{target} HTTP/1.1\r\n" . join '',
	    map { "$_->[0]: $_->[1]\r\n" } [Host => $head->{host}], $head->{headers}->@*,
	    ['Content-Length', 0], [Connection => 'close'];
}
sub status ($answer) { $answer ? $answer->status : 0 }
sub direct ($head) { status($issuer->raw(text($head) . "\r\n", $head->{method})) }
sub nginx ($head) {
	return $stack->of_others(sub {
		status($client->raw(text($head) . "\r\n", $head->{method}));
	});
}

my $node = $stack->frontend . '/node';
my $h2 = open2(my $from, my $to, $node, "$FindBin::Bin/../lib/http2.mjs", $stack->url,
    $stack->{env}{STAGING_CA});
# Node sends no bytes above 127 in HTTP/2 header values, and no header of HTTP/1.1 alone.
sub over_http2 ($head) {
	my @headers;
	for ($head->{headers}->@*) {
		my ($name, $value) = @$_;
		next if $name =~ /\A(?:Upgrade|Expect)\z/;
		push @headers, [lc $name, $value =~ s/[^\t -~]//gr =~ s/\A\s+|\s+\z//gr];
	}
	my $method = $head->{method} eq 'CONNECT' ? 'GET' : $head->{method};
	print {$to} JSON::PP->new->latin1->encode([[':method', $method], [':scheme', 'https'],
	    [':path', $head->{target} =~ s/[^!-~]//gr],
	    [':authority', $head->{host} =~ s/[^ -~]//gr], @headers]) . "\n";
	$to->flush;
	my $status = <$from> // die 'the HTTP/2 client ended';
	chomp $status;
	return $status;
}

my %way = (direct => \&direct, 'nginx, HTTP/1.1' => \&nginx, 'nginx, HTTP/2' => \&over_http2);
my %plain = (method => 'GET', target => '/api/auth/ok', host => $authority, headers => []);

# Nanoseconds of CPU time for one head, which is sent n times.
sub cost ($send, $head, $n) {
	my $before = $issuer->cpu;
	$send->($head) for 1 .. $n;
	# Work that an answer leaves behind is done before the next answer.
	$issuer->lives;
	return ($issuer->cpu - $before) / $n;
}

for my $way (sort keys %way) {
	my $send = $way{$way};
	cost($send, \%plain, 300);
	my $plain = cost($send, \%plain, 300);
	my ($dead, %above, @expensive, %seen) = 0;
	for my $i (1 .. $each) {
		my $head = head();
		my $before = $issuer->cpu;
		my $status = eval { $send->($head) } // "died: $@";
		push @expensive, $head if $issuer->cpu - $before > $TIMES * $plain;
		$seen{$status}++;
		# A stream that nginx resets got no further; every other head has an answer.
		my $answered = $status =~ /\A[234]\d\d\z/
		    || $way =~ /2\z/ && $status =~ /\A(?:0|unsendable)\z/;
		if (!$answered) {
			$above{$status}++;
			note("$status: ", explain($head)) if keys %above < 4;
		}
		if ($i % 100 == 0 && !$issuer->lives) { $dead = $i; last }
	}
	is($dead, 0, "$way: the same process answers after each hundred of $each heads");
	is_deeply(\%above, {}, "$way: each head is answered with a status below 500");
	note("$way: statuses ", join ', ', map { "$_: $seen{$_}" } sort keys %seen);
	my @sent = grep { /\A[234]\d\d\z/ } keys %seen;
	cmp_ok(sum(0, @seen{@sent}), '>', $each / 2, "$way: most of the heads were sent");
	cmp_ok($seen{200} // 0, '>', $each / 10, "$way: many heads reached Better Auth");
	last if $dead;
	# Garbage may be collected during any one request, but not during each of many.
	my $worst = 0;
	for my $head (@expensive) {
		my $base = cost($send, \%plain, $AGAIN);
		my $times = cost($send, $head, $AGAIN) / $base;
		next if $times <= $worst;
		$worst = $times;
		note(sprintf('%.1f times the plain one: ', $times), explain($head))
		    if $times > $TIMES;
	}
	cmp_ok($worst, '<=', $TIMES, sprintf '%s: no head costs ten times the plain one'
	    . ' (%.0f us; %d seemed to, at most %.1f times)',
	    $way, $plain / 1000, scalar @expensive, $worst);
}
close $to;
waitpid $h2, 0;

# nginx logs what it cannot read; the issuer logs foreign origins.
$stack->expect_log(qr/client sent|client prematurely/);
$stack->done;
