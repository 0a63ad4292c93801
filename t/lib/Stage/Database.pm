package Stage::Database;

# The stage's own MariaDB, its schema and its accounts.

use v5.36;
use File::Path qw(remove_tree);
use File::Temp ();
use Stage::Process qw(run);

# A server that starts deletes each #sql-temptable-* in its tmpdir, those of other
# servers too: this one shares its tmpdir with nobody.
sub start ($folder, @options) {
	my ($data, $socket) = ($folder->file('data'), $folder->file('run/mariadb.sock'));
	my $tmp = '--tmpdir=' . $folder->file('tmp');
	if (!-d $data) {
		$folder->progress('Making a database');
		remove_tree("$data.new");
		$folder->give("$data.new");
		# --force: whether names can be looked up here does not matter.
		$folder->must('stage/mariadb-install.log', 'MariaDB could not be set up',
			['mariadb-install-db', '--no-defaults', "--datadir=$data.new", $tmp, '--force',
			'--skip-test-db', '--auth-root-authentication-method=normal'],
			as => $folder->services, session => 1);
		rename "$data.new", $data or die "$data: $!\n";
	}
	return if $folder->alive('mariadb');
	$folder->stop('mariadb');
	$folder->progress('Starting MariaDB');
	$folder->put('etc/admin.cnf', "[client]\nsocket=$socket\nuser=root\n");
	$folder->launch('mariadb', ['mariadbd', '--no-defaults', "--datadir=$data", $tmp,
		"--socket=$socket", '--pid-file=' . $folder->file('run/mariadb.own-pid'),
		qw(--skip-networking --skip-name-resolve), @options]);
	$folder->until_ready('mariadb', sub {
		run(['mariadb', admin($folder), '--execute=DO 0'], out => $folder->null) == 0;
	});
}

sub admin ($folder) { '--defaults-file=' . $folder->file('etc/admin.cnf') }

# The option file of the program's account.
sub options ($folder, $password, $database = 'todo') {
	return $folder->put("etc/$database.cnf", '[todo]' . "\nsocket="
		. $folder->file('run/mariadb.sock')
		. "\nuser=todo\npassword=$password\ndatabase=$database\n");
}

# The schema, and then more statements.
sub migrate ($folder, $top, $sql, $database = 'todo') {
	my $log = 'stage/migrate.log';
	$folder->must($log, 'the schema could not be set up',
		["$top/sql/migrate", admin($folder), "--database=$database"]);
	query($sql, admin($folder));
}

# Runs statements with these options of the client; returns rows of columns, and
# dies of what the server says against them.
sub query ($sql, @options) {
	my ($in, $out, $err) = map { File::Temp->new } 1 .. 3;
	print {$in} $sql;
	$in->flush;
	seek $in, 0, 0;
	my $status = run(['mariadb', @options, qw(--batch --skip-column-names --raw
		--default-character-set=utf8mb4)], in => $in, out => $out, err => $err);
	die Stage::Folder::slurp("$err") || "mariadb: $status\n" if $status;
	open my $rows, '<', "$out" or die "$out: $!\n";
	return map { chomp; [split /\t/, $_, -1] } <$rows>;
}

1;
