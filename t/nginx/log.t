# Goal: the access log in the product's format has the path of each request, and
# neither its query nor its headers, whatever the request is. No request can forge a
# field.

use v5.36;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Test::More;
use Facts;
use Http2;
use Stack;

my $stack = Stack->new(inside => 1);
my $client = $stack->client;
my $alice = $stack->user;
my $secret = 'secret' . $stack->tag;
$stack->allow_status(200, 404, 405);
$stack->{from}{'nginx-access.log'} = -s $stack->file('log/nginx-access.log');

# The fields of the line that has `field`, which holds no secret.
sub line ($field, $name) {
	my $line = poll {
		(grep { /\Q$field\E/ } $stack->log_lines('nginx-access.log'))[0];
	} "the access log has a line for: $name";
	unlike($line, qr/\Q$secret\E/, "$name: the line has nothing of the query or of a header");
	return Stack->fields($line);
}

sub about ($answer, $name) { return line('request_id=' . $answer->id, $name) }

my $list = $alice->tasks;
my $line = about($alice->get("$list?after=$secret&limit=2"), 'a list');
is_deeply([@$line{qw(method path protocol status)}], ['GET', $list, 'HTTP/1.1', 422],
    'a list: the line has method, path, protocol and status');
my $n = 0;
my $q = $secret;
for my $tail ("?$q", "?$q?$q", "?#$q", "#$q", "?/$q", qq(?"$q")) {
	for my $folder ('', '/api', ($stack->frontend ? '/api/auth' : ()), '/a//b/..', '/%2e') {
		my $path = "$folder/" . $stack->tag . ++$n;
		my $answer = $stack->of_others(sub { $client->send('GET', "$path$tail") });
		my $line = line(qq(path="$path), "$folder/...$tail");
		is_deeply([@$line{qw(path status)}], [$path, $answer->status],
			"$folder/...$tail: the line has the path as sent");
	}
}

# Headers, an absolute target, requests that are refused or cannot be read.
my @header = map { [$_ => "https://x/?$secret"] }
    qw(Referer User-Agent Cookie Origin X-Forwarded-For);
about($client->send('GET', '/healthz', \@header), 'headers');
my $host = 'Host: ' . $client->authority;
for (['an absolute target', "GET https://localhost/healthz?$secret HTTP/1.1\r\nHost: localhost"],
	['another host', "GET /healthz?$secret HTTP/1.1\r\nHost: $secret.example"],
	['an unknown version', "GET /healthz?$secret HTTP/3.0\r\n$host"],
	['a blank in the target', "GET /healthz?$secret $secret HTTP/1.1\r\n$host"],
	['a method with a control byte', "G\x01T /healthz?$secret HTTP/1.1\r\n$host"],
	['an unknown method', "BREW /healthz?$secret HTTP/1.1\r\n$host"]) {
	my ($name, $head) = @$_;
	my $answer = $client->raw("$head\r\nConnection: close\r\n\r\n");
	about($answer, $name) if ok($answer, "$name is answered");
}

# A path cannot leave its quotes.
my $forged = '/' . $stack->tag . '"_status=200_user="mallory';
$stack->of_others(sub { $client->send('GET', "$forged?$secret") });
my $escaped = $forged =~ s/"/\\x22/gr;
is(line(qq(path="$escaped), 'quotes in the path')->{status}, 404,
	'a path with quotes forges no field');

# Over HTTP/2.
my $h2 = Http2->new(url => $stack->url, ca => $stack->{env}{STAGING_CA});
my $path = '/over-http-2-' . $stack->tag;
is(
	$h2->answer($h2->ask('GET', "$path?$secret", [[referer => $secret]])), 404,
	'over HTTP/2: a path without a route');
is(line(qq(path="$path), 'over HTTP/2')->{protocol}, 'HTTP/2.0',
	'over HTTP/2: the line has the protocol');

$stack->done;
