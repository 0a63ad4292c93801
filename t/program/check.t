# Goal: todo-fcgi -t finds, before a start or a reload, whatever would keep the program
# from answering, and a reload that meets such a fault leaves the pool as it was.
# systemd is told when the first worker is ready.

use v5.36;
use FindBin;
use lib "$FindBin::Bin/../lib";
use IO::Socket::UNIX;
use Socket qw(SOCK_DGRAM);
use Test::More;
use Facts;
use Files;
use Stack;

my $stack = Stack->new(inside => 1);
my $program = $stack->program;
my $dir = $program->dir;
my $id = $stack->fresh_id;

my $right = slurp({ $stack->settings }->{TODO_DB_DEFAULTS_FILE});
# The right option file, with `lines` instead of its own lines for the same keys.
my $files = 0;
sub options (@lines) {
	my $text = $right;
	for (@lines) { my ($key) = /\A([\w-]+)/; $text =~ s/^\s*\Q$key\E\s*=.*\n//mg }
	return $text . join '', map { "$_\n" } @lines;
}
sub checked ($text, @args) {
	my $path = spew("$dir/cnf" . ++$files, $text);
	return $program->run({ TODO_DB_DEFAULTS_FILE => $path }, @args ? @args : '-t');
}

# Right settings.
{
	my ($exit, $out, $err) = checked($right);
	is($exit, 0, 'right settings: -t exits 0') or diag($err);
	my ($issuer, $audience, $length) =
	    ($stack->issuer, $stack->audience, length $stack->secret);
	like($out, qr/^issuer +\Q$issuer\E$/m, '-t prints the issuer');
	like($out, qr/^audience +\Q$audience\E$/m, '-t prints the audience');
	like(
		$out, qr/^secret +BETTER_AUTH_SECRET, $length bytes$/m,
		'-t prints source and length of the secret');
	like($out, qr/^database +todo, schema version \d+$/m,
		'-t prints the database and the schema');
	like($out, qr/^user +\S+@\S+$/m, '-t prints the account');
	like($out, qr/^server +\S+, MariaDB \d+\./m, '-t prints the server');
	is(index("$out$err", $stack->secret), -1, '-t does not print the secret');
}

# Wrong settings of the database: name => [message, lines of the option file].
my %wrong = (
	'a wrong user' => [qr/error (?:1045|1698): /, 'user=nobody-of-that-name'],
	'a wrong database' => [qr/error (?:1044|1049): /, 'database=not_there'],
	'a database of another kind' => [qr/error 1109: /, 'database=information_schema'],
	'a character set that is not there' => [qr/error 2019: /, 'default-character-set=klingon'],
	'an init-command that fails' => [qr/error 1064: /, 'init-command=FROBNICATE'],
	'a misspelt key' => [qr/usr: the library does not know this key/, 'usr=todo'],
	'a number with a suffix' =>
	    [qr/max-allowed-packet: its value is not a number/, 'max-allowed-packet=1M'],
);
for my $name (sort keys %wrong) {
	my ($pattern, @lines) = $wrong{$name}->@*;
	my ($exit, undef, $err) = checked(options(@lines));
	is($exit, 78, "$name: -t exits 78") or diag($err);
	like($err, qr/\Atodo-fcgi: [^\n]*$pattern[^\n]*\n\z/, "$name: -t says why on one line");
}
my %unread = (
	'a key before the first group' => "user=todo\n$right",
	'a group without its end' => "[other\n$right",
	'a number with a suffix in [client]' => "$right\n[client]\nmax-allowed-packet=1M\n",
);
for my $name (sort keys %unread) {
	my ($exit, undef, $err) = checked($unread{$name}, '-T');
	is($exit, 78, "$name: -T exits 78") or diag($err);
	like($err, qr/\Atodo-fcgi: TODO_DB_DEFAULTS_FILE: [^\n]+\n\z/,
		"$name: -T says why on one line");
}
for (['a comment of 3,000 bytes', '#' . 'x' x 3000],
	['a key of another program in [client]', "[client]\nauto-rehash"])
{
	my ($name, $line) = @$_;
	my ($exit, undef, $err) = checked("$right\n$line\n");
	is("$exit $err", '0 ', "$name: -t exits 0 in silence");
}
{
	my $log = "$dir/not-yet.log";
	is(($program->run({ TODO_LOG => $log }, '-t'))[0], 0,
		'a log file that does not exist: -t exits 0');
	ok(!-e $log, '-t does not create the log file, which would not be owned by the service');
}
{
	my $away = options('host=localhost', "socket=$dir/nobody.sock");
	my ($exit, undef, $err) = checked($away);
	is($exit, 69, 'the database is away: -t exits 69');
	like($err, qr/\Atodo-fcgi: database: unreachable: error 200\d: [^\n]*\n\z/,
		'the database is away: -t says so');
	is((checked($away, '-T'))[0], 0, 'the database is away: -T exits 0');
	is((checked(options('usr=todo'), '-T'))[0], 78,
		'a misspelt key in the option file: -T exits 78');
}

# Keys that the library knows and few people use.
is((checked(options("$_ = 1"), '-T'))[2], '', "the key $_ is known")
    for qw(reconnect net-buffer-length net_buffer_length);

# Settings with a name that does not exist.
for (['JWT_ISUER', 'JWT_ISSUER'], ['BETTER_AUTH_SERCET', 'BETTER_AUTH_SECRET'],
    ['TODO_LOGS', 'TODO_LOG'], ['TODO_DATABASE', undef]) {
	my ($name, $meant) = @$_;
	my ($exit, undef, $err) = $program->run({ $name => 'x' }, '-T');
	is($exit, 0, "$name: -T exits 0");
	my $hint = $meant ? "; did you mean $meant?" : '';
	is($err, "todo-fcgi: warning: $name: no setting has this name$hint\n", "$name: -T warns");
}
my @issuers = qw(BETTER_AUTH_TELEMETRY TOKEN_LIFETIME ISSUER_PORT TRUSTED_ORIGINS);
is(($program->run({ map { $_ => 'x' } @issuers }, '-T'))[2], '',
    '-T does not warn of settings of the issuer');
{
	my $path = '/nonexistent/secret';
	my %env = (BETTER_AUTH_SECRET => undef, BETTER_AUTH_SECRET_FILE => $path);
	my ($exit, undef, $err) = $program->run(\%env, '-T');
	like($err, qr{No such file or directory: $path\n},
	    'a missing secret file: -T names it, with the reason');
}

# Help.
for my $option ('--help', '-h') {
	my ($exit, $out, $err) = $program->run({}, $option);
	is("$exit$err", '0', "$option exits 0");
	my @settings = slurp(Stack->root . '/README.md')
	    =~ /^\| `((?:BETTER_AUTH|JWT|TODO)_\w+)` \|/mg;
	my @missing = grep { $out !~ /^  $_ +\S/m } @settings;
	is("@missing", '', "$option has a line for each setting in the README");
}
is(($program->run({}, '--version'))[1], ($program->run({}, '-V'))[1],
	'--version prints what -V prints');

# A reload with a fault that -t finds leaves the pool as it was.
my $cnf = spew("$dir/pool.cnf", $right);
my $pool = $program->pool(master => 2, TODO_DB_DEFAULTS_FILE => $cnf);
my @bearer = (Authorization => 'Bearer ' . $stack->token_of($id));
sub status () { $stack->fastcgi($pool)->send('GET', "/api/$id/tasks", [\@bearer])->status }
# Has the log a line with `event` since the position `from`?
sub logged ($from, $event) { substr($pool->log, $from) =~ $event }
# HUP with this option file. Returns the position of the log before.
sub reload ($text) {
	my $from = length $pool->log;
	spew($cnf, $text);
	$pool->signal('HUP');
	return $from;
}
my $refused = qr/event=reload_failed reason="the database refused a new worker/;
my $wrong_settings = qr/event=reload_failed reason="a new worker found its settings wrong/;
poll {
	my @w = $pool->workers;
	@w == 2 && (() = $pool->log =~ /event=ready/g) == 2 && eval { status() } == 200
} 'a pool answers';
for my $name (
	'a wrong user', 'a wrong database', 'a database of another kind', 'a misspelt key',
	'a number with a suffix',
	'a character set that is not there', 'an init-command that fails')
{
	my (undef, @lines) = $wrong{$name}->@*;
	my @old = sort $pool->workers;
	my $from = reload(options(@lines));
	poll { logged($from, qr/$refused|$wrong_settings/) } "$name: a reload fails";
	my $error =
	    qr/event=database [^\n]*errno=\d+ |event=stop [^\n]*schema|event=settings [^\n]*\w+: /;
	ok(logged($from, $error), "$name: the log has the error");
	poll { my @now = sort $pool->workers; "@now" eq "@old" } "$name: the old workers stay";
	is(status(), 200, "$name: the old workers answer");
}
for my $name (sort keys %unread) {
	my @old = sort $pool->workers;
	my $from = reload($unread{$name});
	poll { logged($from, $wrong_settings) } "$name: a reload fails";
	poll { my @now = sort $pool->workers; "@now" eq "@old" } "$name: the old workers stay";
}
{
	# The account may read the table of migrations, and nothing else.
	my ($account, $password) = ('todo_reader', 'reader of the schema only');
	$stack->sql("CREATE OR REPLACE USER $account\@localhost IDENTIFIED BY '$password'");
	$stack->sql("GRANT SELECT ON todo.schema_migrations TO $account\@localhost");
	my $reader = options("user=$account", "password=$password");
	my ($exit, undef, $err) = checked($reader);
	is($exit, 78, 'an account without a right on tasks: -t exits 78');
	like($err, qr/the account lacks a right: error 1142: /,
	    'an account without a right on tasks: -t says so');
	my $from = reload($reader);
	poll { logged($from, $refused) } 'an account without a right on tasks: a reload fails';
	is(status(), 200, 'an account without a right on tasks: the old workers answer');
	$stack->sql("DROP USER $account\@localhost");
}
# A dead worker is not replaced by one that the database refuses, as long as another
# worker is well.
{
	spew($cnf, options('user=nobody-of-that-name'));
	my ($victim, $well) = $pool->workers;
	my $from = length $pool->log;
	kill KILL => $victim;
	poll { (() = substr($pool->log, $from) =~ /event=worker_died [^\n]*exit=77/g) >= 2 }
	    'workers that the database refuses end';
	is(scalar(grep { status() != 200 } 1 .. 50), 0, 'the worker that is well answers');
	kill KILL => $well;
	poll { 2 == (my @w = $pool->workers) && eval { status() } == 503 }
	    'once no worker is well, workers start without the database';
	$from = reload($right);
	poll { logged($from, qr/event=reloaded/) && eval { status() } == 200 }
	    'a reload with right settings replaces these workers';
}
{
	my %old = map { $_ => 1 } $pool->workers;
	reload(options('host=localhost', "socket=$dir/nobody.sock"));
	poll { my @w = $pool->workers; @w == 2 && !grep { $old{$_} } @w }
	    'a reload succeeds while the database is away';
	reload($right);
	poll { eval { status() } == 200 && $pool->log =~ /(?:event=reloaded.*){3}/s }
	    'a reload succeeds once the database is back';
}

undef $pool;

# systemd is told once, when the first worker is ready.
{
	my $path = "$dir/notify";
	my $systemd = IO::Socket::UNIX->new(Local => $path, Type => SOCK_DGRAM) or die $!;
	$systemd->blocking(0);
	my $failed = $program->pool(master => 1, NOTIFY_SOCKET => $path, JWT_LEEWAY => 'x');
	is($failed->wait, 78, 'a start with a wrong setting exits 78');
	my $said;
	ok(!defined $systemd->recv($said, 100),
		'a start with a wrong setting does not send READY=1');
	my $running = $program->pool(master => 2, NOTIFY_SOCKET => $path);
	poll { $systemd->recv($said, 100); ($said // '') eq 'READY=1' }
	    'a start with right settings sends READY=1';
	like($running->log, qr/event=ready/, 'READY=1 is sent when a worker is ready');
	poll { my @w = $running->workers; @w == 2 && (() = $running->log =~ /event=ready/g) == 2 }
	    'all workers are ready';
	ok(!defined $systemd->recv($said, 100), 'READY=1 is sent once');
}

# A full socket that nobody reads does not stop the master.
{
	my $path = "$dir/unread";
	my $unread = IO::Socket::UNIX->new(Local => $path, Type => SOCK_DGRAM) or die $!;
	my $filler = IO::Socket::UNIX->new(Peer => $path, Type => SOCK_DGRAM) or die $!;
	$filler->blocking(0);
	my $sent = 0;
	$sent++ while $sent < 100_000 && defined $filler->send('x');
	cmp_ok($sent, '<', 100_000, 'the socket for READY=1 is full');
	my $running = $program->pool(master => 2, NOTIFY_SOCKET => $path);
	poll { 2 == (my @now = $running->workers) } 'all workers start beside a full socket';
	$running->signal('TERM');
	is($running->wait, 0, 'TERM ends the pool beside a full socket');
}

$stack->done;
