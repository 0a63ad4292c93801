# Goal: each state of a task has an ETag of its own, and If-Match and
# If-None-Match act on ETags as RFC 9110 says.

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
	is($answer->header('ETag'), $etag, "If-None-Match: $value: 304 has the ETag");
}
answers(unless_is($etag, 'HEAD'), 304, 'HEAD with If-None-Match');
for my $value ('"x"', 'W/"x"', '"x", "y"', "\"x$etag", $other->{etag}, '""') {
	answers(unless_is($value), 200, "If-None-Match: $value names another ETag")
	    if $value ne $etag;
}
refuses($alice->get('/tasks/01900000-0000-7000-8000-000000000000', { 'If-None-Match' => '*' }),
	not_found => 'If-None-Match: * where there is no task');

# If-Match on every write: an ETag that is not current is 412 and changes nothing.
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
	is((now())[1], $text, "$method with a wrong If-Match changes nothing");
}

# A current ETag, in any form of If-Match: the write succeeds and changes the ETag.
my %had = ($etag => 1);
for my $form ('%s', 'W/%s', '*', '"x", %s', '%s,"x"', '"a" ,W/%s, "b"', ',%s') {
	for my $i (0 .. 2) {
		my ($tag) = now();
		my $answer = $alice->request(
			'PATCH', $i == 2 ? "$path/complete" : $path,
			{ 'If-Match' => $form =~ s/%s/$tag/r },
			[{ title => "$form 0" }, { description => "$form 1" }, undef]->[$i]);
		answers($answer, 200, "If-Match: $form, write $i");
		ok(!$had{ $answer->header('ETag') }++, "If-Match: $form, write $i, has a new ETag");
	}
}

# If-None-Match on a write: a value that names the current ETag is 412 and changes
# nothing; with any other the write succeeds. If-Match is checked first, and both must hold.
for (@writes) {
	my ($method, $target, $body) = @$_;
	my ($tag, $text) = now();
	for my $value ('*', $tag, "W/$tag", "\"x\", $tag", "$tag,\"x\"", ",\"x\" , W/$tag,") {
		refuses($alice->request($method, $target, { 'If-None-Match' => $value }, $body),
		    precondition_failed => "$method with If-None-Match: $value");
	}
	my $with = sub ($match, $none) {
		my %headers = ('If-Match' => $match, 'If-None-Match' => $none);
		return $alice->request($method, $target, \%headers, $body);
	};
	refuses($with->($tag, $tag),
	    precondition_failed => "$method: If-Match holds, If-None-Match does not");
	refuses($with->('"x"', '"x"'),
	    precondition_failed => "$method: If-None-Match holds, If-Match does not");
	is((now())[1], $text, "$method with If-None-Match of the current ETag changes nothing");
	next if $method eq 'DELETE';
	answers($with->($tag, '"x", W/"y"'), 200, "$method: If-Match and If-None-Match hold");
}
my $spare = $alice->task('spare');
my $spare_path = "/tasks/$spare->{id}";
refuses($alice->delete($spare_path, { 'If-None-Match' => '*' }),
	precondition_failed => 'DELETE with If-None-Match: *');
my $impossible = '"0", "01", "00001", "4294967297", "99999999999"';
answers($alice->delete($spare_path, { 'If-None-Match' => $impossible }), 204,
    'DELETE with If-None-Match of revisions that no task has');
refuses($alice->delete($spare_path, { 'If-None-Match' => '*' }),
	not_found => '404 comes before If-None-Match');
refuses($alice->put($path, { title => '' }, { 'If-None-Match' => '*' }),
	invalid => '422 comes before If-None-Match',
	errors => ['title']);
{
	my ($tag, $text) = now();
	my $equal = { title => $alice->get($path)->json->{title} };
	refuses($alice->put($path, $equal, { 'If-None-Match' => $tag }),
		precondition_failed => 'PUT of equal values with If-None-Match of the current ETag'
	);
	is((now())[1], $text, 'a refused PUT of equal values changes nothing');
}

# The same values again, after others, are a new state.
my $first = $alice->put($path, { title => 'A', completed => false })->header('ETag');
$alice->put($path, { title => 'B' });
isnt($alice->put($path, { title => 'A' })->header('ETag'), $first,
	'A, B, A: the two A have different ETags');
refuses($alice->put($path, { title => 'C' }, { 'If-Match' => $first }),
	precondition_failed => 'A, B, A: the ETag of the first A is stale');

# Many changes within one tick of any clock.
%had = ();
my @answers = $alice->pipeline(map { ['PATCH', "$path/complete", {}, undef] } 1 .. 60);
is(scalar(grep { $_->status == 200 } @answers), 60, '60 changes in a row succeed');
is(scalar(grep { !$had{ $_->header('ETag') }++ } @answers), 60, '60 changes have 60 ETags');
my @times = map { $_->json->{updated_at} } @answers;
is_deeply(\@times, [sort { $a cmp $b } keys %{ { map { $_ => 1 } @times } }],
	'60 changes have 60 values of updated_at, in ascending order');

# A write of equal values with a current If-Match changes nothing.
my ($tag, $text) = now();
is($alice->put($path, { title => 'A' }, { 'If-Match' => $tag })->header('ETag'), $tag,
	'a PUT of equal values keeps the ETag');
is((now())[1], $text, 'a PUT of equal values keeps updated_at');
refuses($alice->put($path, { title => 'A' }, { 'If-Match' => '"stale"' }),
	precondition_failed => 'a PUT of equal values with a stale ETag');

# A header that is not a list of entity tags matches nothing, and is no 5xx.
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

# Of six writers with the same ETag one succeeds, and its answer has its own values.
for my $round (1 .. 5) {
	my ($now) = now();
	my @result = in_parallel(
		$stack, 6,
		sub ($i) {
			my $a = $alice->with(client => $stack->new_client)
			    ->put($path, { title => "round $round of $i" }, { 'If-Match' => $now });
			return [$a->status, $a->status == 200 ? $a->json->{title} : '',
				$a->header('ETag') // ''
			];
		});
	is_deeply([sort map { $_->[0] } @result], [200, (412) x 5],
		"round $round: one writer of six succeeds");
	my ($winner) = grep { $result[$_][0] == 200 } 0 .. 5;
	is($result[$winner][1], "round $round of $winner",
		"round $round: the answer has the writer's own title");
	is((now())[0], $result[$winner][2], "round $round: the task has the ETag of that answer");
}

# Without If-Match all succeed, and each answer has the values of its own write.
my @result = in_parallel($stack, 6, sub ($i) {
	my $me = $alice->with(client => $stack->new_client);
	my @seen;
	for my $title (map { "$i-$_" } 1 .. 20) {
		my $a = $me->put($path, { title => $title });
		my $own = $a->status == 200 && $a->json->{title} eq $title ? 1 : 0;
		push @seen, [$a->status, $own, $a->header('ETag')];
	}
	return \@seen;
});
my @all = map { @$_ } @result;
is(scalar(grep { $_->[0] == 200 && $_->[1] } @all), 120,
	'120 writes of six clients: each answer has its own title');
%had = ();
is(scalar(grep { !$had{ $_->[2] }++ } @all), 120, '120 writes of six clients have 120 ETags');

# A deleted task matches no ETag.
my $goner = $alice->task('goner');
answers($alice->delete("/tasks/$goner->{id}", { 'If-Match' => $goner->{etag} }), 204,
	'DELETE with a current ETag');
refuses($alice->delete("/tasks/$goner->{id}", { 'If-Match' => '*' }),
	not_found => 'DELETE of a deleted task with If-Match: *');

$stack->done;
