# Goal: a POST with an Idempotency-Key creates one task, however often and however
# many at once it is sent. A key belongs to its tenant and lives as long as its task.

use v5.36;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Facts;
use Stack;

my $stack = Stack->new;
my ($alice, $bob) = ($stack->user, $stack->user);

sub post ($who, $key, $body) { $who->post('/tasks', $body, { 'Idempotency-Key' => $key }) }
sub replayed ($answer) { $answer->header('Idempotency-Replayed') // 'no' }
sub count ($who) { scalar $who->get('/tasks?limit=500')->json->@* }

# The same request again gives the same task.
my $first = post($alice, 'k1', { title => 'once' });
answers($first, 201, 'a keyed POST');
is(replayed($first), 'no', 'the first keyed POST is not replayed');
my $again = post($alice, 'k1', { title => 'once' });
answers($again, 201, 'the same POST again is 201 with the same task', $first->json);
is(replayed($again), 'true', 'the same POST again has Idempotency-Replayed');
is($again->header($_), $first->header($_), "the same POST again has the same $_")
    for qw(Location ETag);
is(count($alice), 1, 'two equal POSTs with one key create one task');

# The same values in another text.
for my $body (
	'{"title":"once","description":null}', '{"completed":false,"title":"once"}',
	' { "title" : "\u006fnce" } ',
	'{"title":"once","user_id":"x","unknown":[1,2]}',
	'{"description":null,"completed":false,"title":"once"}')
{
	is(replayed(post($alice, 'k1', $body)), 'true', "the same values in another text: $body");
}

# Other values under the same key.
for my $body (
	{ title => 'twice' }, { title => 'once ' }, { title => 'Once' },
	{ title => 'once', description => '' },
	{ title => 'once', description => 'x' }, { title => 'once', completed => true })
{
	refuses(post($alice, 'k1', $body),
		idempotency_key_reused => 'the same key with other values: ' . join ' ',
		map { $_ // 'null' } %$body);
}
is(count($alice), 1, 'POSTs with a used key create no task');

# A character that moves from the description to the title is another task.
post($alice, 'mix', { title => 'ab', description => 'c' });
refuses(post($alice, 'mix', { title => 'a', description => 'bc' }),
	idempotency_key_reused => 'title and description are compared apart');
post($alice, 'colon', { title => 'a', description => ':b' });
refuses(post($alice, 'colon', { title => 'a:', description => 'b' }),
	idempotency_key_reused => 'title and description are compared apart, with colons too');

# A replay answers the current task, and compares with the values first sent.
my $path = '/tasks/' . $first->json->{id};
my $now = $alice->put($path, { title => 'changed', completed => true });
$again = post($alice, 'k1', { title => 'once' });
answers($again, 201, 'a replay answers the current task', $now->json);
is($again->header('ETag'), $now->header('ETag'), 'a replay has the current ETag');
refuses(post($alice, 'k1', { title => 'changed', completed => true }),
	idempotency_key_reused => 'the current values, which were not the first ones');

# A refused request does not use its key.
refuses(post($alice, 'k2', { title => '' }), invalid => 'a keyed POST without a title',
	errors => ['title']);
is(replayed(post($alice, 'k2', { title => 'right' })), 'no', 'a refused POST leaves its key free');
refuses(post($alice, 'k2', { title => '' }),
	invalid => 'a wrong body with a used key', errors => ['title']);

# A key is free once its task is deleted.
answers($alice->delete($path), 204, 'the task is deleted');
my $new = post($alice, 'k1', { title => 'another' });
answers($new, 201, 'the key of a deleted task is free');
is(replayed($new), 'no', 'the key of a deleted task is not replayed');
isnt($new->json->{id}, $first->json->{id}, 'the key of a deleted task gets a new id');

# Keys compare byte for byte, and belong to their tenant.
my %made;
for my $key ('Key', 'key', 'KEY', 'key.', 'ke', '"key"', 'key%20', '~', '!', 'k' x 254, 'k' x 255,
	'0', 'null')
{
	my $answer = post($alice, $key, { title => "by $key" =~ s/k{9,}/k.../r });
	ok($answer->status == 201 && replayed($answer) eq 'no' && !$made{ $answer->json->{id} }++,
		'a task of its own for the key ' . substr $key, 0, 20)
	    or diag($answer->dump);
}
is(replayed(post($bob, 'Key', { title => 'by Key' })), 'no', "Bob's key is not Alice's equal one");
is(count($bob), 1, "Bob's key created one task of his");

# Texts that are not a key.
for my $key ('k' x 256, 'k' x 4000, 'a b', "a\tb", "caf\xc3\xa9", "\xff", "a\x01", "a\x7f", "\x80")
{
	refuses(post($alice, $key, { title => 'x' }),
		bad_request => 'not a key: ' . substr($key, 0, 20) =~
		    s/[^ -~]/sprintf '\\x%02x', ord $&/ger);
}
is(replayed(post($alice, ' padded ', { title => 'p' })), 'no',
	'a key with blanks around it');
is(replayed(post($alice, 'padded', { title => 'p' })), 'true',
	'the key without the blanks is the same');
is(replayed(post($alice, "\tpadded \t", { title => 'p' })), 'true',
	'the key with tabs around it is the same');
refuses(post($alice, "\t", { title => 'x' }), bad_request => 'a tab alone is not a key');

# Other methods ignore the header.
my $task = $alice->task('other methods');
answers($alice->put("/tasks/$task->{id}", { title => 'x' }, { 'Idempotency-Key' => 'Key' }), 200,
	'PUT ignores a key');
answers($alice->patch("/tasks/$task->{id}/complete", undef, { 'Idempotency-Key' => 'Key' }), 200,
	'PATCH ignores a key');

# Without a key each POST creates a task.
my $before = count($alice);
$alice->task('same') for 1 .. 3;
is(count($alice), $before + 3, 'three POSTs without a key create three tasks');

# Many at once with one key: one task.
for my $round (1 .. 8) {
	my $carol = $stack->user;
	my @result = in_parallel($stack, 6, sub ($i) {
		my $me = $carol->with(client => $stack->new_client);
		return [
			map {
				my $a = post($me, "race-$_", { title => "race $_" });
				[$a->status, replayed($a), $a->json->{id}]
			} 1 .. 5
		];
	});
	my $right = 1;
	for my $k (0 .. 4) {
		my @of = map { $_->[$k] } @result;
		my %id = map { ($_->[2] // 'none') => 1 } @of;
		$right = 0
		    if keys %id != 1
		    || grep({ $_->[0] != 201 } @of)
		    || grep({ $_->[1] eq 'no' } @of) != 1;
		diag(explain(\@of)) if !$right;
	}
	ok($right, "round $round: six clients, five keys: each key creates one task, once");
	is(count($carol), 5, "round $round: there are five tasks");
}

# Many at once with one key and different bodies: one succeeds, the others are refused.
my $carol = $stack->user;
my @result = in_parallel($stack, 6, sub ($i) {
	my $a = post($carol->with(client => $stack->new_client), 'k', { title => "of $i" });
	[$a->status, $a->json->{code} // 'made']
});
is_deeply([sort map { "@$_" } @result], ['201 made', ('422 idempotency_key_reused') x 5],
	'six bodies, one key: one is created, five are refused');
is(count($carol), 1, 'six bodies, one key: there is one task');

# Deletion and replay at once: no answer is an error.
my @codes = in_parallel($stack, 4, sub ($i) {
	my $me = $carol->with(client => $stack->new_client);
	return [
		map {
			my $a = post($me, 'churn', { title => 'churn' });
			my $d =
			      $i % 2 && $a->status == 201
			    ? $me->delete('/tasks/' . $a->json->{id})->status
			    : 204;
			$a->status == 201
			    && ($d == 204 || $d == 404) ? () : [$a->status, $d];
		} 1 .. 40
	];
});
is_deeply([map { @$_ } @codes], [], 'created, replayed and deleted at once, without an error');
cmp_ok(count($carol), '<=', 2, 'created, replayed and deleted at once: at most one task is left');

$stack->done;
