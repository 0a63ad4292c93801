# Goal: no tenant reaches the tasks of another, on any guarded route, by any
# spelling of an id, or by a user_id in the body, the query or a header.

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

# A valid request to the route of `row`, as `who`.
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
	    && is($now->header('ETag'), $his->{etag}, "$name: the ETag is the same");
	is(scalar $bob->get('/tasks')->json->@*, 1, "$name: Bob has no other task");
}

my @guarded = grep { $_->{access} eq 'tenant' } $routes->rows;
ok(@guarded >= 7, 'the table has guarded routes: ' . @guarded);
is_deeply(
	[
		sort map { "$_->{access} $_->{method} $_->{pattern}" }
		grep { $_->{access} ne 'tenant' } $routes->rows
	],
	['open GET /healthz', 'open GET /readyz', 'user GET /api/me'],
	'three routes are not guarded');

for my $row (@guarded) {
	my $name = "$row->{method} $row->{pattern}";
	refuses(call($alice, $row, $bob->id, $his->{id}),
		forbidden => "$name: Bob's path and Bob's task");
	refuses(call($alice, $row, $bob->id, $hers->{id}),
		forbidden => "$name: Bob's path and Alice's task");
	refuses(call($alice, $row, $bob->id, $nobodys),
		forbidden => "$name: Bob's path and nobody's task");
	refuses(call($alice->with(token => 'x'), $row, $alice->id, $hers->{id}),
		token_invalid => "$name: a wrong token");
	next if $row->{pattern} !~ /\{id\}/;
	my $foreign = call($alice, $row, $alice->id, $his->{id});
	my $none = call($alice, $row, $alice->id, $nobodys);
	refuses($foreign, not_found => "$name: Alice's path and Bob's task");
	same_answer($foreign, $none, "$name: Bob's task is answered in the bytes of nobody's task");
	my $head = sub ($id) {
		$alice->head($routes->fill($row->{pattern}, user_id => $alice->id, id => $id));
	};
	same_answer($head->($his->{id}), $head->($nobodys),
	    "HEAD $row->{pattern}: Bob's task is answered like nobody's")
	    if $row->{method} eq 'GET';
}
his_is_untouched("Bob's task is unchanged by these requests");

# Preconditions do not tell Bob's task from nobody's either.
for my $header ('If-Match', 'If-None-Match') {
	for my $etag ($his->{etag}, '*', '"x"') {
		same_answer(
			$alice->get("/tasks/$his->{id}", { $header => $etag }),
			$alice->get("/tasks/$nobodys", { $header => $etag }),
			"Bob's task is answered like nobody's: GET with $header: $etag");
		same_answer(
			$alice->put("/tasks/$his->{id}", { title => 'x' }, { $header => $etag }),
			$alice->put("/tasks/$nobodys", { title => 'x' }, { $header => $etag }),
			"Bob's task is answered like nobody's: PUT with $header: $etag");
		same_answer(
			$alice->delete("/tasks/$his->{id}", { $header => $etag }),
			$alice->delete("/tasks/$nobodys", { $header => $etag }),
			"Bob's task is answered like nobody's: DELETE with $header: $etag");
	}
}
his_is_untouched("Bob's task is unchanged by preconditions");

# The token alone says who the user is: a user_id elsewhere is ignored.
my $made = $alice->post(
	"/tasks?user_id=" . $bob->id, { title => 'whose?', user_id => $bob->id, id => $his->{id} },
	{
		'X-User-Id' => $bob->id, 'X-Forwarded-User' => $bob->id,
		Cookie => 'user_id=' . $bob->id
	});
answers($made, 201, 'a POST with the user_id of Bob everywhere except in the path');
is($made->json->{user_id}, $alice->id, 'the new task belongs to Alice');
isnt($made->json->{id}, $his->{id}, 'the new task has another id than the one sent');
answers($alice->put("/tasks/$hers->{id}", { user_id => $bob->id }), 200,
	'a PUT with the user_id of Bob');
is($alice->get("/tasks/$hers->{id}")->json->{user_id}, $alice->id,
	"a PUT with the user_id of Bob leaves Alice's task to Alice");
answers($alice->get('/tasks?user_id=' . $bob->id), 200,
	'a list with the user_id of Bob in the query');
is_deeply(
	[grep { $_->{user_id} ne $alice->id } $alice->get('/tasks?user_id=' . $bob->id)->json->@*],
	[],
	"a list with the user_id of Bob in the query has Alice's tasks alone");

# A cursor and an idempotency key belong to their tenant.
$bob->task("more $_") for 1 .. 3;
my ($cursor) = $bob->get('/tasks?limit=1')->header('Link') =~ /[?&]after=([^&>]+)/;
refuses($alice->get("/tasks?after=$cursor"), invalid => "Bob's cursor is invalid for Alice",
	errors => ['after']);
my %key = ('Idempotency-Key' => 'shared-key');
my $first = $bob->post('/tasks', { title => 'keyed' }, \%key)->json;
my $second = $alice->post('/tasks', { title => 'not the same' }, \%key);
answers($second, 201, "Bob's key is free for Alice");
is($second->header('Idempotency-Replayed'), undef, "Alice's POST with Bob's key is not replayed");
isnt($second->json->{id}, $first->{id}, "Alice's POST with Bob's key creates another task");

# Ids that differ a little are different tenants.
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
	is($wrong, 0, "$near[$i] is refused the paths of all others");
	$wrong = grep { $_ != $i && $me->get("/tasks/$task[$_]{id}")->status != 404 } 0 .. $#near;
	is($wrong, 0, "$near[$i] finds no task of the others under its own path");
}
my @number = map { $stack->user(id => $_) } "0$odd", '0', '00', '0e0';
$_->task('a number?') for @number;
is_deeply([grep { $_->{user_id} ne '0' } $number[1]->get('/tasks?limit=500')->json->@*], [],
	'the user 0 sees the tasks of the user 0 alone');
$_->delete('/tasks/' . $_->get('/tasks')->json->[0]{id}) for @number;

# The segment is percent-decoded once, then compared byte for byte.
my $name = $alice->id;
my $hex = join '', map { sprintf '%%%02X', ord } split //, $name;
answers($alice->get("/api/$hex/tasks"), 200, 'an id in percent-encoding');
answers($alice->get('/api/' . lc($hex) . '/tasks'), 200, 'an id in percent-encoding of lower case');
answers($alice->get('/api/' . ($name =~ s/T/%54/r) . '/tasks'), 200,
	'an id with one byte in percent-encoding');
my $dotted = $stack->user(id => $stack->fresh_id . '.-_~');
for my $spelt ('.-_~', '%2e%2d%5F%7E', '.%2D_%7e') {
	my $path = '/api/' . ($dotted->id =~ s/\.-_~\z/$spelt/r) . '/tasks';
	answers($dotted->get($path), 200, "the characters .-_~ of an id written as $spelt");
}
refuses($alice->get('/api/' . ($hex =~ s/%/%25/gr) . '/tasks'),
	forbidden => 'an id in percent-encoding of percent-encoding');
refuses($alice->get("/api/$_/tasks"), forbidden => "$_ in place of the id")
    for (grep { $_ ne $name } lc $name, uc $name), "$name%20", "%20$name", "$name+", "$name.",
    "$name%2e", "${name}x",
    substr($name, 0, -1),
    "$name;x", "$name,", "$name%09" =~ s/%09/%2B/r, "$name%C3%A9", "$name=", "\$$name", "$name*",
    '*', '%2A', '%25', '_', '-', 'me',
    "$name%26", "$name%23", "$name%3F", '%EF%BB%BF' . $name, $name =~ s/T/%EF%BC%B4/r;

$stack->done;
