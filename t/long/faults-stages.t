# Goal: stages that are started side by side do not disturb each other, nor any
# other MariaDB on the machine.

use v5.36;
use FindBin;
use lib "$FindBin::Bin/../lib";
use File::Path qw(remove_tree);
use File::Temp ();
use POSIX ();
use Test::More;
use Facts;
use Faults;
use Stack;

my $shared = Stack->new(inside => 1);
my ($stages, $at_once) = is_long() ? (40, 4) : (6, 3);
my $folder = File::Temp->newdir('todo-stages-XXXXXX', TMPDIR => 1);
chmod 0755, "$folder";

# A MariaDB of somebody else's, in the folder for temporary files that all share: a
# session of it holds a temporary table, and goes on using it.
my $there = "$folder/foreign";
mkdir $there;
my @as =
    $> == 0
    ? (qw(setpriv --clear-groups),
	map { "--$_=" . getpwuid((stat $shared->file('data'))[4]) } qw(reuid regid))
    : ();
chown((stat $shared->file('data'))[4, 5], $there) if $> == 0;
system( "@as mariadb-install-db --no-defaults --datadir=$there --tmpdir=$there --force --skip-test-db "
	    . "--auth-root-authentication-method=normal >$folder/foreign.log 2>&1") == 0
    or die "see $folder/foreign.log";
my $self = $$;
my $staging = Stack->root . '/t/staging';
my $foreign = fork // die $!;
if (!$foreign) {
	open STDOUT, '>>', "$folder/foreign.log" or POSIX::_exit(126);
	open STDERR, '>&', \*STDOUT;
	exec @as, qw(mariadbd --no-defaults --skip-networking --tmpdir=/tmp), "--datadir=$there",
	    "--socket=$there/s", "--pid-file=$there/pid" or POSIX::_exit(127);
}
my @client = ('mariadb', '--no-defaults', "--socket=$there/s",
	qw(--user=root --batch --skip-column-names --unbuffered));
poll { system("@client -e 'DO 0' >/dev/null 2>&1") == 0 } 'the other MariaDB answers';
pipe(my $rows, my $write) or die $!;
my $session = open(my $in, '|-') // die $!;
if (!$session) {
	open STDOUT, '>&', $write or POSIX::_exit(126);
	open STDERR, '>&', \*STDOUT;
	exec @client or POSIX::_exit(127);
}
close $write;
$in->autoflush(1);
sub rows ($sql) { print {$in} "$sql\n"; chomp(my $row = <$rows> // 'gone'); return $row }
is(
	rows(
		'CREATE DATABASE t; USE t; CREATE TEMPORARY TABLE t (i INT, b TEXT) ENGINE = Aria; INSERT INTO t VALUES (1, "x"); SELECT COUNT(*) FROM t;'
	),
	1,
	'the other MariaDB holds a temporary table');
my @files = grep { /#sql/ } glob '/tmp/*';
ok(@files > 0, 'whose files are in the folder that all share');

# The stages.
delete @ENV{qw(STAGING_URL STAGING_CA BETTER_AUTH_SECRET BETTER_AUTH_SECRETS BETTER_AUTH_URL
    JWT_ISSUER JWT_AUDIENCE)};
local @ENV{qw(STAGING_BUILD STAGING_ISSUER STAGING_WORKERS)} = ($shared->{build}, 0, 2);
my (%running, @failed);
my ($next, $answering) = (0, 0);
sub reap {
	my $pid = wait;
	return if !exists $running{$pid};
	my $number = delete $running{$pid};
	push @failed, $number if $?;
}
while ($next < $stages || keys %running) {
	if ($next < $stages && keys %running < $at_once) {
		my $number = ++$next;
		my $pid = fork // die $!;
		if (!$pid) {
			$ENV{STAGING_DIR} = "$folder/s$number";
			open STDOUT, '>', "$folder/s$number.out" or POSIX::_exit(126);
			open STDERR, '>&', \*STDOUT;
			my $status = system $staging, 'up', '--quiet';
			# Of those of one script all stay up: four at a time, of the forty.
			system $staging, 'down' if is_long() && $number <= $stages - $at_once;
			POSIX::_exit($status ? 1 : 0);
		}
		$running{$pid} = $number;
	} else {
		reap();
	}
}
is_deeply(\@failed, [], "$stages stages, $at_once at a time: none fails")
    or diag(
	map {
		my $f = "$folder/s$_.out";
		"stage $_: ", do { open my $h, '<', $f; <$h> }
	} @failed);
figure('stages side by side', "$stages started $at_once at a time: " . @failed . ' failed');

# Each is its own: tasks of one are not in another.
my @up = grep { -e "$folder/s$_/stage/pool.pid" } 1 .. $stages;
my %url = map { $_ => do { open my $f, '<', "$folder/s$_/etc/url"; <$f> } } @up;
is(scalar(keys %{ { reverse %url } }), scalar @up, 'each that is up has an address of its own');

is(rows('INSERT INTO t VALUES (2, "y"); SELECT COUNT(*) FROM t;'), 2,
	'the temporary table of the other MariaDB is as it was');
is_deeply([grep { !-e } @files], [], 'and so are its files');
close $in;

$shared->done;

# Whatever becomes of this script, nothing of it goes on running.
END {
	if ($$ == $self) {
		my $status = $?;
		for (grep { -d "$folder/s$_" } 1 .. $stages) {
			local $ENV{STAGING_DIR} = "$folder/s$_";
			system "$staging down >/dev/null 2>&1";
		}
		kill TERM => $foreign if $foreign;
		waitpid $foreign, 0 if $foreign;
		$? = $status;
	}
}
