# Goal: a POST with an Idempotency-Key makes one task however often and however
# many at once it is sent; the key is its tenant's and lives as long as its task.

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

# The same again is the same task.
my $first = post($alice, 'k1', { title => 'once' });
answers($first, 201, 'a keyed POST');
is(replayed($first), 'no', 'is not replayed the first time');
my $again = post($alice, 'k1', { title => 'once' });
answers($again, 201, 'the same again is 201 too, with the same task', $first->json);
is(replayed($again), 'true', 'and says so');
is($again->header($_), $first->header($_), "with the same $_") for qw(Location ETag);
is(count($alice), 1, 'there is one task');

# The same values, in whatever text.
for my $body (
	'{"title":"once","description":null}', '{"completed":false,"title":"once"}',
	' { "title" : "\u006fnce" } ',
	'{"title":"once","user_id":"x","unknown":[1,2]}',
	'{"description":null,"completed":false,"title":"once"}')
{
	is(replayed(post($alice, 'k1', $body)), 'true', "the same in other words: $body");
}

# Other values under the same key.
for my $body (
	{ title => 'twice' }, { title => 'once ' }, { title => 'Once' },
	{ title => 'once', description => '' },
	{ title => 'once', description => 'x' }, { title => 'once', completed => true })
{
	refuses(post($alice, 'k1', $body),
		idempotency_key_reused => 'the same key for another: ' . join ' ',
		map { $_ // 'null' } %$body);
}
is(count($alice), 1, 'there is still one task');

# Two descriptions cannot pass for a title and vice versa.
post($alice, 'mix', { title => 'ab', description => 'c' });
refuses(post($alice, 'mix', { title => 'a', description => 'bc' }),
	idempotency_key_reused => 'members do not run together');
post($alice, 'colon', { title => 'a', description => ':b' });
refuses(post($alice, 'colon', { title => 'a:', description => 'b' }),
	idempotency_key_reused => 'not even with colons');

# A replay shows the task as it now is, and compares with what was first sent.
my $path = '/tasks/' . $first->json->{id};
my $now = $alice->put($path, { title => 'changed', completed => true });
$again = post($alice, 'k1', { title => 'once' });
answers($again, 201, 'a replay shows the task as it now is', $now->json);
is($again->header('ETag'), $now->header('ETag'), 'with the ETag of now');
refuses(post($alice, 'k1', { title => 'changed', completed => true }),
	idempotency_key_reused => 'what it now is was not what was sent');

# Refused requests do not take the key.
refuses(post($alice, 'k2', { title => '' }), invalid => 'a refused POST', errors => ['title']);
is(replayed(post($alice, 'k2', { title => 'right' })), 'no', 'leaves its key free');
refuses(post($alice, 'k2', { title => '' }),
	invalid => 'nor is a taken key an excuse for a wrong body', errors => ['title']);

# The key is free once its task is gone.
answers($alice->delete($path), 204, 'the task is deleted');
my $new = post($alice, 'k1', { title => 'another' });
answers($new, 201, 'its key is free');
is(replayed($new), 'no', 'for a new one');
isnt($new->json->{id}, $first->json->{id}, 'with a new id');

# Keys compare byte for byte, and belong to their tenant.
my %made;
for my $key ('Key', 'key', 'KEY', 'key.', 'ke', '"key"', 'key%20', '~', '!', 'k' x 254, 'k' x 255,
	'0', 'null')
{
	my $answer = post($alice, $key, { title => "by $key" =~ s/k{9,}/k.../r });
	ok($answer->status == 201 && replayed($answer) eq 'no' && !$made{ $answer->json->{id} }++,
		'its own task: ' . substr $key, 0, 20)
	    or diag($answer->dump);
}
is(replayed(post($bob, 'Key', { title => 'by Key' })), 'no', "Bob's same key is his own");
is(count($bob), 1, 'and so is his task');

# Not every text is a key.
for my $key ('k' x 256, 'k' x 4000, 'a b', "a\tb", "caf\xc3\xa9", "\xff", "a\x01", "a\x7f", "\x80")
{
	refuses(post($alice, $key, { title => 'x' }),
		bad_request => 'no key: ' . substr($key, 0, 20) =~
		    s/[^ -~]/sprintf '\\x%02x', ord $&/ger);
}
is(replayed(post($alice, ' padded ', { title => 'p' })), 'no',
	'blanks around a header are none of it');
is(replayed(post($alice, 'padded', { title => 'p' })), 'true', 'so this is the same');
is(replayed(post($alice, "\tpadded \t", { title => 'p' })), 'true', 'and this, with tabs');
refuses(post($alice, "\t", { title => 'x' }), bad_request => 'a tab alone is no key');

# It is POST's alone.
my $task = $alice->task('other methods');
answers($alice->put("/tasks/$task->{id}", { title => 'x' }, { 'Idempotency-Key' => 'Key' }), 200,
	'PUT minds no key');
answers($alice->patch("/tasks/$task->{id}/complete", undef, { 'Idempotency-Key' => 'Key' }), 200,
	'nor does PATCH');

# Without a key each POST is a task.
my $before = count($alice);
$alice->task('same') for 1 .. 3;
is(count($alice), $before + 3, 'without a key each is a task');

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
	ok($right, "round $round: six clients, five keys, one task each, made once");
	is(count($carol), 5, 'and five there are');
}

# Many at once with one key and different bodies: one body wins, the others are told.
my $carol = $stack->user;
my @result = in_parallel($stack, 6, sub ($i) {
	my $a = post($carol->with(client => $stack->new_client), 'k', { title => "of $i" });
	[$a->status, $a->json->{code} // 'made']
});
is_deeply([sort map { "@$_" } @result], ['201 made', ('422 idempotency_key_reused') x 5],
	'six bodies, one key: one is made');
is(count($carol), 1, 'and one there is');

# Deletion and replay at once: always one or the other, never an error.
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
is_deeply([map { @$_ } @codes], [], 'made, replayed and deleted at once');
cmp_ok(count($carol), '<=', 2, 'with at most one task of that key left');

$stack->done;
