# Goal: valgrind finds no invalid read or write and no leak in a working pool: every
# endpoint, every refusal, the database away and back, peers that break off, a reload and
# the end.

use v5.36;
use FindBin;
use lib "$FindBin::Bin/../lib";
use IO::Socket::UNIX;
use Test::More;
use Facts;
use Faults;
use Files;
use Sql;
use Stack;

plan skip_all => 'no valgrind' if system('valgrind --version >/dev/null 2>&1') != 0;
my $stack = Stack->new(private => 1, env => { STAGING_WORKERS => 1 });
plan skip_all => 'a build with sanitizers' if sanitized($stack->{build});
$stack->allow_status(503);
my $WORKERS = 2;

# valgrind follows all child processes; each has a log of its own.
my $program = $stack->program;
my $dir = $program->dir;
my $kinds = 'definite,indirect,possible';
spew("$dir/todo-fcgi", <<~"END");
	#!/bin/sh
	exec valgrind --quiet --trace-children=yes --error-exitcode=9 \\
		--log-file='$dir/valgrind.%p' --leak-check=full \\
		--show-leak-kinds=$kinds --errors-for-leak-kinds=$kinds \\
		$program->{path} "\$@"
	END
chmod 0755, "$dir/todo-fcgi";
$program->{path} = "$dir/todo-fcgi";
my $pool = $program->pool(master => $WORKERS);
my $client = bless { $stack->fastcgi($pool)->%*, timeout => 60 }, 'FastCGI::Patient';
poll {
	my @w = $pool->workers;
	@w == $WORKERS && eval { $client->send('GET', '/readyz')->status == 200 }
} 'the pool under valgrind is ready', 60;

my ($alice, $bob) = map { $stack->user(client => $client) } 1 .. 2;
$alice->task('for a second page');
my $none = '/tasks/01900000-0000-7000-8000-000000000000';
my $requests = 0;

# Requests of every kind: [method, path, headers, body, status].
sub all_kinds () {
	my $task = $alice->task('one', description => "\x{1f600} \\ \"");
	my $path = "/tasks/$task->{id}";
	my $expired = 'Bearer ' . $stack->token_of($alice->id, claims => { exp => 5, iat => 1 });
	my $aud = 'Bearer ' . $stack->token_of($alice->id, claims => { aud => '["x", "y"]' });
	my ($cursor) = $alice->get('/tasks?limit=1&sort=title')->header('Link') =~ /<(.*)>/;
	my %key = ('Idempotency-Key' => "k$requests");
	my $largest = { title => "\x{e9}" x 200, description => "\x{1f600}" x 1000,
	    completed => true };
	my $wrong = { title => 'x' x 201, description => 1, completed => 'x' };
	my @sorts = map { ("sort=$_&order=asc", "sort=$_&order=desc") } qw(created updated title);
	my @lists = map { my $s = $_; map { "/tasks?status=$s&$_&limit=2" } @sorts }
	    qw(all pending completed);
	my @tokens = (undef, 'Basic x', 'Bearer', 'Bearer x.y.z', 'Bearer ' . $alice->token . 'x',
	    'Bearer ' . substr($alice->token, 0, -9), $expired, $aud, 'Bearer ' . 'x' x 5000,
	    'Bearer eyJhbGciOiJFZERTQSJ9.e30.' . 'x' x 43);
	return (
		(map { ['GET', $_, {}, undef, 200] } @lists),
		['GET', $cursor, {}, undef, 200],
		['GET', '/tasks?limit=500', {}, undef, 200],
		['HEAD', '/tasks', {}, undef, 200],
		['OPTIONS', '/tasks', {}, undef, 204],
		['GET', '/tasks?after=x', {}, undef, 422],
		['GET', '/tasks?limit=0', {}, undef, 422],
		['GET', $path, {}, undef, 200],
		['HEAD', $path, {}, undef, 200],
		['GET', $path, { 'If-None-Match' => $task->{etag} }, undef, 304],
		['GET', $none, {}, undef, 404],
		['GET', '/tasks/x', {}, undef, 404],
		['PUT', $path, {}, { title => 'two' }, 200],
		['PATCH', $path, { 'If-Match' => '*' }, { description => undef }, 200],
		['PUT', $path, { 'If-Match' => '"x"' }, { title => 'three' }, 412],
		['PUT', $path, {}, { title => '' }, 422],
		['PATCH', "$path/complete", {}, undef, 200],
		['PATCH', "$path/complete", {}, { completed => true }, 200],
		['PATCH', "$path/complete", {}, { completed => 1 }, 422],
		['PUT', $none, {}, { title => 'x' }, 404],
		['POST', '/tasks', {}, $largest, 201],
		['POST', '/tasks', {}, $wrong, 422],
		['POST', '/tasks', \%key, { title => 'keyed' }, 201],
		['POST', '/tasks', \%key, { title => 'keyed' }, 201],
		['POST', '/tasks', \%key, { title => 'other' }, 422],
		['POST', '/tasks', { 'Idempotency-Key' => "\x{e9}" }, { title => 'x' }, 400],
		['POST', '/tasks', {}, '{"title":"x"', 400],
		['POST', '/tasks', {}, '{"title":"x","title":"y"}', 400],
		['POST', '/tasks', {}, '[' x 100, 400],
		['POST', '/tasks', {}, "\xff", 400],
		['POST', '/tasks', {}, 'x' x 20_000, 413],
		['POST', '/tasks', { 'Content-Type' => 'text/plain' }, 'x', 415],
		['POST', '/tasks', {}, '[]', 422],
		['POST', '/tasks', {}, undef, 400],
		['DELETE', $path, { 'If-Match' => '"x"' }, undef, 412],
		['DELETE', $path, { 'If-Match' => '*' }, undef, 204],
		['DELETE', $path, {}, undef, 404],
		['BREW', '/tasks', {}, undef, 405],
		['GET', '/api/me', {}, undef, 200],
		['GET', '/healthz', {}, undef, 200],
		['GET', '/readyz', {}, undef, 200],
		['GET', '/api/nothing', {}, undef, 404],
		['GET', '/api/%2F/tasks', {}, undef, 400],
		['GET', $bob->tasks, {}, undef, 403],
		(map { ['GET', '/tasks', { Authorization => $_ }, undef, 401] } @tokens),
	);
}
my @wrong;
sub ask_all ($name) {
	for (1 .. long(1, 3)) {
		for (all_kinds()) {
			my ($method, $path, $headers, $body, $status) = @$_;
			my $whole = $path =~ m{\A/(?:api/|healthz|readyz)};
			my $target = $whole ? $path : '/api/' . $alice->id . $path;
			my $request = $alice->_request($method, $target, $headers, $body);
			my $answer = $client->send($method, $target, $request->@[2, 3]);
			push @wrong, "$name: $method $path: " . $answer->status . ", not $status"
			    if $answer->status != $status;
			$requests++;
		}
	}
}
ask_all('at first');

# Connections to the database are cut; the database is away; it is back.
cut_connections($stack);
ask_all('with new connections');
$stack->staging('db-stop');
$client->{again} = 0;
my @away = map { ($alice->get('/tasks'), $alice->post('/tasks', { title => 'lost' }),
    $alice->delete($none)) } 1 .. 5;
is(scalar(grep { $_->status != 503 } @away), 0, 'without the database every request is 503');
$client->{again} = 1;
$stack->staging('db-start');
poll {
	!grep { $alice->get('/tasks')->status != 200 } 1 .. 10
} 'requests are answered with the database back', 60;

# Peers that send nothing, half a request or another protocol, or read no answer.
for my $bytes ('', "\1", "\1\1\0\1\0\x08\0\0\0\1\0\0", "GET / HTTP/1.1\r\n\r\n", "\xff" x 300,
	"\1\1\0\1\0\x08\0\0\0\1\0\0\0\0\0\0\1\4\0\1\0\x08\0\0" . pack('N', 0xffffffff) x 2,
	"\1\x09\0\0\0\x10\0\0\x0e\0FCGI_MAX_CONNS")
{
	my $peer = IO::Socket::UNIX->new(Peer => $pool->socket) or die $!;
	local $SIG{PIPE} = 'IGNORE';
	$peer->syswrite($bytes) if length $bytes;
	$peer->close;
}
$client->send(
	'POST',
	$alice->tasks,
	[
		[Authorization => 'Bearer ' . $alice->token],
		['Content-Type' => 'application/json'], ['Content-Length' => 500]
	],
	'{"title":"x"}',
	cut => 1);
ask_all('after wrong peers');

# A reload and the end: a worker reports its leaks when it ends.
my @old = $pool->workers;
$pool->signal('HUP');
poll { replaced($pool, $WORKERS, @old) } 'a reload replaces all workers', 60;
ask_all('after a reload');
is_deeply(\@wrong, [], "each of $requests requests has the right status")
    or diag(join "\n", @wrong[0 .. ($#wrong > 9 ? 9 : $#wrong)]);
$pool->signal('TERM');
is($pool->wait(60), 0, 'the master exits 0');
my $ended = () = $pool->log =~ /event=worker_ended [^\n]*exit=0/g;
is($ended, 2 * $WORKERS, 'each worker exits 0, without an error of valgrind');
my @reports = grep { -s } glob "$dir/valgrind.*";
is(scalar @reports, 0, 'valgrind has written no report')
    or diag(map { slurp_if_there($_) =~ s/(.{3000}).*/$1/sr } @reports);
figure('valgrind', sprintf 'a master and %d workers, %d requests: %d reports', 2 * $WORKERS,
	$requests, scalar @reports);
undef $pool;
$stack->done;

# Under valgrind a request may be too slow and 503: it is sent again.
package FastCGI::Patient;
use parent -norequire, 'FastCGI';
sub send ($self, @request) {
	my $answer;
	for (1 .. 50) {
		$answer = $self->SUPER::send(@request);
		last if $answer->status != 503 || !($self->{again} // 1);
		select undef, undef, undef, 0.1;
	}
	return $answer;
}
