# Goal: every statement uses an index that begins with the tenant, and a page reads a
# small multiple of its limit, however large the tenant and however deep the page.

use v5.36;
use FindBin;
use lib "$FindBin::Bin/../lib";
use JSON::PP ();
use Test::More;
use Facts;
use Stack;

my $stack = Stack->new(inside => 1);
my $statements = "$stack->{build}/t/unit/statements";
plan skip_all => "no $statements: make check builds it" if !-x $statements;
my @statement = map { chomp; [split /\t/] } qx{"$statements"};

# A tenant with 20,000 tasks: many equal titles and times, a quarter completed.
my $alice = $stack->user;
my $id = $alice->id;
my $N = 20_000;
$stack->sql(<<"END");
	INSERT INTO todo.tasks
		(user_id, id, title, description, completed, revision, created_at, updated_at)
	SELECT '$id',
		UNHEX(CONCAT(LPAD(HEX(1700000000000 + seq), 12, '0'), '7000',
			LPAD(HEX(0x8000000000000000 + seq), 16, '0'))),
		CONCAT('title ', seq DIV 50), NULL, seq MOD 4 = 0, 1,
		FROM_UNIXTIME(1700000000 + seq / 1000),
		FROM_UNIXTIME(1700000000 + (seq * 7919 MOD $N) DIV 10)
	FROM todo.seq_1_to_$N
END
$stack->sql("ANALYZE TABLE todo.tasks");

# A value for the "?" of each column: that of the task in the middle.
my ($middle) = $stack->sql("SELECT CONCAT('0x', HEX(id)), title, updated_at FROM todo.tasks
    WHERE user_id = '$id' ORDER BY id LIMIT 10000, 1");
my %value = (
	user_id => "'$id'", id => $middle->[0], title => "'$middle->[1]'",
	updated_at => "'$middle->[2]'", completed => '0', LIMIT => '101',
	description => 'NULL', revision => '2', created_at => "'2024-01-01'",
	idempotency_key => "'k'", idempotency_digest => "REPEAT('x', 32)"
);

sub filled ($sql) {
	if ($sql =~ /\AINSERT INTO tasks \(([^)]*)\) VALUES \(([^)]*)\)(.*)\z/s) {
		my $values = join ', ', map { $value{$_} } split /,\s*/, $1;
		return "INSERT INTO tasks ($1) VALUES ($values)$3";
	}
	my $operator = qr/\s*(?:=|<|>|<=|>=)\s*|\s+/;
	$sql =~ s/(\w+)($operator)\?/$1 . $2 . ($value{$1} \/\/ die "no value for $1: $sql")/ge;
	die "a ? is left: $sql" if $sql =~ /\?/;
	return $sql;
}

# The plan of a statement, decoded and as text.
sub plan_of ($sql) {
	my $json = join "\n", map { $_->[0] } $stack->sql("USE todo; EXPLAIN FORMAT=JSON $sql");
	return (JSON::PP->new->decode($json), $json);
}
sub tables ($node) {
	return map { tables($_) } @$node if ref $node eq 'ARRAY';
	return if ref $node ne 'HASH';
	return (exists $node->{table_name} && $node->{table_name} !~ /\A</ ? $node : (),
		map { tables($node->{$_}) } sort keys %$node);
}

my %list;
for (@statement) {
	my ($name, $sql) = @$_;
	next if $sql =~ /\AINSERT/;
	my ($plan, $text) = plan_of(filled($sql));
	my @table = tables($plan);
	ok(@table, "$name: a plan");
	# A table without an index that begins with user_id. (const: one row by its key.)
	my @bad = grep {
		       !defined $_->{key}
		    || $_->{access_type} !~ /\A(?:const|eq_ref|ref|range)\z/
		    || ($_->{used_key_parts} // [''])->[0] ne 'user_id'
	} @table;
	is_deeply([map { "$_->{access_type} " . ($_->{key} // 'no index') } @bad], [],
		"$name: each table is read by an index that begins with user_id");
	$list{$name} = [$sql, $text];
}

# The default list: no temporary table and no filesort.
my @default = grep {
	$statement[$_][1] =~
	    /\ASELECT [^()]* FROM tasks FORCE INDEX \(PRIMARY\)[^()]*ORDER BY id DESC LIMIT \?\z/
} 0 .. $#statement;
is(scalar @default, 2, 'the default list is one range, from the start and from a cursor');
for my $n (@default) {
	my ($name, $sql) = $statement[$n]->@*;
	unlike($list{$name}[1], qr/filesort|temporary/i,
		"$name: neither filesort nor temporary table");
}

# The number of rows that are really read, whatever the plan says.
sub rows_read ($sql) {
	my @rows = $stack->sql("USE todo; FLUSH STATUS; CREATE TEMPORARY TABLE todo.r AS
	    SELECT COUNT(*) FROM ($sql) AS t; SHOW SESSION STATUS LIKE 'Handler_read%'");
	my %n = map { $_->[0] => $_->[1] } @rows;
	delete @n{qw(Handler_read_rnd_next Handler_read_rnd Handler_read_rnd_deleted)};
	my $sum = 0;
	$sum += $_ for values %n;
	return $sum;
}
my $lists = 0;
for (@statement) {
	my ($name, $sql) = @$_;
	next if $sql !~ /LIMIT \?/;
	$lists++;
	my $read = rows_read(filled($sql));
	cmp_ok($read, '<=', 4 * 101 + 20,
		"$name: reads $read rows for a page of 100 in the middle of $N");
}
is($lists, 36, 'there are 36 lists: each status, sort and order, from the start and from a cursor');
# The measure shows a list without an index.
my $unindexed = "SELECT id FROM tasks IGNORE INDEX (by_title)
    WHERE user_id = '$id' AND completed = 0 AND description = 'x' LIMIT 101";
cmp_ok(rows_read($unindexed), '>', $N / 2, 'a list without an index reads the whole tenant');

# Through the API: all pages of the tenant.
my @all = map { $_->[0] }
    $stack->sql("SELECT LOWER(HEX(id)) FROM todo.tasks WHERE user_id = '$id' ORDER BY id DESC");
my ($target, @got) = '/tasks?limit=500';
while ($target) {
	my $answer = $alice->get($target);
	push @got, map { $_->{id} =~ tr/-//dr } $answer->json->@*;
	($target) = ($answer->header('Link') // '') =~ /<([^>]+)>/;
}
is(scalar @got, $N, "$N tasks in pages of 500");
ok(join(',', @got) eq join(',', @all), "$N tasks, each once and in order");
$stack->sql("DELETE FROM todo.tasks WHERE user_id = '$id'");

$stack->done;
