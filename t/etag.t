# Goal: ETags tell one state of a task from every other, and If-Match and
# If-None-Match act on them as RFC 9110 has it.

use v5.36;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Facts;
use Stack;

my $stack = Stack->new;
my $alice = $stack->user;
my $task = $alice->task('one');
my $path = "/tasks/$task->{id}";
my $etag = $task->{etag};
my $other = $alice->task('two');

# If-None-Match on GET and HEAD.
sub unless_is ($value, $method = 'GET') {
	$alice->request($method, $path, { 'If-None-Match' => $value })
}

for my $value ($etag, '*', "W/$etag", "\"x\", $etag", "$etag, \"x\"", "\"x\",$etag,\"y\"",
	"\"x\" , W/\"y\" ,\tW/$etag", "$etag,", ", $etag")
{
	my $answer = unless_is($value);
	answers($answer, 304, "If-None-Match: $value");
	is($answer->header('ETag'), $etag, 'with the ETag');
}
answers(unless_is($etag, 'HEAD'), 304, 'HEAD too');
for my $value ('"x"', 'W/"x"', '"x", "y"', "\"x$etag", $other->{etag}, '""') {
	answers(unless_is($value), 200, "If-None-Match: $value is another") if $value ne $etag;
}
refuses($alice->get('/tasks/01900000-0000-7000-8000-000000000000', { 'If-None-Match' => '*' }),
	not_found => 'no task, no 304');

# If-Match on every write: not current is 412 and changes nothing.
sub now { my $a = $alice->get($path); return ($a->header('ETag'), $a->body) }
my @writes = (
	['PUT', $path, { title => 'new' }], ['PATCH', $path, { title => 'new' }],
	['PATCH', "$path/complete", undef], ['PATCH', "$path/complete", { completed => true }],
	['DELETE', $path, undef],
);
for (@writes) {
	my ($method, $target, $body) = @$_;
	my ($tag, $text) = now();
	for my $value ('"stale"', 'W/"stale"', '"a", "b"',
		$other->{etag} eq $tag ? '"c"' : $other->{etag}, '""')
	{
		refuses($alice->request($method, $target, { 'If-Match' => $value }, $body),
			precondition_failed => "$method with If-Match: $value");
	}
	is((now())[1], $text, 'and nothing has changed');
}

# Current in any form: it goes through, and the ETag is another.
my %had = ($etag => 1);
for my $form ('%s', 'W/%s', '*', '"x", %s', '%s,"x"', '"a" ,W/%s, "b"', ',%s') {
	for my $i (0 .. 2) {
		my ($tag) = now();
		my $answer = $alice->request(
			'PATCH', $i == 2 ? "$path/complete" : $path,
			{ 'If-Match' => $form =~ s/%s/$tag/r },
			[{ title => "$form 0" }, { description => "$form 1" }, undef]->[$i]);
		answers($answer, 200, "If-Match: $form, write $i");
		ok(!$had{ $answer->header('ETag') }++, 'an ETag that never was before');
	}
}

# If-None-Match on a write: one that names the current ETag is 412 and changes nothing; any other lets
# the write through. If-Match is judged first, and both must hold.
for (@writes) {
	my ($method, $target, $body) = @$_;
	my ($tag, $text) = now();
	for my $value ('*', $tag, "W/$tag", "\"x\", $tag", "$tag,\"x\"", ",\"x\" , W/$tag,") {
		refuses($alice->request($method, $target, { 'If-None-Match' => $value }, $body),
		    precondition_failed => "$method with If-None-Match: $value");
	}
	refuses(
		$alice->request(
			$method, $target, { 'If-Match' => $tag, 'If-None-Match' => $tag }, $body
		),
		precondition_failed => "$method: If-Match holds, If-None-Match does not");
	refuses(
		$alice->request(
			$method, $target, { 'If-Match' => '"x"', 'If-None-Match' => '"x"' }, $body
		),
		precondition_failed => "$method: If-None-Match holds, If-Match does not");
	is((now())[1], $text, 'and nothing has changed');
	next if $method eq 'DELETE';
	answers(
		$alice->request(
			$method, $target, { 'If-Match' => $tag, 'If-None-Match' => '"x", W/"y"' },
			$body
		),
		200,
		"$method: both hold");
}
my $spare = $alice->task('spare');
my $spare_path = "/tasks/$spare->{id}";
refuses($alice->delete($spare_path, { 'If-None-Match' => '*' }),
	precondition_failed => 'DELETE unless there is any');
answers(
	$alice->delete(
		$spare_path,
		{ 'If-None-Match' => '"0", "01", "00001", "4294967297", "99999999999"' }
	),
	204,
	'DELETE unless it is a revision that no task has');
refuses($alice->delete($spare_path, { 'If-None-Match' => '*' }),
	not_found => 'no task: 404 before If-None-Match');
refuses($alice->put($path, { title => '' }, { 'If-None-Match' => '*' }),
	invalid => '422 before If-None-Match',
	errors => ['title']);
{
	my ($tag, $text) = now();
	my $equal = { title => $alice->get($path)->json->{title} };
	refuses($alice->put($path, $equal, { 'If-None-Match' => $tag }),
		precondition_failed => 'equal values are 412 too');
	is((now())[1], $text, 'and move nothing');
}

# Back to what it was is another state still.
my $first = $alice->put($path, { title => 'A', completed => false })->header('ETag');
$alice->put($path, { title => 'B' });
isnt($alice->put($path, { title => 'A' })->header('ETag'), $first, 'A, B, A: not the same ETag');
refuses($alice->put($path, { title => 'C' }, { 'If-Match' => $first }),
	precondition_failed => 'nor does the first one match');

# Many changes within one tick of any clock.
%had = ();
my @answers = $alice->pipeline(map { ['PATCH', "$path/complete", {}, undef] } 1 .. 60);
is(scalar(grep { $_->status == 200 } @answers), 60, '60 changes in a row');
is(scalar(grep { !$had{ $_->header('ETag') }++ } @answers), 60, 'have 60 ETags');
my @times = map { $_->json->{updated_at} } @answers;
is_deeply(\@times, [sort { $a cmp $b } keys %{ { map { $_ => 1 } @times } }],
	'and 60 times, each later than the one before');

# A write of equal values under a right If-Match moves nothing.
my ($tag, $text) = now();
is($alice->put($path, { title => 'A' }, { 'If-Match' => $tag })->header('ETag'), $tag,
	'equal values keep the ETag');
is((now())[1], $text, 'and updated_at');
refuses($alice->put($path, { title => 'A' }, { 'If-Match' => '"stale"' }),
	precondition_failed => 'equal values under a stale one are 412 still');

# A header that is no list of entity tags matches nothing, and breaks nothing.
for my $value ('x', '"', $etag =~ tr/"//dr, '"x" "y"', "*, $tag", "$tag;q=1", "'x'", "\"\xff\"",
	',' x 100, '"' . 'x' x 4000 . '"')
{
	my $status = $alice->put($path, { title => 'A' }, { 'If-Match' => $value })->status;
	ok($status == 412 || $status == 400 || $status == 200 && $value =~ /\Q$tag\E|\A,+\z/,
		"If-Match: " . substr($value, 0, 20))
	    or diag($status);
	$status = $alice->get($path, { 'If-None-Match' => $value })->status;
	ok($status == 200 || $status == 400 || $status == 304 && $value =~ /\Q$tag\E/,
		"If-None-Match: " . substr($value, 0, 20))
	    or diag($status);
}

# Of many who write with the same ETag one wins; and each is told its own state.
for my $round (1 .. 5) {
	my ($now) = now();
	my @result = in_parallel($stack, 6, sub ($i) {
		my $a = $alice->with(client => $stack->new_client)
		    ->put($path, { title => "round $round of $i" }, { 'If-Match' => $now });
		return [$a->status, $a->status == 200 ? $a->json->{title} : '',
			$a->header('ETag') // ''];
	});
	is_deeply([sort map { $_->[0] } @result], [200, (412) x 5], "round $round: one wins");
	my ($winner) = grep { $result[$_][0] == 200 } 0 .. 5;
	is($result[$winner][1], "round $round of $winner", 'and is told of its own');
	is((now())[0], $result[$winner][2], 'and that is how it is');
}

# Without If-Match all win, and each is told the state it left itself.
my @result = in_parallel($stack, 6, sub ($i) {
	my $me = $alice->with(client => $stack->new_client);
	return [
		map {
			my $a = $me->put($path, { title => "$i-$_" });
			[$a->status,
				$a->status == 200 && $a->json->{title} eq "$i-$_" ? 1 : 0,
				$a->header('ETag')]
		} 1 .. 20
	];
});
my @all = map { @$_ } @result;
is(scalar(grep { $_->[0] == 200 && $_->[1] } @all), 120,
	'120 writes of six clients are each told their own');
%had = ();
is(scalar(grep { !$had{ $_->[2] }++ } @all), 120, 'under 120 ETags');

# A deleted task matches no more.
my $goner = $alice->task('goner');
answers($alice->delete("/tasks/$goner->{id}", { 'If-Match' => $goner->{etag} }), 204,
	'DELETE under a current ETag');
refuses($alice->delete("/tasks/$goner->{id}", { 'If-Match' => '*' }),
	not_found => 'and then it is 404');

$stack->done;
