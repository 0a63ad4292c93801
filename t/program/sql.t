# Goal: sql/ is what an operator can trust: migrations that may be run again and
# refuse what is not as it was, an account that can touch rows and nothing else,
# a comment on each column, and the erasing of one tenant alone.

use v5.36;
use FindBin;
use lib "$FindBin::Bin/../lib";
use File::Path qw(remove_tree);
use File::Temp ();
use Test::More;
use Facts;
use Stack;

my $stack = Stack->new(inside => 1);
my $root = Stack->root;
my ($alice, $bob) = ($stack->user, $stack->user);
my $task = $alice->task('mine');

# The account of the program -------------------------------------------------

sub may_not ($statement) {
	my $done = eval { $stack->sql_as_program($statement); 1 };
	ok(!$done && $@ =~ /denied|doesn't exist in engine|ERROR 1(?:044|045|142|143|227|370|410)/,
		"may not: $statement")
	    or diag($done ? 'it did' : $@);
}
sub may ($statement) {
	my $done = eval { $stack->sql_as_program($statement); 1 };
	ok($done, "may: $statement") or diag($@);
}

my $nobody = $stack->fresh_id;
may("SELECT COUNT(*) FROM tasks WHERE user_id = '$nobody'");
may("DELETE FROM tasks WHERE user_id = '$nobody'");
may("UPDATE tasks SET title = 'x' WHERE user_id = '$nobody'");
may('SELECT MAX(version) FROM schema_migrations');
may_not($_)
    for 'CREATE TABLE todo.x (i INT)', 'CREATE TEMPORARY TABLE todo.x (i INT)',
    'DROP TABLE todo.tasks', 'TRUNCATE TABLE todo.tasks', 'ALTER TABLE todo.tasks ADD x INT',
    'CREATE INDEX i ON todo.tasks (title)', 'RENAME TABLE todo.tasks TO todo.x',
    'CREATE VIEW todo.v AS SELECT 1', 'CREATE PROCEDURE todo.p() SELECT 1',
    'CREATE TRIGGER todo.t BEFORE INSERT ON todo.tasks FOR EACH ROW SET NEW.title = 1',
    'LOCK TABLES todo.tasks WRITE', 'CREATE DATABASE x', 'DROP DATABASE todo',
    'DELETE FROM todo.schema_migrations WHERE version < 0',
    'INSERT INTO todo.schema_migrations VALUES (99, "x", "x", NOW())',
    'UPDATE todo.schema_migrations SET version = version', 'SELECT * FROM mysql.user',
    'SELECT * FROM mysql.global_priv', 'USE mysql', 'USE better_auth',
    'SELECT * FROM better_auth.user', 'SELECT * FROM better_auth.session',
    'DELETE FROM better_auth.user', 'CREATE USER x',
    "GRANT SELECT ON todo.* TO 'todo'\@'localhost'",
    "SET PASSWORD FOR 'root'\@'localhost' = PASSWORD('x')",
    'SELECT LOAD_FILE("/etc/passwd") FROM mysql.db',
    "SELECT 1 INTO OUTFILE '/tmp/todo-out'", 'SHUTDOWN', 'SET GLOBAL read_only = 1',
    'FLUSH TABLES', 'SHOW GRANTS FOR root@localhost';
is_deeply(
	[
		sort grep { !/\A(?:information_schema|performance_schema|sys)\z/ }
		map { $_->[0] } $stack->sql_as_program('SHOW DATABASES')
	],
	['todo'],
	'sees one database');
my @grants = map { $_->[0] } $stack->sql_as_program('SHOW GRANTS');
is_deeply(
	[
		grep {
			!/\AGRANT (?:USAGE ON \*\.\*|SELECT, INSERT, UPDATE, DELETE ON `todo`\.`tasks`|SELECT ON `todo`\.`schema_migrations`) TO/
		} @grants
	],
	[],
	'has these grants and no other'
) or diag(explain(\@grants));
ok(!(grep { /WITH GRANT OPTION/ } @grants), 'and hands none on');

# The schema -------------------------------------------------------------------

my @columns = $stack->sql(
	"SELECT column_name, column_type, COALESCE(collation_name, '-'), is_nullable, LENGTH(column_comment) > 0 FROM information_schema.columns WHERE table_schema = 'todo' AND table_name = 'tasks' ORDER BY column_name"
);
is_deeply([map { $_->[0] } grep { !$_->[4] } @columns], [], 'each column of tasks has a comment');
is_deeply(
	[
		map { $_->[0] } grep { !$_->[4] } $stack->sql(
			"SELECT column_name, 1, 1, 1, LENGTH(column_comment) > 0 FROM information_schema.columns WHERE table_schema = 'todo'"
		)
	],
	[],
	'and so has every other');
my %column = map { $_->[0] => $_ } @columns;
is($column{user_id}[2], 'ascii_nopad_bin', 'user ids compare byte for byte');
is($column{idempotency_key}[2], 'ascii_nopad_bin', 'so do idempotency keys');
is($column{title}[2], 'utf8mb4_uca1400_nopad_ai_ci', 'titles sort as a person would');
is(
	join(
		',',
		map { $_->[0] } $stack->sql(
			"SELECT column_name FROM information_schema.statistics WHERE table_schema = 'todo' AND table_name = 'tasks' AND index_name = 'PRIMARY' ORDER BY seq_in_index"
		)
	),
	'user_id,id',
	'tasks are clustered by tenant');
is_deeply(
	[
		map { $_->[0] } $stack->sql(
			"SELECT DISTINCT index_name FROM information_schema.statistics WHERE table_schema = 'todo' AND table_name = 'tasks' AND seq_in_index = 1 AND column_name <> 'user_id'"
		)
	],
	[],
	'every index is led by the tenant');

# The collation alone keeps these apart, whatever the program does.
my $name = $stack->fresh_id . 'aZ';
my @near = ($name, lc $name, uc $name, "$name ", "$name.", "${name}x");
my $made = 0;
for my $n (@near) {
	$made += eval {
		$stack->sql(
			"INSERT INTO todo.tasks (user_id, id, title, completed, revision, created_at, updated_at) VALUES ('$n', 0x01900000000070008000000000000001, 'x', 0, 1, '2024-06-01', '2024-06-01')"
		);
		1
	} // 0;
}
is($made, 6, 'the same id can be of six tenants who nearly agree');
is(
	join(
		',',
		map { ($stack->sql("SELECT COUNT(*) FROM todo.tasks WHERE user_id = '$_'"))[0][0] }
		    @near
	),
	'1,1,1,1,1,1',
	'and each finds its own alone');
my $kept = eval {
	$stack->sql(
		"INSERT INTO todo.tasks (user_id, id, title, completed, revision, created_at, updated_at) VALUES ('$near[0]', 0x01900000000070008000000000000001, 'x', 0, 1, '2024-06-01', '2024-06-01')"
	);
	1
};
ok(!$kept, 'an id is its tenant\'s once');
ok(
	!eval {
		$stack->sql("UPDATE todo.tasks SET completed = 2 WHERE user_id = '$near[0]'");
		1
	},
	'completed is 0 or 1');
$stack->sql("DELETE FROM todo.tasks WHERE user_id = '$_'") for @near;

# Migrations ---------------------------------------------------------------------

my $database = 'm' . lc $stack->tag;
my $folder = File::Temp->newdir;
system('cp', '-R', "$root/sql", "$folder/sql") == 0 or die;
sub migrate (@option) {
	my $out =
	    qx{"$folder/sql/migrate" --defaults-file="@{[$stack->file('etc/admin.cnf')]}" --database=$database @option 2>&1};
	return ($? >> 8, $out);
}
sub tables { [
	sort map { $_->[0] } $stack->sql(
		"SELECT table_name FROM information_schema.tables WHERE table_schema = '$database'")
] }

my ($exit, $out) = migrate('--status');
is($exit, 2, 'before: some are pending') or diag($out);
($exit, $out) = migrate('--dry-run');
is($exit, 0, 'a dry run') or diag($out);
like($out, qr/CREATE TABLE/, 'shows what would be done');
is_deeply(tables(), [], 'and does none of it');
($exit, $out) = migrate();
is($exit, 0, 'applied') or diag($out);
is_deeply(tables(), [qw(schema_migrations tasks)], 'there they are');
is((migrate('--status'))[0], 0, 'none is pending');
my $before = join "\n", map { "@$_" } $stack->sql("SHOW CREATE TABLE $database.tasks"),
    $stack->sql("SELECT * FROM $database.schema_migrations");
($exit, $out) = migrate();
is($exit, 0, 'run again it is well') or diag($out);
is(
	join(
		"\n", map { "@$_" } $stack->sql("SHOW CREATE TABLE $database.tasks"),
		$stack->sql("SELECT * FROM $database.schema_migrations")
	),
	$before,
	'and changes nothing');
is(join("\n", map { "@$_" } $stack->sql('SHOW CREATE TABLE todo.tasks')),
	join("\n", map { "@$_" } $stack->sql("SHOW CREATE TABLE $database.tasks")),
	'which is the schema of the stack');

# A second one; one that fails halfway; one that was changed after.
sub write_file ($name, $text) { open my $f, '>', "$folder/sql/$name" or die $!; print {$f} $text }
write_file('0002-note.sql', "CREATE TABLE IF NOT EXISTS note (i INT COMMENT 'x');\n");
is((migrate('--status'))[0], 2, 'a new one is pending');
($exit, $out) = migrate();
is($exit, 0, 'and applied') or diag($out);
is(($stack->sql("SELECT MAX(version) FROM $database.schema_migrations"))[0][0], 2, 'and recorded');
write_file('0003-halfway.sql',
	"CREATE TABLE IF NOT EXISTS first (i INT);\nCREATE TABLE nonsense;\n");
isnt((migrate())[0], 0, 'one that fails is said to');
is(($stack->sql("SELECT MAX(version) FROM $database.schema_migrations"))[0][0], 2,
	'and not recorded');
write_file('0003-halfway.sql',
	"CREATE TABLE IF NOT EXISTS first (i INT);\nCREATE TABLE IF NOT EXISTS second (i INT);\n");
is((migrate())[0], 0, 'mended, it goes through');
is_deeply(tables(), [qw(first note schema_migrations second tasks)], 'whole');
write_file('0002-note.sql', "CREATE TABLE IF NOT EXISTS note (i INT COMMENT 'changed');\n");
($exit, $out) = migrate();
is($exit, 1, 'one that was changed after it was applied is refused');
like($out, qr/0002-note/, 'by name');
write_file('0002-note.sql', "CREATE TABLE IF NOT EXISTS note (i INT COMMENT 'x');\n");
is((migrate())[0], 0, 'and taken again as it was');
write_file('0003-again.sql', "SELECT 1;\n");
is((migrate())[0], 1, 'two of one number are refused');
unlink "$folder/sql/0003-again.sql" or die $!;
rename "$folder/sql/0003-halfway.sql", "$folder/gone" or die $!;
is((migrate())[0], 1, 'one that was applied but is missing is refused');
rename "$folder/gone", "$folder/sql/0003-halfway.sql" or die $!;

# Many at once: each is applied once.
write_file('0004-once.sql', "CREATE TABLE once (i INT);\nINSERT INTO once VALUES (1);\n");
my @exit = in_parallel($stack, 4, sub ($i) { (migrate())[0] });
is(($stack->sql("SELECT COUNT(*) FROM $database.once"))[0][0], 1, 'four at once apply it once');
is((migrate())[0], 0, 'and it is well after');
ok((grep { $_ == 0 } @exit), 'one of them said so');
$stack->sql("DROP DATABASE $database");
like((migrate('--database=x-y'))[1], qr/letters/, 'a database with a strange name is refused');

# Erasing one tenant ------------------------------------------------------------

my $carol = $stack->user(id => $alice->id . '.');
my $hers = $carol->task('not erased');
$alice->task("more $_") for 1 .. 3;
$out =
    qx{mariadb --defaults-file="@{[$stack->file('etc/admin.cnf')]}" todo --init-command="SET \@user_id = '@{[$alice->id]}'" < "$root/sql/erase-tenant.sql" 2>&1};
is($?, 0, 'erase-tenant.sql') or diag($out);
like($out, qr/\b4\b.*\b0\b/s, 'says how many there were, and that none is left');
answers($alice->get('/tasks'), 200, 'she has none', []);
answers($carol->get("/tasks/$hers->{id}"), 200, 'the tenant next to her has');
$out =
    qx{mariadb --defaults-file="@{[$stack->file('etc/admin.cnf')]}" todo < "$root/sql/erase-tenant.sql" 2>&1};
isnt($?, 0, 'without a name it erases nothing');

$stack->done;
