# Goal: however the database server and the option files of its clients are set, every
# session sets what it relies on: the program, the issuer, sql/migrate, and the SQL and
# the commands in the README.

use v5.36;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Fcntl qw(F_SETFD);
use File::Temp ();
use POSIX ();
use Test::More;
use BetterAuth;
use Facts;
use Files;
use Stack;

my $stack = Stack->new(private => 1, issuer => 1, inside => 1);
my $root = Stack->root;
my $frontend = $stack->frontend;
my $better_auth = BetterAuth->new($stack);

# --- the settings of the server ------------------------------------------------

# Each flag of sql_mode that this server knows. Some stand for several others.
my ($flags) = map { $_->[0] } $stack->sql("SELECT ENUM_VALUE_LIST
    FROM information_schema.SYSTEM_VARIABLES WHERE VARIABLE_NAME = 'SQL_MODE'");
my @flags = grep { length } split /,/, $flags;
ok(@flags > 25, scalar(@flags) . ' flags of sql_mode');

my %before = map { $_->[0] => $_->[1] } $stack->sql("SELECT VARIABLE_NAME, GLOBAL_VALUE
    FROM information_schema.SYSTEM_VARIABLES WHERE GLOBAL_VALUE IS NOT NULL");
my $all = join ',', grep { !/ORACLE|MSSQL|DB2|MAXDB|POSTGRES|MYSQL\d|ANSI\z/ } @flags;
my @settings = (
	(map { [sql_mode => "'$_'"] } @flags),
	[sql_mode => "'$all'"],
	[sql_mode => "''"],
	[autocommit => 0], [completion_type => "'CHAIN'"], [time_zone => "'-11:00'"],
	[collation_server => "'latin1_swedish_ci'"],
	[collation_connection => "'utf8mb4_turkish_ci'"],
	[tx_read_only => 1], [tx_isolation => "'READ-UNCOMMITTED'"], [sql_select_limit => 1],
	[foreign_key_checks => 0], [unique_checks => 0], [sql_safe_updates => 1],
	[default_storage_engine => "'MyISAM'"], [explicit_defaults_for_timestamp => 0],
	[max_sort_length => 64], [max_statement_time => 0.0001], [check_constraint_checks => 0],
	[init_connect => q{'SET autocommit = 0, sql_mode = "NO_BACKSLASH_ESCAPES",
	    sql_select_limit = 1'}],
	[init_connect => "'START TRANSACTION'"],
);

# An administrator without SUPER, so that init_connect is run for him.
my $admin = $stack->file('etc/operator.cnf');
$stack->sql("CREATE USER operator\@localhost IDENTIFIED BY 'operator';
    GRANT ALL ON *.* TO operator\@localhost WITH GRANT OPTION;
    REVOKE SUPER, CONNECTION ADMIN ON *.* FROM operator\@localhost");
spew($admin, $stack->read('etc/admin.cnf') =~ s/^user=.*/user=operator\npassword=operator/mr);

# Option files of the administrator: name => path.
my %files = map { $_->[0] => $stack->file("etc/$_->[0].cnf") } (my @files = (
	['init-command', 'init-command = SET autocommit = 0'],
	['sql-mode', "init-command = SET sql_mode = 'NO_BACKSLASH_ESCAPES,ANSI_QUOTES,ORACLE'"],
	['safe-updates', "safe-updates\nselect-limit = 1"],
	['shapes', "vertical\nxml\ndelimiter = //\nforce\ncolumn-names"],
	['verbose', "verbose\nauto-vertical-output\ncolumn-type-info\ntee = /dev/null"],
));
spew($files{ $_->[0] }, $stack->read('etc/admin.cnf') . "[mariadb-client]\n$_->[1]\n")
    for @files;

# --- what is tried under each setting ------------------------------------------

# An endpoint of Better Auth, with one cookie jar.
my %jar;
sub auth ($method, $path, $body = undef) {
	my $cookie = join '; ', map { "$_=$jar{$_}" } sort keys %jar;
	my $answer = $better_auth->ask($method, $path, $cookie || undef, $body);
	for ($answer->all('Set-Cookie')) { $jar{$1} = $2 if /\A([^=]+)=([^;]*)/ }
	return $answer;
}
# Signs somebody new up.
sub sign_up ($name, $email) {
	%jar = ();
	my $password = 'correct horse battery staple';
	return auth(POST => '/sign-up/email',
	    { name => $name, email => "$email\@example.com", password => $password });
}

# Ends all connections, so that the next ones get the settings of the server.
sub end_connections {
	my @ids = map { $_->[0] } $stack->sql("SET SESSION max_statement_time = 0,
	    sql_select_limit = DEFAULT;
	    SELECT ID FROM information_schema.PROCESSLIST WHERE USER IN ('todo', 'better_auth')");
	eval { $stack->sql("KILL CONNECTION $_") } for @ids;
	my $ids = join ',', 0, @ids;
	poll {
		value("SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE ID IN ($ids)") eq 0
	} 'the connections have ended';
}

# The first value that `sql` gives, in a session with all settings it needs.
sub value ($sql) {
	my ($row) = $stack->sql("SET SESSION sql_mode = '', sql_select_limit = DEFAULT,
	    max_statement_time = 0, autocommit = 1, tx_isolation = 'REPEATABLE-READ'; $sql");
	return $row->[0];
}

# The definition of a table.
sub table ($name) {
	return join "\n", map { "@$_" } $stack->sql("SET SESSION sql_mode = '',
	    sql_select_limit = DEFAULT, max_statement_time = 0; SHOW CREATE TABLE $name");
}

my $count = 0;
my $victim = sign_up('Victim', 'victim')->json->{user}{id};

# The issuer: no name changes the row of another user, and nothing is lost or cut.
sub issuer_holds {
	my $id = ++$count;
	my $hex = unpack 'H*', $victim;
	my $name = "', 'x\@example.com', 0, NULL, NOW(), NOW()), (0x$hex, '";
	my $rename = "\\', name=0x6368616e676564 where id=0x$hex -- ";
	for my $evil ($name, $rename, "'\\''\"`\x{1F600}") {
		my $up = sign_up($evil, "n$id-" . length $evil);
		return 'sign-up: ' . $up->dump if $up->status != 200;
		return 'the name is stored as ' . $up->json->{user}{name}
		    if $up->json->{user}{name} ne $evil;
		my $read = auth(GET => '/get-session')->json;
		return 'the name is read as ' . ($read->{user}{name} // '')
		    if ($read->{user}{name} // '') ne $evil;
	}
	my $called = value("SELECT name FROM better_auth.user WHERE id = '$victim'");
	return "the victim is called $called" if $called ne 'Victim';
	my $session = auth(GET => '/get-session')->json;
	my $seconds = value("SELECT TIMESTAMPDIFF(SECOND, UTC_TIMESTAMP(),
	    CONVERT_TZ(expiresAt, \@\@session.time_zone, '+00:00'))
	    FROM better_auth.session WHERE token = '$session->{session}{token}'");
	return "the session lasts $seconds s" if abs($seconds - 7 * 86400) > 60;
	my $token = auth(GET => '/token');
	return 'token: ' . $token->status if $token->status != 200;
	return 'sign-out' if auth(POST => '/sign-out', {})->status != 200;
	return 'a session is left' if value("SELECT COUNT(*) FROM better_auth.session
	    WHERE token = '$session->{session}{token}'");
	return 'ok';
}

# The program: what it acknowledged is there for every session.
sub program_holds {
	my $user = $stack->user;
	my $id = $user->id;
	my @task = map { $user->task("Aä'\\\"$_") } 1 .. 2;
	# Another session sees the tasks before the program does anything else.
	my $made = value("SELECT COUNT(*) FROM todo.tasks WHERE user_id = '$id'");
	return "made: $made" if $made != 2;
	my $listed = $user->get('/tasks')->json->@*;
	return "listed: $listed" if $listed != 2;
	$user->patch("/tasks/$task[0]{id}/complete", undef)->status == 200 or return 'complete';
	$user->patch("/tasks/$task[0]{id}", { title => "b'\\" })->status == 200 or return 'change';
	$user->delete("/tasks/$task[1]{id}")->status == 204 or return 'delete';
	my $kept = value("SELECT CONCAT(COUNT(*), ' ', MAX(title), ' ',
	    MAX(completed), ' ', MAX(revision)) FROM todo.tasks WHERE user_id = '$id'");
	return "kept: $kept" if $kept ne "1 b'\\ 1 3";
	my $reader = $stack->user;
	$reader->task('x' x 199 . $_) for qw(b a c);
	my $order = join '',
	    map { substr $_->{title}, -1 } $reader->get('/tasks?sort=title')->json->@*;
	return "titles are sorted $order" if $order ne 'abc';
	return 'ok';
}

sub shell ($command) { my $out = qx{$command 2>&1}; return ($out, $? >> 8) }

# sql/migrate into a database of its own, twice.
sub migrate_holds ($file) {
	my $database = 'm' . ++$count;
	my $migrate = "'$root/sql/migrate' --defaults-file='$file' --database=$database";
	my ($out, $status) = shell($migrate);
	return "migrate: $status $out" if $status != 0 || $out !~ /up to date, 1 applied now/;
	my $recorded = value("SELECT COUNT(*) FROM $database.schema_migrations
	    WHERE ABS(TIMESTAMPDIFF(SECOND, applied_at, UTC_TIMESTAMP())) < 60");
	return "recorded: $recorded" if $recorded != 1;
	($out, $status) = shell($migrate);
	return "again: $status $out" if $status != 0 || $out !~ /nothing to do/;
	($out, $status) = shell("$migrate --status");
	return "status: $status $out" if $status != 0 || $out !~ /\Aapplied  0001-tasks\n\z/;
	my $like = table("$database.tasks");
	return "the table is $like" if $like ne table('todo.tasks');
	$stack->sql("SET SESSION tx_read_only = 0, max_statement_time = 0;
	    DROP DATABASE $database");
	return 'ok';
}

# The lines of code below a heading of the README.
sub readme ($heading) {
	my ($section) = slurp("$root/README.md") =~ /^### \Q$heading\E\n(.*?)^###? /ms
	    or die "no heading $heading in the README";
	return join '', map { "$_\n" } map { /\A    (.*)/ ? $1 : () } split /\n/, $section;
}
my $erase = readme("Erasing one tenant's data");
ok($erase =~ /erase-account/ && $erase =~ /erase-tenant/,
    'the README erases an account and its tasks');
sub erase_holds ($file) {
	my $id = sign_up('Gone', 'gone' . ++$count)->json->{user}{id};
	my $user = $stack->user(id => $id);
	$user->task("task $_") for 1 .. 3;
	my $near = $stack->user(id => $id =~ tr/a-zA-Z/A-Za-z/r);
	$near->task('of somebody else');
	my $script = $erase;
	$script =~ s/^ID=.*/ID=$id/m or return 'no line with ID=';
	$script =~ s{/usr/local/share/todo-fcgi/sql}{$root/sql}g;
	$script =~ s{\bmariadb (?=\w)}{mariadb --defaults-file='$file' }g;
	spew($stack->file('erase.sh'), $script);
	my ($out, $status) = shell('sh -e ' . $stack->file('erase.sh'));
	return "erase: $status $out" if $status != 0;
	return "printed: $out" if $out !~ /\b1\b.*\b0\b.*\b3\b.*\b0\b/s;
	my $left = value(
		"SELECT CONCAT((SELECT COUNT(*) FROM todo.tasks WHERE user_id = '$id'), ' ',
	    (SELECT COUNT(*) FROM better_auth.user WHERE id = '$id'), ' ',
	    (SELECT COUNT(*) FROM better_auth.session WHERE userId = '$id'), ' ',
	    (SELECT COUNT(*) FROM better_auth.account WHERE userId = '$id'), ' ',
	    (SELECT COUNT(*) FROM todo.tasks WHERE user_id = '" . $near->id . "'))");
	return "left: $left" if $left ne '0 0 0 0 1';
	return 'ok';
}

# Better Auth's tables, created in a new database, are like the existing ones; and a row
# that the first statement of a connection writes is kept.
sub issuer_migrates {
	my $database = 'b' . ++$count;
	my ($create) = readme('6. Better Auth') =~ /^(mariadb -e "[^"]*")$/m
	    or return 'no line in the README creates the database';
	$create =~ s/\bbetter_auth\b/$database/g;
	$create =~ s/todo-issuer/i$database/g;
	$create =~ s/\bmariadb /mariadb --defaults-file='$admin' /;
	my ($out, $status) = shell($create);
	return "create: $status $out" if $status != 0;
	$stack->sql("SET SESSION tx_read_only = 0, sql_mode = '';
	    GRANT ALL ON $database.* TO better_auth\@localhost");
	my ($uri) = $stack->read('etc/settings.env') =~ /^ISSUER_DATABASE=['"]?([^'"\n]*)/m;
	local $ENV{URI} = $uri =~ s{/better_auth\?}{/$database?}r;
	($out, $status) = shell(qq{cd '$frontend' && ./node --input-type=module -e '
	    import { createAuth, migrate } from "./issuer/auth.js";
	    import { createDatabase } from "./issuer/database.js";
	    const pool = createDatabase(process.env.URI);
	    await migrate(createAuth({ secret: "x".repeat(32), baseURL: "https://todo.example",
	        issuer: "https://todo.example", audience: "x", lifetime: 60, trustedOrigins: [],
	        rateLimit: false }, pool), pool);
	    await pool.end();
	    const fresh = createDatabase(process.env.URI);
	    await fresh.query("INSERT INTO verification (id, identifier, value, expiresAt)"
	        + " VALUES (1, 2, 3, NOW())");
	    await fresh.end();'});
	return "migrate() of the issuer: $status $out" if $status != 0;
	my $kept = value("SELECT COUNT(*) FROM $database.verification");
	return "rows kept: $kept" if $kept != 1;
	for (qw(user session account verification)) {
		my $made = table("$database.$_");
		return "$_: $made" if $made ne table("better_auth.$_");
	}
	$stack->sql("SET SESSION tx_read_only = 0, max_statement_time = 0; DROP DATABASE $database;
	    DROP USER 'i$database'\@localhost");
	return 'ok';
}

# sql/grants.sql can be run again.
sub grants_hold {
	my ($out, $status) = shell("mariadb --defaults-file='$admin' < '$root/sql/grants.sql'");
	return $status == 0 ? 'ok' : "grants.sql: $status $out";
}

# The README's lines for a backup: they reach mariadb-dump, or end before it.
sub backup {
	my $lines = readme('Backup');
	$lines =~ s/mariadb-dump .*/echo dumped/ or return 'no mariadb-dump';
	$lines =~ s/\bmariadb (?=-)/mariadb --defaults-file='$admin' /;
	my ($out, $status) = shell($lines =~ s/'/'\\''/gr =~ s/(.*)/sh -c '$1'/sr);
	return $status == 0 ? $out : "refused $out";
}

# --- each setting -------------------------------------------------------------

for (@settings) {
	my ($name, $value) = @$_;
	my %tried = eval {
		$stack->sql("SET GLOBAL $name = $value");
		end_connections();
		(program => program_holds(), issuer => issuer_holds(),
		    migrate => migrate_holds($admin), erase => erase_holds($admin),
		    grants => grants_hold(), backup => backup(),
		    # Few flags of sql_mode change how tables are created.
		    tables => $name eq 'sql_mode' && $value ne "'$all'" ? 'ok' : issuer_migrates());
	};
	$tried{died} = $@ if $@;
	is_deeply(\%tried, { (map { $_ => 'ok' } qw(program issuer migrate erase grants tables)),
	    backup => "$name $value" =~ /sql_select_limit/ ? 'refused ' : "dumped\n" },
	    substr "everything works with $name = $value", 0, 90) or diag(explain(\%tried));
	my $old = $before{ uc $name } // '';
	$stack->sql("SET SESSION sql_mode = '', tx_read_only = 0, max_statement_time = 0;
	    SET GLOBAL $name = "
	    . ($old =~ /\A[\d.]+\z/ ? $old : "'$old'"));
}
for (@files) {
	my ($name) = @$_;
	is(migrate_holds($files{$name}), 'ok', "sql/migrate works with an option file: $name");
	is(erase_holds($files{$name}), 'ok',
		"the lines of the README work with an option file: $name");
}

# With one-database the client skips the whole script and reports no error.
{
	my $database = 'm' . ++$count;
	my $file = $stack->file('etc/one-database.cnf');
	spew($file, $stack->read('etc/admin.cnf') . "[mariadb-client]\none-database\n");
	my ($out, $status) =
	    shell("'$root/sql/migrate' --defaults-file='$file' --database=$database");
	is($status, 1, 'sql/migrate fails where an option file has one-database');
	like($out, qr/option files; nothing was changed/, 'one-database: sql/migrate says why');
	unlike($out, qr/applied now/, 'one-database: sql/migrate does not claim success');
}

# --- sql/migrate whose output or terminal goes away ------------------------------

for (['closed', '>&- 2>&-'], ['full', '>/dev/full 2>&1'],
    ['a pipe whose reader is gone', '2>&1 | true'], ['a pipe that nobody reads', '>&9 2>&9']) {
	my ($what, $where) = @$_;
	my $database = 'm' . ++$count;
	# The pipe at descriptor 9 is full before anything is written.
	pipe(my $read, my $write) or die $!;
	$write->blocking(0);
	1 while defined syswrite $write, 'x' x 4096;
	1 while defined syswrite $write, 'x';
	$write->blocking(1);
	local $ENV{MIGRATE} = "'$root/sql/migrate' --defaults-file='$admin' --database=$database";
	my $fd = fileno $write;
	fcntl $write, F_SETFD, 0 or die $!;
	shell("bash -c 'exec 9>&$fd; eval \"\$MIGRATE $where\"; exit \${PIPESTATUS[0]}'");
	is($? >> 8, 0, "sql/migrate works with its output $what");
	is(value("SELECT COUNT(*) FROM $database.schema_migrations"), 1,
	    "the migration is recorded with the output $what");
}

# A terminal that goes away sends HUP to all its processes.
{
	my $database = 'm' . ++$count;
	my $folder = File::Temp->newdir;
	system('cp', '-R', "$root/sql", "$folder/sql") == 0 or die;
	spew("$folder/sql/0002-slow.sql", "SELECT SLEEP(1), 'slow $database';\n");
	my $pid = fork // die $!;
	if (!$pid) {
		setpgrp;
		open STDOUT, '>', '/dev/null' or POSIX::_exit(126);
		{ exec "$folder/sql/migrate", "--defaults-file=$admin", "--database=$database" }
		POSIX::_exit(127);
	}
	poll { value("SELECT COUNT(*) FROM information_schema.PROCESSLIST
	    WHERE INFO LIKE 'SELECT SLEEP(1), \\'slow $database%'") } 'the migration has begun';
	kill HUP => -$pid;
	waitpid $pid, 0;
	is($?, 0, 'sql/migrate goes on when its terminal goes away');
	is(value("SELECT COUNT(*) FROM $database.schema_migrations"), 2,
	    'the migration is recorded when the terminal goes away');
}

$stack->expect_log(qr/event=database.*(?:Lost connection|gone away|errno=(?:2006|2013|1927|1053))/,
	qr/event=better_auth/);
$stack->done;
