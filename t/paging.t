# Goal: lists come in every order of the contract, each page begins where the last
# one ended, and no task is shown twice or left out.

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

# Titles as people write them: cases, accents, scripts, blanks, many of them alike.
my @titles = (
	('same') x 12,
	qw(apple Apple APPLE äpple zebra Zebra Éclair eclair école 10 9 1 2),
	qw(Ångström angstrom Straße strasse œuvre),
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
# Updates in another order than that of creation.
for my $id ((sort keys %task)[map { $_ * 7 % 40 } 1 .. 15]) {
	my $answer = $alice->patch("/tasks/$id", { description => "changed" });
	$task{$id} = $answer->json;
}

# The oracle: what each list must be. The database ranks the titles, by its
# collation and without the index that the program uses.
my @ranked = $stack->sql(<<"END");
	SELECT LOWER(HEX(id)) FROM todo.tasks IGNORE INDEX (by_title)
	WHERE user_id = '@{[$alice->id]}'
	ORDER BY title COLLATE utf8mb4_uca1400_nopad_ai_ci, id
END
my @hex = map { $_->[0] } @ranked;
my %rank = map { $hex[$_] =~ s/\A(.{8})(.{4})(.{4})(.{4})/$1-$2-$3-$4-/r => $_ } 0 .. $#hex;
is_deeply([sort keys %rank], [sort keys %task], 'the oracle ranks all tasks');

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

# Every page from `target` on: the tasks, and how many each page has.
sub walk ($who, $target) {
	my (@tasks, @sizes);
	while (defined $target) {
		my $answer = $who->get($target);
		die $answer->dump if $answer->status != 200;
		push @tasks, $answer->json->@*;
		push @sizes, scalar $answer->json->@*;
		$target = next_of($answer);
		die 'more than 500 pages' if @sizes > 500;
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
				is_deeply($sizes, \@full,
					"$query in pages of $limit: all but the last are full");
			}
			my ($got) = walk($alice, "/tasks?$query&limit=50");
			is_deeply($got, \@want, "$query, whole tasks");
		}
	}
}

# Defaults.
sub ids ($query) { [map { $_->{id} } $alice->get("/tasks$query")->json->@*] }
is_deeply(ids(''), [map { $_->{id} } oracle('all', 'created', 'desc')],
	'the default is all tasks, newest first');
is_deeply(ids('?sort=title'), [map { $_->{id} } oracle('all', 'title', 'asc')],
	'sort=title is ascending by default');
is_deeply(ids('?sort=updated'), [map { $_->{id} } oracle('all', 'updated', 'desc')],
	'sort=updated is descending by default');
is_deeply(ids('?order=asc'), [map { $_->{id} } oracle('all', 'created', 'asc')],
	'order without sort is by creation');
my $many = $stack->user;
$many->pipeline(map { ['POST', '/tasks', {}, { title => "n$_" }] } 1 .. 101);
is(scalar $many->get('/tasks')->json->@*, 100, 'a page has 100 tasks by default');
is(scalar $many->get('/tasks?limit=500')->json->@*, 101, 'a page of limit=500 has 101 tasks');

# Unknown parameters are ignored; a wrong value of a known one is 422.
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
is($taken, 18, '18 cursors are valid for the list they came from');
is($refused, 18 * 17, '18 cursors are 422 for every other list');
answers($alice->get("/tasks?after=$cursor{'status=all&sort=created&order=desc'}"), 200,
	'a cursor is valid where the defaults are left out');

# A cursor does not depend on limit.
my ($two) = next_of($alice->get('/tasks?limit=2')) =~ /after=([^&]+)/;
is_deeply(
	ids("?limit=5&after=$two"),
	[(map { $_->{id} } oracle('all', 'created', 'desc'))[2 .. 6]],
	'a cursor is valid with another limit');

# A cursor is opaque: no byte can be changed, and no text can be read in it.
my $c = $cursor{'status=all&sort=title&order=asc'};
my $flipped = 0;
for my $i (0 .. length($c) - 1) {
	my $bad = $c;
	substr $bad, $i, 1, substr($c, $i, 1) eq 'A' ? 'B' : 'A';
	$flipped++ if $alice->get("/tasks?sort=title&after=$bad")->status != 422 && $bad ne $c;
}
cmp_ok($flipped, '<=', 1, 'a cursor with one changed character is 422');
my $erin = $stack->user;
$erin->task("SECRETWORD $_", description => 'HIDDENWORD') for 1 .. 3;
for my $sort (qw(created updated title)) {
	my $answer = $erin->get("/tasks?sort=$sort&limit=1");
	my ($after) = next_of($answer) =~ /after=([^&]+)/;
	my $plain =
	      $after . ' '
	    . Token::unb64u($after) . ' '
	    . pack('H*', $after =~ /\A[0-9a-f]+\z/i ? $after : '');
	ok($plain !~ /SECRET|HIDDEN|WORD/i, "a cursor of sort=$sort holds no readable text");
}

# A cursor stays valid when its task and the tasks around it are deleted.
for my $sort (qw(created updated title)) {
	for my $order (qw(asc desc)) {
		my $dave = $stack->user;
		my %id = map { $_ => $dave->task("t$_")->{id} } 1 .. 9;
		my @all = map { $_->{id} } $dave->get("/tasks?sort=$sort&order=$order")->json->@*;
		my $link = next_of($dave->get("/tasks?sort=$sort&order=$order&limit=4"));
		$dave->delete("/tasks/$all[3]");
		is_deeply([map { $_->{id} } $dave->get($link)->json->@*], [@all[4 .. 7]],
			"$sort $order: a cursor whose task is deleted");
		$dave->delete("/tasks/$_") for @all[2, 4];
		is_deeply([map { $_->{id} } $dave->get($link)->json->@*], [@all[5 .. 8]],
			"$sort $order: a cursor whose neighbours are deleted too");
		$dave->delete("/tasks/$_") for @all[0, 1, 5 .. 8];
		my $end = $dave->get($link);
		answers($end, 200, "$sort $order: a cursor after which all tasks are deleted", []);
		is($end->header('Link'), undef, "$sort $order: an empty page has no Link");
	}
}

# Writes during a walk: no other task is lost or shown twice.
my $frank = $stack->user;
my @his = map { $frank->task("t$_")->{id} } 1 .. 12;
my $page = $frank->get('/tasks?limit=4');
$frank->task('newer');
$frank->patch("/tasks/$his[5]", { title => 'renamed' });
my ($rest) = walk($frank, next_of($page));
is_deeply([map { $_->{id} } $page->json->@*, @$rest], [reverse @his],
	'a walk by creation shows each task once, whatever is written');

# Link keeps the other parameters.
my $query = 'colour=light%20red&limit=2&status=pending&sort=updated&order=asc&x=%26&flag';
my $link = next_of($alice->get("/tasks?$query"));
like($link, qr{\A/api/@{[$alice->id]}/tasks\?}, 'Link is an absolute path');
my %has = map { $_ => 1 } split /&/, $link =~ s/\A[^?]*\?//r;
ok($has{$_}, "Link keeps $_")
    or diag($link)
    for 'limit=2', 'status=pending', 'sort=updated', 'order=asc', 'x=%26', 'flag';
ok($has{'colour=light%20red'} || $has{'colour=light+red'}, 'Link keeps an unknown parameter')
    or diag($link);
is(scalar(grep { /\Aafter=/ } keys %has), 1, 'Link has one cursor');
my $second = next_of($alice->get($link));
is(scalar(() = $second =~ /[?&]after=/g), 1, 'Link of the second page has one cursor');
my $encoded_id = $alice->id =~ s/./sprintf '%%%02X', ord $&/ger;
my $spelt = next_of($alice->get("/api/$encoded_id/tasks?limit=1"));
answers($alice->get($spelt), 200, 'Link of a list with a percent-encoded id');
unlike(next_of($alice->get('/tasks?limit=1&x=%3C%3E%22%0d%0aX:y')), qr/[<>"\r\n]/,
	'Link keeps what would break the header encoded');
$link = next_of($alice->get("/tasks?limit=1&x=<y>;\"z\"[]{}|^`\\\xc3\xa9"));
like($link, qr/&x=%3Cy%3E;%22z%22%5B%5D%7B%7D%7C%5E%60%5C%C3%A9&/,
	'Link encodes what would break the header');
answers($alice->get($link), 200, 'Link with encoded characters can be followed');
$link = next_of($alice->get('/tasks?limit=1&%zz=1&a=%&b=%4&c=%4z&d=%41'));
like($link, qr/\?limit=1&%25zz=1&a=%25&b=%254&c=%254z&d=%41&after=/,
	'Link encodes a % that begins no escape');
answers($alice->get($link), 200, 'Link with an encoded % can be followed');

# The longest target has 4,096 bytes. Where the next page's target would be longer,
# Link leaves out the unknown parameters.
sub padded ($length) {
	my $start = '/api/' . $alice->id . '/tasks?sort=title&%6cimit=1&x=';
	return $start . 'y' x ($length - length $start);
}
refuses($alice->get(padded(4097)), bad_request => 'a target of 4,097 bytes');
my $whole = $alice->get(padded(4096));
answers($whole, 200, 'a target of 4,096 bytes');
$link = next_of($whole);
like($link, qr{/tasks\?sort=title&%6cimit=1&after=[^&]+\z},
	'Link leaves out an unknown parameter that does not fit');
is_deeply(
	[map { $_->{id} } $alice->get($link)->json->@*],
	[map { $_->{id} } $alice->get(next_of($alice->get('/tasks?sort=title&limit=1')))->json->@*],
	'Link without the unknown parameter gives the right page');
$link = next_of($alice->get('/tasks?limit=1&x=' . '"' x 3900));
unlike($link, qr/x=/, 'Link leaves out an unknown parameter that escapes make too long');
answers($alice->get($link), 200, 'Link without that parameter can be followed');

$stack->done;
