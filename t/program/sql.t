# Goal: an operator can trust sql/. Migrations may be run again and refuse what has
# changed; the program's account can change rows and nothing else; each column has a
# comment; and erasing a tenant erases that tenant alone.

use v5.36;
use FindBin;
use lib "$FindBin::Bin/../lib";
use File::Path qw(remove_tree);
use File::Temp ();
use Test::More;
use Facts;
use Files;
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
my @databases = map { $_->[0] } $stack->sql_as_program('SHOW DATABASES');
is_deeply([grep { !/\A(?:information_schema|performance_schema|sys)\z/ } @databases], ['todo'],
    'the account sees one database');
my @grants = map { $_->[0] } $stack->sql_as_program('SHOW GRANTS');
my @rights = ('USAGE ON *.*', 'SELECT, INSERT, UPDATE, DELETE ON `todo`.`tasks`',
    'SELECT ON `todo`.`schema_migrations`');
my $right = join '|', map { quotemeta } @rights;
is_deeply([grep { !/\AGRANT (?:$right) TO/ } @grants], [],
    'the account has these rights and no other') or diag(explain(\@grants));
ok(!(grep { /WITH GRANT OPTION/ } @grants), 'the account cannot grant rights');

# The schema -------------------------------------------------------------------

# The first column of a query on information_schema.
sub first_of ($what, $table, $where) {
	return map { $_->[0] } $stack->sql("SELECT $what FROM information_schema.$table
	    WHERE table_schema = 'todo' AND $where");
}
is_deeply([first_of('column_name', columns => "column_comment = ''")], [],
    'each column has a comment');
sub collation ($column) {
	return (first_of('collation_name', columns => "table_name = 'tasks'
	    AND column_name = '$column'"))[0];
}
is(collation('user_id'), 'ascii_nopad_bin', 'user ids compare byte for byte');
is(collation('idempotency_key'), 'ascii_nopad_bin', 'idempotency keys compare byte for byte');
is(collation('title'), 'utf8mb4_uca1400_nopad_ai_ci', 'titles sort as a person would sort them');
is_deeply([first_of('column_name', statistics => "table_name = 'tasks'
    AND index_name = 'PRIMARY' ORDER BY seq_in_index")], ['user_id', 'id'],
    'the primary key of tasks is user_id, id');
is_deeply([first_of('DISTINCT index_name', statistics => "table_name = 'tasks'
    AND seq_in_index = 1 AND column_name <> 'user_id'")], [],
    'every index of tasks begins with user_id');

# The collation alone keeps similar user ids apart.
my $name = $stack->fresh_id . 'aZ';
my @near = ($name, lc $name, uc $name, "$name ", "$name.", "${name}x");
sub inserted ($user_id) {
	my $done = eval {
		$stack->sql("INSERT INTO todo.tasks
		    (user_id, id, title, completed, revision, created_at, updated_at)
		    VALUES ('$user_id', 0x01900000000070008000000000000001, 'x', 0, 1,
		    '2024-06-01', '2024-06-01')");
		1;
	};
	return $done // 0;
}
is(scalar(grep { inserted($_) } @near), 6, 'six tenants with similar ids have the same task id');
my @counts = map { ($stack->sql("SELECT COUNT(*) FROM todo.tasks WHERE user_id = '$_'"))[0][0] }
    @near;
is("@counts", '1 1 1 1 1 1', 'each of the six tenants has one task');
is(inserted($near[0]), 0, 'a tenant has a task id once');
my $two = "UPDATE todo.tasks SET completed = 2 WHERE user_id = '$near[0]'";
ok(!eval { $stack->sql($two); 1 }, 'completed is 0 or 1');
$stack->sql("DELETE FROM todo.tasks WHERE user_id = '$_'") for @near;

# Migrations ---------------------------------------------------------------------

my $database = 'm' . lc $stack->tag;
my $folder = File::Temp->newdir;
system('cp', '-R', "$root/sql", "$folder/sql") == 0 or die;
my $admin = $stack->file('etc/admin.cnf');
sub migrate (@option) {
	my $command = qq("$folder/sql/migrate" --defaults-file="$admin" --database=$database);
	my $out = qx{$command @option 2>&1};
	return ($? >> 8, $out);
}
sub tables () {
	my @names = map { $_->[0] } $stack->sql("SELECT table_name
	    FROM information_schema.tables WHERE table_schema = '$database'");
	return [sort @names];
}
# The definition of the table and the recorded migrations.
sub schema () {
	return join "\n", map { "@$_" } $stack->sql("SHOW CREATE TABLE $database.tasks"),
	    $stack->sql("SELECT * FROM $database.schema_migrations");
}
sub version () { ($stack->sql("SELECT MAX(version) FROM $database.schema_migrations"))[0][0] }

my ($exit, $out) = migrate('--status');
is($exit, 2, 'an empty database: --status exits 2') or diag($out);
($exit, $out) = migrate('--dry-run');
is($exit, 0, '--dry-run exits 0') or diag($out);
like($out, qr/CREATE TABLE/, '--dry-run shows the statements');
is_deeply(tables(), [], '--dry-run creates no table');
($exit, $out) = migrate();
is($exit, 0, 'migrate exits 0') or diag($out);
is_deeply(tables(), [qw(schema_migrations tasks)], 'migrate creates the tables');
is((migrate('--status'))[0], 0, 'a migrated database: --status exits 0');
my $before = schema();
($exit, $out) = migrate();
is($exit, 0, 'migrate exits 0 when run again') or diag($out);
is(schema(), $before, 'migrate changes nothing when run again');
is(join("\n", map { "@$_" } $stack->sql('SHOW CREATE TABLE todo.tasks')),
    join("\n", map { "@$_" } $stack->sql("SHOW CREATE TABLE $database.tasks")),
    'the stack has the same schema');

# A second migration, one that fails halfway, one that is changed after it was applied.
sub migration ($name, $text) { spew("$folder/sql/$name", $text) }
my $note = sub ($comment) {
	migration('0002-note.sql', "CREATE TABLE IF NOT EXISTS note (i INT COMMENT '$comment');\n");
};
$note->('x');
is((migrate('--status'))[0], 2, 'a new migration: --status exits 2');
($exit, $out) = migrate();
is($exit, 0, 'a new migration is applied') or diag($out);
is(version(), 2, 'a new migration is recorded');
my $first = "CREATE TABLE IF NOT EXISTS first (i INT);\n";
migration('0003-halfway.sql', "${first}CREATE TABLE nonsense;\n");
isnt((migrate())[0], 0, 'a migration that fails: migrate exits with an error');
is(version(), 2, 'a migration that fails is not recorded');
migration('0003-halfway.sql', "${first}CREATE TABLE IF NOT EXISTS second (i INT);\n");
is((migrate())[0], 0, 'the corrected migration is applied');
is_deeply(tables(), [qw(first note schema_migrations second tasks)],
    'the corrected migration is applied as a whole');
$note->('changed');
($exit, $out) = migrate();
is($exit, 1, 'a migration that was changed after it was applied is refused');
like($out, qr/0002-note/, 'the refusal names the changed migration');
$note->('x');
is((migrate())[0], 0, 'the unchanged migration is accepted');
migration('0003-again.sql', "SELECT 1;\n");
is((migrate())[0], 1, 'two migrations with one number are refused');
unlink "$folder/sql/0003-again.sql" or die $!;
rename "$folder/sql/0003-halfway.sql", "$folder/gone" or die $!;
is((migrate())[0], 1, 'an applied migration that is missing is refused');
rename "$folder/gone", "$folder/sql/0003-halfway.sql" or die $!;

# Many runs at once: each migration is applied once.
migration('0004-once.sql', "CREATE TABLE once (i INT);\nINSERT INTO once VALUES (1);\n");
my @exit = in_parallel($stack, 4, sub ($i) { (migrate())[0] });
is(($stack->sql("SELECT COUNT(*) FROM $database.once"))[0][0], 1,
	'four runs at once apply a migration once');
is((migrate())[0], 0, 'migrate exits 0 after four runs at once');
ok((grep { $_ == 0 } @exit), 'one of four runs at once exits 0');
$stack->sql("DROP DATABASE $database");
like((migrate('--database=x-y'))[1], qr/letters/, 'a database with a strange name is refused');

# Erasing one tenant ------------------------------------------------------------

my $carol = $stack->user(id => $alice->id . '.');
my $hers = $carol->task('not erased');
$alice->task("more $_") for 1 .. 3;
my $client = qq(mariadb --defaults-file="$admin" todo);
my $erase = qq("$root/sql/erase-tenant.sql");
my $init = "SET \@user_id = '@{[$alice->id]}'";
$out = qx{$client --init-command="$init" < $erase 2>&1};
is($?, 0, 'erase-tenant.sql succeeds') or diag($out);
like($out, qr/\b4\b.*\b0\b/s, 'erase-tenant.sql prints the number of tasks before and after');
answers($alice->get('/tasks'), 200, 'the erased tenant has no task', []);
answers($carol->get("/tasks/$hers->{id}"), 200, 'the tenant with a similar id has its task');
$out = qx{$client < $erase 2>&1};
isnt($?, 0, 'erase-tenant.sql without a user id fails');

$stack->done;
