# Goal: lists come in every order the contract has, each page begins where the
# last one ended, and no task is shown twice or left out on the way.

use v5.36;
use utf8;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Facts;
use Stack;

binmode Test::More->builder->$_, ':utf8' for qw(output failure_output);
my $stack = Stack->new(inside => 1);
my $alice = $stack->user;

# Titles as people write them: cases, accents, scripts, blanks, many alike.
my @titles = (
	('same') x 12,
	qw(apple Apple APPLE äpple zebra Zebra Éclair eclair école 10 9 1 2 Ångström angstrom Straße strasse œuvre),
	'a b', 'ab', 'a  b', ' a', 'a ', 'ÀÉ', "a\x{301}", 'á',
	'日本', 'にほん', 'ニホン', 'привет', 'ПРИВЕТ', '😀', '😁', '.', '-', '!', 'a' x 200,
	'a' x 199 . 'b', '\\', '"', "'", '%', '_', "\x{1}", 'Ж' x 200, 'ﬁ', 'fi', 'ß'
);
my %task;
for my $i (0 .. $#titles) {
	my $made = $alice->task($titles[$i], completed => $i % 3 ? false : true);
	delete $made->{etag};
	$task{ $made->{id} } = $made;
}
# Updates out of the order of creation.
for my $id ((sort keys %task)[map { $_ * 7 % 40 } 1 .. 15]) {
	my $answer = $alice->patch("/tasks/$id", { description => "changed" });
	$task{$id} = $answer->json;
}

# The oracle. Titles: the server's own collation, in the simplest words.
my %rank;
{
	my $n = 0;
	$rank{ $_->[0] } = $n++
	    for $stack->sql(
		"SELECT LOWER(CONCAT_WS('-', SUBSTR(h, 1, 8), SUBSTR(h, 9, 4), SUBSTR(h, 13, 4), SUBSTR(h, 17, 4), SUBSTR(h, 21)))
	    FROM (SELECT HEX(id) AS h, title, id FROM todo.tasks IGNORE INDEX (by_title) WHERE user_id = '"
		    . $alice->id
		    . "') AS t
	    ORDER BY title COLLATE utf8mb4_uca1400_nopad_ai_ci, id");
}
is(scalar keys %rank, scalar keys %task, 'the oracle knows all tasks');

my %by = (
	created => sub { $_[0]{created_at} cmp $_[1]{created_at} || $_[0]{id} cmp $_[1]{id} },
	updated => sub { $_[0]{updated_at} cmp $_[1]{updated_at} || $_[0]{id} cmp $_[1]{id} },
	title => sub { $rank{ $_[0]{id} } <=> $rank{ $_[1]{id} } },
);
my %of = (
	all => sub { 1 }, pending => sub { !$_[0]{completed} },
	completed => sub { $_[0]{completed} },
);
sub oracle ($status, $sort, $order) {
	my @t = sort { $by{$sort}->($a, $b) } grep { $of{$status}->($_) } values %task;
	return $order eq 'asc' ? @t : reverse @t;
}

sub next_of ($answer) {
	my @link = $answer->all('Link') or return;
	@link == 1 && $link[0] =~ m{\A<(/api/[^<>\s]+)>; rel="next"\z} or die "Link: @link";
	return $1;
}

# Every page from `target` on: the tasks, and how many on each.
sub walk ($who, $target) {
	my (@tasks, @sizes);
	while (defined $target) {
		my $answer = $who->get($target);
		die $answer->dump if $answer->status != 200;
		push @tasks, $answer->json->@*;
		push @sizes, scalar $answer->json->@*;
		$target = next_of($answer);
		die 'a walk without end' if @sizes > 500;
	}
	return \@tasks, \@sizes;
}

for my $status (qw(all pending completed)) {
	for my $sort (qw(created updated title)) {
		for my $order (qw(asc desc)) {
			my @want = oracle($status, $sort, $order);
			my $query = "status=$status&sort=$sort&order=$order";
			for my $limit (1, 3, 7, scalar @want, @want + 1) {
				my ($got, $sizes) = walk($alice, "/tasks?$query&limit=$limit");
				is_deeply([map { $_->{id} } @$got], [map { $_->{id} } @want],
					"$query in pages of $limit");
				my @full = (($limit) x int(@want / $limit), @want % $limit || ());
				is_deeply($sizes, \@full, 'each full, and none empty');
			}
			my ($got) = walk($alice, "/tasks?$query&limit=50");
			is_deeply($got, \@want, "$query, whole tasks");
		}
	}
}

# Defaults.
sub ids ($query) { [map { $_->{id} } $alice->get("/tasks$query")->json->@*] }
is_deeply(ids(''), [map { $_->{id} } oracle('all', 'created', 'desc')],
	'by default all, newest first');
is_deeply(ids('?sort=title'), [map { $_->{id} } oracle('all', 'title', 'asc')],
	'titles from the first');
is_deeply(ids('?sort=updated'), [map { $_->{id} } oracle('all', 'updated', 'desc')],
	'updates from the last');
is_deeply(ids('?order=asc'), [map { $_->{id} } oracle('all', 'created', 'asc')], 'order alone');
my $many = $stack->user;
$many->pipeline(map { ['POST', '/tasks', {}, { title => "n$_" }] } 1 .. 101);
is(scalar $many->get('/tasks')->json->@*, 100, '100 a page');
is(scalar $many->get('/tasks?limit=500')->json->@*, 101, '500 at most');

# Parameters: unknown ones are ignored, known ones are judged.
is_deeply(ids('?colour=red&STATUS=x&Limit=x&limits=1&&=&x'), ids(''),
	'unknown parameters are ignored');
for my $query (
	'status=', 'status=done', 'status=ALL', 'status=all,pending', 'status', 'status=all%00',
	'status=%ff', 'sort=', 'sort=id', 'sort=Title',
	'sort=title%20', 'sort=-title', 'order=', 'order=up', 'order=ASC', 'order=asc;', 'limit=',
	'limit=0', 'limit=05', 'limit=501', 'limit=-1', 'limit=%2B5', 'limit=1.5', 'limit=1e2',
	'limit=0x10', 'limit=5%20', 'limit=%205', 'limit=x', 'limit=99999999999999999999',
	'limit=4294967297', 'limit=18446744073709551617', 'limit=5%00', 'limit=٥', 'limit',
	'after=', 'after', 'after=x', 'after=%00', 'after=' . 'A' x 3000, 'after=' . 'A' x 40,
	'after=AAAA%3D%3D', 'after=../..', 'after=1', 'after=null')
{
	utf8::encode(my $bytes = $query);
	my ($member) = $query =~ /\A(\w+)/;
	refuses($alice->get("/tasks?$bytes"), invalid => "?" . substr($query, 0, 40),
		errors => [$member]);
}
for my $twice ('status=all&status=all', 'sort=title&x=1&sort=title', 'order=asc&order=desc',
	'limit=1&limit=2', 'limit=1&%6cimit=1')
{
	my ($member) = $twice =~ /\A(\w+)/;
	my $answer = $alice->get("/tasks?$twice");
	refuses($answer, invalid => "twice: $twice", errors => [$member]);
}

# A cursor belongs to its sort, order and status.
my %cursor;
for my $status (qw(all pending completed)) {
	for my $sort (qw(created updated title)) {
		for my $order (qw(asc desc)) {
			my $query = "status=$status&sort=$sort&order=$order";
			($cursor{$query}) =
			    next_of($alice->get("/tasks?$query&limit=2")) =~ /[?&]after=([^&]+)/;
		}
	}
}
my ($taken, $refused) = (0, 0);
for my $from (sort keys %cursor) {
	for my $to (sort keys %cursor) {
		my $answer = $alice->get("/tasks?$to&after=$cursor{$from}");
		if ($from eq $to) { $taken += $answer->status == 200 }
		else {
			$refused += $answer->status == 422
			    && $answer->json->{errors}[0]{member} eq 'after'
		}
	}
}
is($taken, 18, 'each of 18 cursors is good where it came from');
is($refused, 18 * 17, 'and 422 everywhere else');
answers($alice->get("/tasks?after=$cursor{'status=all&sort=created&order=desc'}"), 200,
	'defaults left out are the same');

# limit is not part of it.
my ($two) = next_of($alice->get('/tasks?limit=2')) =~ /after=([^&]+)/;
is_deeply(ids("?limit=5&after=$two"),
	[(map { $_->{id} } oracle('all', 'created', 'desc'))[2 .. 6]], 'another limit may follow');

# A cursor is opaque: one byte changed is another, and no text is in it.
my $c = $cursor{'status=all&sort=title&order=asc'};
my $flipped = 0;
for my $i (0 .. length($c) - 1) {
	my $bad = $c;
	substr $bad, $i, 1, substr($c, $i, 1) eq 'A' ? 'B' : 'A';
	$flipped++ if $alice->get("/tasks?sort=title&after=$bad")->status != 422 && $bad ne $c;
}
cmp_ok($flipped, '<=', 1, 'a changed cursor is 422');
my $erin = $stack->user;
$erin->task("SECRETWORD $_", description => 'HIDDENWORD') for 1 .. 3;
for my $sort (qw(created updated title)) {
	my $answer = $erin->get("/tasks?sort=$sort&limit=1");
	my ($after) = next_of($answer) =~ /after=([^&]+)/;
	my $plain =
	      $after . ' '
	    . Token::unb64u($after) . ' '
	    . pack('H*', $after =~ /\A[0-9a-f]+\z/i ? $after : '');
	ok($plain !~ /SECRET|HIDDEN|WORD/i, "a cursor of $sort carries no text");
}

# It survives the deletion of its row, and of those around it.
for my $sort (qw(created updated title)) {
	for my $order (qw(asc desc)) {
		my $dave = $stack->user;
		my %id = map { $_ => $dave->task("t$_")->{id} } 1 .. 9;
		my @all = map { $_->{id} } $dave->get("/tasks?sort=$sort&order=$order")->json->@*;
		my $link = next_of($dave->get("/tasks?sort=$sort&order=$order&limit=4"));
		$dave->delete("/tasks/$all[3]");
		is_deeply([map { $_->{id} } $dave->get($link)->json->@*], [@all[4 .. 7]],
			"$sort $order: after the deletion of its row");
		$dave->delete("/tasks/$_") for @all[2, 4];
		is_deeply([map { $_->{id} } $dave->get($link)->json->@*], [@all[5 .. 8]],
			'and of its neighbours');
		$dave->delete("/tasks/$_") for @all[0, 1, 5 .. 8];
		my $end = $dave->get($link);
		answers($end, 200, 'and of them all', []);
		is($end->header('Link'), undef, 'which is the end');
	}
}

# What changes while one walks is shown or not, but nothing else is lost or doubled.
my $frank = $stack->user;
my @his = map { $frank->task("t$_")->{id} } 1 .. 12;
my $page = $frank->get('/tasks?limit=4');
$frank->task('newer');
$frank->patch("/tasks/$his[5]", { title => 'renamed' });
my ($rest) = walk($frank, next_of($page));
is_deeply([map { $_->{id} } $page->json->@*, @$rest], [reverse @his],
	'a walk by creation is not disturbed by writes');

# Link keeps the other parameters.
my $link = next_of(
	$alice->get(
		'/tasks?colour=light%20red&limit=2&status=pending&sort=updated&order=asc&x=%26&flag'
	));
like($link, qr{\A/api/@{[$alice->id]}/tasks\?}, 'an absolute path');
my %has = map { $_ => 1 } split /&/, $link =~ s/\A[^?]*\?//r;
ok($has{$_}, "that keeps $_")
    or diag($link)
    for 'limit=2', 'status=pending', 'sort=updated', 'order=asc', 'x=%26', 'flag';
ok($has{'colour=light%20red'} || $has{'colour=light+red'}, 'and colour') or diag($link);
is(scalar(grep { /\Aafter=/ } keys %has), 1, 'with one cursor');
my $second = next_of($alice->get($link));
is(scalar(() = $second =~ /[?&]after=/g), 1, 'and one on the page after');
my $spelt = next_of(
	$alice->get(
		      '/api/'
		    . join('', map { sprintf '%%%02X', ord } split //, $alice->id)
		    . '/tasks?limit=1'));
answers($alice->get($spelt), 200, 'from an id in percent-encoding too');
unlike(next_of($alice->get('/tasks?limit=1&x=%3C%3E%22%0d%0aX:y')), qr/[<>"\r\n]/,
	'what would break the header stays encoded');
$link = next_of($alice->get("/tasks?limit=1&x=<y>;\"z\"[]{}|^`\\\xc3\xa9"));
like($link, qr/&x=%3Cy%3E;%22z%22%5B%5D%7B%7D%7C%5E%60%5C%C3%A9&/, 'and is encoded if it was not');
answers($alice->get($link), 200, 'so that it can be followed');
$link = next_of($alice->get('/tasks?limit=1&%zz=1&a=%&b=%4&c=%4z&d=%41'));
like($link, qr/\?limit=1&%25zz=1&a=%25&b=%254&c=%254z&d=%41&after=/,
	'what is no escape becomes one');
answers($alice->get($link), 200, 'and can be followed');

# A target of 4096 bytes is the longest. One that would outgrow it in the next
# page's leaves out what is none of our parameters.
sub padded ($length) {
	my $start = '/api/' . $alice->id . '/tasks?sort=title&%6cimit=1&x=';
	return $start . 'y' x ($length - length $start);
}
refuses($alice->get(padded(4097)), bad_request => 'a target of 4097 bytes is 400');
my $whole = $alice->get(padded(4096));
answers($whole, 200, 'one of 4096 bytes is not');
$link = next_of($whole);
like($link, qr{/tasks\?sort=title&%6cimit=1&after=[^&]+\z}, 'the next page has what fits');
is_deeply([map { $_->{id} } $alice->get($link)->json->@*],
	[map { $_->{id} } $alice->get(next_of($alice->get('/tasks?sort=title&limit=1')))->json->@*],
	'and is the right one');
$link = next_of($alice->get('/tasks?limit=1&x=' . '"' x 3900));
unlike($link, qr/x=/, 'the same where escapes make it longer');
answers($alice->get($link), 200, 'and that can be followed too');

$stack->done;
