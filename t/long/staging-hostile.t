# Goal: whatever a service of the stage leaves in the folders that it can write, t/staging
# run by root neither changes nor shows a file of root, and ends no process that it did not
# start.

use v5.36;
use FindBin;
use lib "$FindBin::Bin/../lib";
use File::Temp ();
use Test::More;
use Facts;
use Files;
use Stack;

plan skip_all => 'the services have another user only under root' if $> != 0;
my $stack = Stack->new(private => 1, issuer => 1, inside => 1);
my $dir = $stack->dir;
my ($uid, $gid) = (getpwnam 'todo-staging')[2, 3];
ok($uid, 'the services have a user of their own');
is((getpwnam 'todo-staging')[8], '/usr/sbin/nologin', 'nobody can log in as that user');

my @owners = map { (stat "/proc/$_")[4] } map { $stack->pid($_) } qw(mariadb issuer nginx pool);
is_deeply([grep { $_ != $uid } @owners], [], 'each service runs as that user');

# Runs a command as a service that has been taken over. Returns true if it succeeds.
sub as_service ($shell) {
	my $user = "--reuid=$uid --regid=$gid --clear-groups";
	my $out = qx{setpriv $user sh -c 'cd $dir || exit 1; $shell' 2>&1};
	return $? == 0;
}

# A service can write in its own folders alone.
ok(!as_service("touch $_/x"), "a service cannot write in $_") for '.', qw(etc stage pool);
ok(!as_service("mv $_ y || ln -sfnT /tmp $_"), "a service cannot replace $_")
    for qw(etc stage pool run log tmp data);
ok(!-e "$dir/y", "a service has not replaced anything");
my @written = grep { -f && (stat)[4] != 0 } glob "$dir/{etc,etc/todo,stage}/*";
is_deeply(\@written, [], 'the files that root trusts belong to root');

# A file and a process of root.
my $private = File::Temp->newdir;
my $victim = "$private/victim";
spew($victim, "of root\n");
chmod 0600, $victim;
sub state_of () { join ' ', (stat $victim)[1 .. 5, 7], slurp($victim) }
my $state = state_of();
my $process = fork // die $!;
if (!$process) { chdir $dir; exec 'sleep', '600' or die $! }
my $since = (split ' ', slurp("/proc/$process/stat") =~ s/.*\) //r)[19];

sub verb ($verb) {
	my $staging = Stack->root . '/t/staging';
	my $out = qx{STAGING_DIR='$dir' timeout 60 "$staging" $verb 2>&1 </dev/null};
	return ($? >> 8, $out);
}
my @verbs = qw(pool-stop pool-start issuer-stop issuer-start db-stop db-start nginx-reload
    pool-hup pool-pid status env);
my @logs = qw(todo issuer mariadb nginx-error nginx-access);

for (['links', "ln -sfn $victim"], ['FIFOs', 'rm -f $0; mkfifo'], ['folders', 'rm -f $0; mkdir']) {
	my ($what, $make) = @$_;
	my $plant = sub ($path) { as_service('set -e; ' . ($make =~ s/\$0/$path/r) . " $path") };
	as_service("rm -rf log/$_.log"), $plant->("log/$_.log") for @logs;
	$plant->("run/$_") for qw(todo.sock mariadb.own-pid nginx.conf-pid pool.own-pid x.spec);
	for my $name (qw(pool issuer mariadb nginx)) {
		as_service("printf $process >run/$name.pid;"
		    . " printf \"$process $since\" >run/$name.since");
	}
	my (@slow, $told);
	for my $verb (@verbs, 'up --quiet') {
		my ($status, $out) = verb($verb);
		push @slow, $verb if $status == 124;
		$told = 1 if $out =~ /of root/;
	}
	is_deeply(\@slow, [], "$what: no verb waits for ever");
	ok(!$told, "$what: no verb shows the file of root");
	is(state_of(), $state, "$what: the file of root is unchanged");
	ok(kill(0, $process), "$what: the process of root is alive");
	as_service("rm -rf log/* run/*");
	my ($status, $out) = verb('up --quiet');
	is($status, 0, "$what: the stage starts once they are removed") or diag($out);
}
answers($stack->user->get('/tasks'), 200, 'the stage works after all of this', []);

kill TERM => $process;
waitpid $process, 0;
$stack->expect_log(qr/./);
$stack->done;
