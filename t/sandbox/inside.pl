# Goal: under its systemd unit todo-fcgi does everything it has to, as a user without other
# rights. What the unit forbids is denied to a probe in the place of a worker. The secret is
# in its file and in the memory of the workers alone. t/sandbox/run runs this script, in a
# container of its own.

use v5.36;
use Test::More;
use FastCGI;
use Files;
use JSON::PP ();
use Token qw(b64u sign claims payload);

my $SECRET = 'the secret of the sandbox, long enough';
my $URL = 'https://todo.example';
sub run ($command) { my $out = qx{$command 2>&1}; return wantarray ? ($out, $? >> 8) : $out }
sub ok_run ($command, $name = $command) {
	my ($out, $status) = run($command);
	is($status, 0, $name) or diag($out);
	return $out;
}
sub poll ($what, $block) {
	for (1 .. 600) { return 1 if $block->(); select undef, undef, undef, 0.05 }
	return fail("in time: $what");
}

# The output of a command that prints one line.
sub line ($command) { return run($command) =~ s/\n\z//r }
sub property ($unit, $name) { return line("systemctl show -p $name --value $unit") }

# README, 3. and 4.
ok_run('mariadb-install-db --no-defaults --user=mysql --datadir=/var/lib/mysql --skip-test-db'
    . ' --auth-root-authentication-method=socket', 'mariadb-install-db succeeds');
ok_run('systemctl start mariadb');
my $admin = '/opt/todo/out/admin.cnf';
spew($admin, "[client]\nsocket=/run/mysqld/mysqld.sock\nuser=root\n");
ok_run("sh /opt/todo/sql/migrate --defaults-file=$admin", 'sql/migrate succeeds');
ok_run("mariadb --defaults-file=$admin </opt/todo/sql/grants.sql", 'sql/grants.sql succeeds');
my $as_todo = 'setpriv --reuid=todo --regid=todo --clear-groups';
my $check = "$as_todo sh -c 'set -a; . /etc/todo-fcgi/settings.env;"
    . " exec /opt/todo/bin/todo-fcgi -t'";
like(ok_run($check, 'todo-fcgi -t succeeds'), qr/are right/, 'todo-fcgi -t says so');

# Here a forbidden system call ends the process, so that it is seen; the unit itself
# answers EPERM.
mkdir '/etc/systemd/system/todo-fcgi.service.d';
spew('/etc/systemd/system/todo-fcgi.service.d/strict.conf',
    "[Service]\nSystemCallErrorNumber=\n");
ok_run('systemctl daemon-reload');
isnt(property('todo-fcgi', 'SystemCallErrorNumber') || 0, 1, 'forbidden system calls kill');
ok_run('systemctl start todo-fcgi', 'the unit starts');

# What the program does --------------------------------------------------------

my $socket = '/run/todo-fcgi/todo.sock';
poll('the socket', sub { -S $socket });
my $client = FastCGI->new(path => $socket, timeout => 20);
sub token ($id, $key = $SECRET, %o) {
	sign(b64u('{"alg":"HS256"}'), b64u(payload(claims($id, $URL, $URL, %o))), $key)
}
sub ask ($method, $target, $body = undef, %h) {
	my $token = delete $h{token} // token('alice');
	return $client->send(
		$method, $target,
		[
			[Authorization => "Bearer $token"], ['Content-Type' => 'application/json'],
			map { [$_ => $h{$_}] } keys %h
		],
		$body);
}
sub all_endpoints ($when) {
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my @wrong;
	my $want = sub ($status, @request) {
		my $a = ask(@request);
		push @wrong, "@request[0, 1]: " . $a->dump if $a->status != $status;
		return $a
	};
	$want->(200, GET => '/healthz');
	$want->(200, GET => '/readyz');
	$want->(200, GET => '/api/me');
	my $made =
	    $want->(201, POST => '/api/alice/tasks', '{"title":"Buy milk","description":"\u00e9"}',
		'Idempotency-Key' => rand);
	my $path = '/api/alice/tasks/' . ($made->status == 201 ? $made->json->{id} : 'none');
	$want->(200, GET => $path);
	$want->(304, GET => $path, undef, 'If-None-Match' => $made->header('ETag'));
	$want->(200, PUT => $path, '{"title":"Buy more"}');
	$want->(412, PATCH => $path, '{"title":"x"}', 'If-Match' => '"0"');
	$want->(200, PATCH => "$path/complete");
	$want->(200, GET => "/api/alice/tasks?sort=$_&status=completed&limit=1")
	    for qw(created updated title);
	$want->(204, DELETE => $path);
	$want->(404, GET => $path);
	$want->(422, POST => '/api/alice/tasks', '{"title":1}');
	$want->(400, POST => '/api/alice/tasks', '{');
	$want->(413, POST => '/api/alice/tasks', 'x' x 20_000);
	$want->(403, GET => '/api/bob/tasks');
	$want->(401, GET => '/api/me', undef, token => 'x');
	$want->(401, GET => '/api/me', undef,
		token => token('alice', 'another secret, which is as long'));
	$want->(405, DELETE => '/api/me');
	$want->(400, GET => '/api/../me');
	is_deeply(\@wrong, [], $when);
}
sub master { (run('systemctl show -p MainPID --value todo-fcgi') =~ /(\d+)/)[0] }
sub workers { split ' ', slurp_if_there('/proc/' . master() . '/task/' . master() . '/children') }
sub status ($pid) { my %s = slurp_if_there("/proc/$pid/status") =~ /^(\w+):\s*(.*?)\s*$/mg; \%s }
sub settled {
	poll('eight workers', sub {
		my @w = workers();
		@w == 8
		    && (() = run('journalctl -u todo-fcgi -o cat') =~ /event=ready/g) >= 8
	})
}
settled();
all_endpoints('every endpoint has the right status') for 1 .. 3;

my @before = workers();
ok_run('systemctl reload todo-fcgi');
poll('the old workers are gone', sub {
	my %now = map { $_ => 1 } workers();
	keys %now == 8 && !grep { $now{$_} } @before
});
all_endpoints('after a reload every endpoint has the right status');
kill KILL => (workers())[0];
settled();
all_endpoints('after the death of a worker every endpoint has the right status');
ok_run('systemctl stop mariadb');
poll('503', sub { ask(GET => '/api/alice/tasks')->status == 503 });
is(ask(GET => '/api/me')->status, 200, '/api/me without the database');
ok_run('systemctl start mariadb');
poll('200 on all', sub { !grep { ask(GET => '/api/alice/tasks')->status != 200 } 1 .. 30 });
all_endpoints('with the database back every endpoint has the right status');
my $socket_status = run("stat -c '%a %U %G' $socket") =~ s/\n\z//r;
is($socket_status, '660 www-data www-data', 'the socket belongs to the web server');
is(run('stat -c "%a %U" /run/todo-fcgi') =~ s/\n\z//r, '755 root',
	'the folder of the socket does not belong to the workers');

# What the processes are --------------------------------------------------------

my $todo = join "\t", (502) x 4;
my %right = (uid => $todo, gid => $todo, groups => 502, new => 1, filter => 2, core => '1 1',
    caps => join(' ', ('0' x 16) x 4, '00000000000000c1'));
for my $pid (master(), workers()) {
	my $s = status($pid);
	my $who = $pid == master() ? 'master' : 'worker';
	my ($core) = slurp_if_there("/proc/$pid/limits") =~ /^Max core file size\s+(\d+\s+\d+)/m;
	my %is = (uid => $s->{Uid}, gid => $s->{Gid}, groups => $s->{Groups},
	    new => $s->{NoNewPrivs}, filter => $s->{Seccomp}, core => ($core // '') =~ s/\s+/ /r,
	    caps => join(' ', @$s{qw(CapInh CapPrm CapEff CapAmb CapBnd)}));
	is_deeply(\%is, \%right, "$who $pid: the user todo, no capability and three to be had,"
	    . ' no new privileges, a filter, no core')
	    if $pid == master() || $pid == (workers())[0];
	fail("$pid runs as another user than todo") if $is{uid} ne $todo;
}

# A crash leaves no core.
my ($crashed) = workers();
sub cores () {
	return split /\n/, run('find / -xdev -newer /opt/todo/out/admin.cnf -type f'
	    . ' -not -path "/proc/*" -not -path "/sys/*" -name "*core*"');
}
my %files = map { $_ => 1 } cores();
kill SEGV => $crashed;
poll('the death is logged', sub {
	run('journalctl -u todo-fcgi -o cat')
	    =~ /event=worker_died role=worker pid=$crashed signal=11/;
});
is_deeply([grep { !$files{$_} } cores()], [], 'a worker that crashes leaves no core');
settled();

# Places that must not hold the secret.
my @where;
for my $proc (glob '/proc/[0-9]*') {
	for my $file (qw(environ cmdline)) {
		push @where, "$proc/$file" if slurp_if_there("$proc/$file") =~ /\Q$SECRET\E/
	}
}
push @where, 'the journal' if run('journalctl -o export --no-pager') =~ /\Q$SECRET\E/;
push @where, 'systemctl show' if run('systemctl show todo-fcgi') =~ /\Q$SECRET\E/;
push @where, 'ps' if run('ps auxwwe') =~ /\Q$SECRET\E/;
push @where, 'a file'
    if run("grep -rlsF '$SECRET' /etc /run /tmp /var --exclude-dir=journal") !~
    m{\A/etc/todo-fcgi/secret\n\z};
push @where, grep { (readlink // '') =~ /memfd:settings/ } map { glob "/proc/$_/fd/*" } master(),
    workers();
is_deeply(\@where, [],
	'the secret is in no environment, argument, log, unit, listing or other file');
is(run('stat -c "%a %U %G" /etc/todo-fcgi/secret') =~ s/\n\z//r, '640 root todo',
	'the file of the secret belongs to root, and the workers may read it');
is(run('setpriv --reuid=www-data --regid=www-data --clear-groups cat /etc/todo-fcgi/secret')
	    =~ /\Q$SECRET\E/ ? 1 : 0, 0, 'the web server may not read the file of the secret');

# The journal and systemctl.
like(run('journalctl -t todo-fcgi -o cat'), qr/event=ready/,
	'journalctl -t todo-fcgi has the lines');
my $urgent = run('journalctl -t todo-fcgi -p warning -o cat');
like($urgent, qr/event=worker_died/, 'journalctl -p warning has the deaths of workers');
unlike($urgent, qr/level=info/, 'journalctl -p warning has no line of level info');
my $settings = slurp_if_there('/etc/todo-fcgi/settings.env');
sub settings_are ($text) {
	# In place, so that owner and mode stay.
	open my $file, '>', '/etc/todo-fcgi/settings.env' or die $!;
	print {$file} $text;
	close $file or die $!;
}
settings_are("${settings}JWT_LEEWAY=x\n");
isnt(system('systemctl restart todo-fcgi 2>/dev/null'), 0,
	'systemctl restart with a wrong setting fails');
like(run('journalctl -t todo-fcgi -p err -o cat'), qr/JWT_LEEWAY: is not a number of seconds/,
	'the journal names the wrong setting');
settings_are($settings);
ok_run('systemctl stop mariadb');
ok_run('systemctl restart todo-fcgi', 'a start without the database succeeds');
is(ask(GET => '/healthz')->status, 200, 'a start without the database ends once a worker answers');
ok_run('systemctl start mariadb');
poll('200 on all, once more', sub {
	!grep { ask(GET => '/api/alice/tasks')->status != 200 } 1 .. 30
});

my $log = run('journalctl -u todo-fcgi -o cat');
my @died = grep { !/signal=(?:9|11)\b/ } $log =~ /^(.*event=worker_died.*)$/mg;
is_deeply(\@died, [], 'no worker has died of a forbidden system call');
ok_run('systemctl stop todo-fcgi');
is(property('todo-fcgi', 'Result'), 'success', 'systemctl stop succeeds');
ok(!-e '/run/todo-fcgi', 'systemctl stop removes the folder of the socket');

# A wrong setting: the unit fails and is not restarted.
rename '/etc/todo-fcgi/secret', '/etc/todo-fcgi/secret.away';
run('systemctl start todo-fcgi');
poll('the unit has failed', sub { property('todo-fcgi', 'ActiveState') eq 'failed' });
is(property('todo-fcgi', 'ExecMainStatus'), 78,
	'without the secret the program exits 78');
is(property('todo-fcgi', 'NRestarts'), 0, 'without the secret the unit is not restarted');
rename '/etc/todo-fcgi/secret.away', '/etc/todo-fcgi/secret';

# What a worker cannot do -------------------------------------------------------

ok_run('systemctl start probe');
poll('the probe ends', sub {
	run('systemctl show -p ActiveState --value probe') !~ /active(?!.*in)|ing/
	    || run('systemctl show -p SubState --value probe') =~ /dead|failed/
});
my %did = map { split /\t/ } grep { /\t/ } split /\n/, run('journalctl -u probe -o cat');
my %may = map { $_ => 'done' } 'make /tmp/probe', 'make /var/tmp/probe', 'a Unix socket',
    'a TCP socket';
my %must = ('run a setuid program' => 'exit 0');
my @can = grep {
	$did{$_} ne ($may{$_} // $must{$_} // '')
	    && (exists $may{$_} || exists $must{$_} || $did{$_} eq 'done')
} sort keys %did;
cmp_ok(scalar keys %did, '>', 50, 'the probe tries ' . keys(%did) . ' things');
is_deeply({ map { $_ => $did{$_} } @can }, {}, 'the probe can do nothing that is forbidden');
note("$_: $did{$_}") for sort keys %did;
ok(!-e '/tmp/probe' && !-e '/var/tmp/probe', 'files of the probe in /tmp are not seen by others');

my ($figure) = run('systemd-analyze security --no-pager todo-fcgi') =~
    /Overall exposure level for todo-fcgi.service: (\S+ \w+)/;
diag("check-sandbox: exposure $figure; of " . keys(%did) . ' things that the probe tried '
    . keys(%may) . ' were for it to do, and done, the others denied; no call of the program'
    . ' is outside the filter; the secret is in its file alone');
done_testing;
