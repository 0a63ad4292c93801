# Goal: stages that are started side by side disturb neither each other nor any other
# MariaDB on the machine.

use v5.36;
use FindBin;
use lib "$FindBin::Bin/../lib";
use File::Path qw(remove_tree);
use File::Temp ();
use POSIX ();
use Test::More;
use Facts;
use Faults;
use Files;
use Stack;

my $shared = Stack->new(inside => 1);
my ($stages, $at_once) = is_long() ? (40, 4) : (6, 3);
my $folder = File::Temp->newdir('todo-stages-XXXXXX', TMPDIR => 1);
chmod 0755, "$folder";

# Another MariaDB, with the shared folder for temporary files. One of its sessions has a
# temporary table and goes on using it.
my $there = "$folder/foreign";
mkdir $there;
my ($uid, $gid) = (stat $shared->file('data'))[4, 5];
my $account = getpwuid $uid;
my @as = $> == 0 ? (qw(setpriv --clear-groups), "--reuid=$account", "--regid=$account") : ();
chown $uid, $gid, $there if $> == 0;
my $install = "@as mariadb-install-db --no-defaults --datadir=$there --tmpdir=$there --force"
    . ' --skip-test-db --auth-root-authentication-method=normal';
system("$install >$folder/foreign.log 2>&1") == 0 or die "see $folder/foreign.log";
my $self = $$;
my $staging = Stack->root . '/t/staging';
my $foreign = fork // die $!;
if (!$foreign) {
	open STDOUT, '>>', "$folder/foreign.log" or POSIX::_exit(126);
	open STDERR, '>&', \*STDOUT or POSIX::_exit(126);
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
	open STDERR, '>&', \*STDOUT or POSIX::_exit(126);
	exec @client or POSIX::_exit(127);
}
close $write;
$in->autoflush(1);
sub rows ($sql) { print {$in} "$sql\n"; chomp(my $row = <$rows> // 'gone'); return $row }
my $create = 'CREATE DATABASE t; USE t; CREATE TEMPORARY TABLE t (i INT, b TEXT) ENGINE = Aria;'
    . ' INSERT INTO t VALUES (1, "x"); SELECT COUNT(*) FROM t;';
is(rows($create), 1, 'the other MariaDB has a temporary table');
my @files = grep { /#sql/ } glob '/tmp/*';
ok(@files > 0, 'the files of the temporary table are in the shared folder');

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
			open STDERR, '>&', \*STDOUT or POSIX::_exit(126);
			my $status = system $staging, 'up', '--quiet';
			# In the long form all stages but the last four are stopped again.
			system $staging, 'down' if is_long() && $number <= $stages - $at_once;
			POSIX::_exit($status ? 1 : 0);
		}
		$running{$pid} = $number;
	} else {
		reap();
	}
}
is_deeply(\@failed, [], "$stages stages, $at_once at a time: each starts")
    or diag(map { ("stage $_: ", slurp("$folder/s$_.out")) } @failed);
figure('stages side by side', "$stages started $at_once at a time: " . @failed . ' failed');

# Each stage has an address of its own.
my @up = grep { -e "$folder/s$_/stage/pool.pid" } 1 .. $stages;
my %url = map { $_ => slurp("$folder/s$_/etc/url") } @up;
is(scalar(keys %{ { reverse %url } }), scalar @up, 'each running stage has an address of its own');

is(rows('INSERT INTO t VALUES (2, "y"); SELECT COUNT(*) FROM t;'), 2,
	'the other MariaDB still has its temporary table');
is_deeply([grep { !-e } @files], [], 'the files of the temporary table are still there');
close $in;

$shared->done;

# However this script ends, its processes end too.
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
