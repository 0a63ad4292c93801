package Stage::Database;

# The stage's own MariaDB, its schema and its accounts.

use v5.36;
use File::Path qw(remove_tree);
use File::Temp ();
use Stage::Folder qw(slurp);
use Stage::Process qw(run);

# A server that starts deletes each #sql-temptable-* in its tmpdir, those of other
# servers too: this one shares its tmpdir with nobody.
sub start ($folder, @options) {
	my ($data, $socket) = ($folder->file('data'), $folder->file('run/mariadb.sock'));
	my @server = ('--no-defaults', '--tmpdir=' . $folder->file('tmp'));
	if (!-d $data) {
		$folder->progress('Making a database');
		remove_tree("$data.new");
		mkdir "$data.new", 0700 or die "$data.new: $!\n";
		my $services = $folder->services;
		chown @$services, "$data.new" if $services;
		# --force: whether names can be looked up here does not matter.
		$folder->must('stage/mariadb-install.log', 'MariaDB could not be set up',
			['mariadb-install-db', @server, "--datadir=$data.new", qw(--force
			--skip-test-db --auth-root-authentication-method=normal)],
			as => $services, session => 1);
		rename "$data.new", $data or die "$data: $!\n";
	}
	return if $folder->alive('mariadb');
	$folder->stop('mariadb');
	$folder->progress('Starting MariaDB');
	$folder->put('etc/admin.cnf', "[client]\nsocket=$socket\nuser=root\n");
	$folder->launch('mariadb', ['mariadbd', @server, "--datadir=$data", "--socket=$socket",
		'--pid-file=' . $folder->file('run/mariadb.own-pid'),
		qw(--skip-networking --skip-name-resolve), @options]);
	$folder->until_ready('mariadb', sub {
		run(['mariadb', admin($folder), '--execute=DO 0'], out => '/dev/null') == 0;
	});
}

sub admin ($folder) { '--defaults-file=' . $folder->file('etc/admin.cnf') }

# The option file of the program's account.
sub options ($folder, $password, $database = 'todo') {
	$folder->put("etc/$database.cnf", join "\n", '[todo]',
		'socket=' . $folder->file('run/mariadb.sock'), 'user=todo', "password=$password",
		"database=$database\n");
}

# The schema, and then more statements.
sub migrate ($folder, $top, $sql, $database = 'todo') {
	$folder->must('stage/migrate.log', 'the schema could not be set up',
		["$top/sql/migrate", admin($folder), "--database=$database"]);
	query($sql, admin($folder));
}

# Runs statements with these options of the client; returns rows of columns, and
# dies of what the server says against them.
sub query ($sql, @options) {
	my ($in, $out, $err) = map { File::Temp->new } 1 .. 3;
	print {$in} $sql;
	seek $in, 0, 0;
	my $status = run(['mariadb', @options, qw(--batch --skip-column-names --raw
		--default-character-set=utf8mb4)], in => $in, out => $out, err => $err);
	die slurp("$err") || "mariadb: $status\n" if $status;
	open my $rows, '<', "$out" or die "$out: $!\n";
	return map { chomp; [split /\t/, $_, -1] } <$rows>;
}

1;
