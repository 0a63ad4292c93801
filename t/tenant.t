# Goal: no tenant gets at another's tasks: not on any guarded route, by no
# spelling of an id, by no user_id in body, query or header.

use v5.36;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Facts;
use Stack;

my $stack = Stack->new(inside => 1);
my $routes = $stack->routes;
my ($alice, $bob) = ($stack->user, $stack->user);
my $hers = $alice->task('Alice writes');
my $his = $bob->task('Bob writes', description => 'for Bob alone');
my $nobodys = '01900000-0000-7000-8000-000000000000';

# A right request to a row of the table, as `who`.
sub call ($who, $row, $user_id, $task_id) {
	my $target = $routes->fill($row->{pattern}, user_id => $user_id, id => $task_id);
	my $body = $row->{method} =~ /\A(?:GET|DELETE)\z/ ? undef
	    : { title => 'Mallory writes', completed => true };
	return $who->request($row->{method}, $target, {}, $body);
}

sub his_is_untouched ($name) {
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $now = $bob->get("/tasks/$his->{id}");
	answers($now, 200, $name, { map { $_ => $his->{$_} } grep { $_ ne 'etag' } keys %$his })
	    && is($now->header('ETag'), $his->{etag}, 'with the same ETag');
	is(scalar $bob->get('/tasks')->json->@*, 1, 'and no other beside it');
}

my @guarded = grep { $_->{access} eq 'tenant' } $routes->rows;
ok(@guarded >= 7, 'the table has guarded routes: ' . @guarded);
is_deeply(
	[
		sort map { "$_->{access} $_->{method} $_->{pattern}" }
		grep { $_->{access} ne 'tenant' } $routes->rows
	],
	['open GET /healthz', 'open GET /readyz', 'user GET /api/me'],
	'and only three that are not');

for my $row (@guarded) {
	my $name = "$row->{method} $row->{pattern}";
	refuses(call($alice, $row, $bob->id, $his->{id}),
		forbidden => "$name of Bob is not Alice's");
	refuses(call($alice, $row, $bob->id, $hers->{id}),
		forbidden => "$name of Bob, with her task");
	refuses(call($alice, $row, $bob->id, $nobodys),
		forbidden => "$name of Bob, with nobody's task");
	refuses(call($alice->with(token => 'x'), $row, $alice->id, $hers->{id}),
		token_invalid => "$name without a right token");
	next if $row->{pattern} !~ /\{id\}/;
	my $foreign = call($alice, $row, $alice->id, $his->{id});
	my $none = call($alice, $row, $alice->id, $nobodys);
	refuses($foreign, not_found => "$name: Bob's task in Alice's path");
	same_answer($foreign, $none, "$name: the same bytes as for a task that never was");
	same_answer(
		$alice->head(
			$routes->fill($row->{pattern}, user_id => $alice->id, id => $his->{id})
		),
		$alice->head($routes->fill($row->{pattern}, user_id => $alice->id, id => $nobodys)),
		"HEAD $row->{pattern} likewise"
	) if $row->{method} eq 'GET';
}
his_is_untouched("Bob's task is as it was");

# The preconditions do not tell them apart either.
for my $header ('If-Match', 'If-None-Match') {
	for my $etag ($his->{etag}, '*', '"x"') {
		same_answer(
			$alice->get("/tasks/$his->{id}", { $header => $etag }),
			$alice->get("/tasks/$nobodys", { $header => $etag }),
			"GET with $header: $etag");
		same_answer(
			$alice->put("/tasks/$his->{id}", { title => 'x' }, { $header => $etag }),
			$alice->put("/tasks/$nobodys", { title => 'x' }, { $header => $etag }),
			"PUT with $header: $etag");
		same_answer(
			$alice->delete("/tasks/$his->{id}", { $header => $etag }),
			$alice->delete("/tasks/$nobodys", { $header => $etag }),
			"DELETE with $header: $etag");
	}
}
his_is_untouched("Bob's task is still as it was");

# Identity is the token's: a user_id elsewhere is no more than an unknown member.
my $made = $alice->post(
	"/tasks?user_id=" . $bob->id, { title => 'whose?', user_id => $bob->id, id => $his->{id} },
	{
		'X-User-Id' => $bob->id, 'X-Forwarded-User' => $bob->id,
		Cookie => 'user_id=' . $bob->id
	});
answers($made, 201, 'a POST that names Bob everywhere but in the path');
is($made->json->{user_id}, $alice->id, "is Alice's");
isnt($made->json->{id}, $his->{id}, 'with an id of its own');
answers($alice->put("/tasks/$hers->{id}", { user_id => $bob->id }), 200, 'a PUT of user_id');
is($alice->get("/tasks/$hers->{id}")->json->{user_id}, $alice->id, 'gives nothing away');
answers($alice->get('/tasks?user_id=' . $bob->id), 200, 'a list that asks for Bob');
is_deeply(
	[grep { $_->{user_id} ne $alice->id } $alice->get('/tasks?user_id=' . $bob->id)->json->@*],
	[],
	"holds Alice's alone");

# A cursor and an idempotency key are their tenant's.
$bob->task("more $_") for 1 .. 3;
my ($cursor) = $bob->get('/tasks?limit=1')->header('Link') =~ /[?&]after=([^&>]+)/;
refuses($alice->get("/tasks?after=$cursor"), invalid => "Bob's cursor is none to Alice",
	errors => ['after']);
my %key = ('Idempotency-Key' => 'shared-key');
my $first = $bob->post('/tasks', { title => 'keyed' }, \%key)->json;
my $second = $alice->post('/tasks', { title => 'not the same' }, \%key);
answers($second, 201, "Bob's key is free for Alice");
is($second->header('Idempotency-Replayed'), undef, 'and not replayed');
isnt($second->json->{id}, $first->{id}, 'and another task');

# Ids that nearly agree are different tenants.
my $odd = $stack->fresh_id . 'aZ';
my @near =
    ($odd, lc $odd, uc $odd, "$odd.", "$odd~", "$odd-", "${odd}_", substr($odd, 0, -1), "0$odd");
my @person = map { $stack->user(id => $_) } @near;
my @task = map { $_->task('of ' . $_->id) } @person;
for my $i (0 .. $#person) {
	my $me = $person[$i];
	is_deeply([map { $_->{id} } $me->get('/tasks')->json->@*], [$task[$i]{id}],
		"$near[$i] sees one task");
	my $wrong =
	    grep { $_ != $i && $me->get("/api/$near[$_]/tasks")->status != 403 } 0 .. $#near;
	is($wrong, 0, 'and is let in nowhere else');
	$wrong = grep { $_ != $i && $me->get("/tasks/$task[$_]{id}")->status != 404 } 0 .. $#near;
	is($wrong, 0, 'and finds none of the others\' tasks under its own');
}
my @number = map { $stack->user(id => $_) } "0$odd", '0', '00', '0e0';
$_->task('a number?') for @number;
is_deeply([grep { $_->{user_id} ne '0' } $number[1]->get('/tasks?limit=500')->json->@*], [],
	'the user 0 is no wildcard');
$_->delete('/tasks/' . $_->get('/tasks')->json->[0]{id}) for @number;

# One percent-decoding of the one segment, then byte for byte.
my $name = $alice->id;
my $hex = join '', map { sprintf '%%%02X', ord } split //, $name;
answers($alice->get("/api/$hex/tasks"), 200, 'an id all in percent-encoding is the same');
answers($alice->get('/api/' . lc($hex) . '/tasks'), 200, 'in lower case too');
answers($alice->get('/api/' . ($name =~ s/T/%54/r) . '/tasks'), 200, 'one byte of it is enough');
my $dotted = $stack->user(id => $stack->fresh_id . '.-_~');
for my $spelt ('.-_~', '%2e%2d%5F%7E', '.%2D_%7e') {
	my $path = '/api/' . ($dotted->id =~ s/\.-_~\z/$spelt/r) . '/tasks';
	answers($dotted->get($path), 200, "the four other characters as $spelt");
}
refuses($alice->get('/api/' . ($hex =~ s/%/%25/gr) . '/tasks'),
	forbidden => 'but not twice encoded');
refuses($alice->get("/api/$_/tasks"), forbidden => "not as $_")
    for (grep { $_ ne $name } lc $name, uc $name), "$name%20",
    "%20$name", "$name+", "$name.", "$name%2e", "${name}x",
    substr($name, 0, -1),
    "$name;x", "$name,", "$name%09" =~ s/%09/%2B/r, "$name%C3%A9", "$name=", "\$$name", "$name*",
    '*', '%2A', '%25', '_', '-', 'me',
    "$name%26", "$name%23", "$name%3F", '%EF%BB%BF' . $name, $name =~ s/T/%EF%BC%B4/r;

$stack->done;
