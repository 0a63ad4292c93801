# Goal: todo-fcgi -t finds, before a start or a reload does, what would keep the
# program from answering, and a reload that meets it leaves the pool as it was;
# systemd is told when the first worker is ready.

use v5.36;
use FindBin;
use lib "$FindBin::Bin/../lib";
use IO::Socket::UNIX;
use Socket qw(SOCK_DGRAM);
use Test::More;
use Facts;
use Stack;

my $stack = Stack->new(inside => 1);
my $program = $stack->program;
my $dir = $program->dir;
my $id = $stack->fresh_id;

sub slurp ($path) { open my $f, '<', $path or die "$path: $!"; local $/; return <$f> // '' }
sub spew ($path, $text) {
	open my $f, '>', "$path.new" or die "$path: $!";
	print {$f} $text;
	close $f;
	rename "$path.new", $path or die $!;
	return $path;
}
my $right = slurp({ $stack->settings }->{TODO_DB_DEFAULTS_FILE});
# The option file without what is set in `lines`, and with these.
my $files = 0;
sub options (@lines) {
	my $text = $right;
	for (@lines) { my ($key) = /\A([\w-]+)/; $text =~ s/^\s*\Q$key\E\s*=.*\n//mg }
	return $text . join '', map { "$_\n" } @lines;
}
sub checked ($text, @args) {
	return $program->run({ TODO_DB_DEFAULTS_FILE => spew("$dir/cnf" . ++$files, $text) },
		@args ? @args : '-t');
}

# What is in force.
{
	my ($exit, $out, $err) = checked($right);
	is($exit, 0, 'right settings: -t exits 0') or diag($err);
	my ($issuer, $audience, $length) =
	    ($stack->issuer, $stack->audience, length $stack->secret);
	like($out, qr/^issuer +\Q$issuer\E$/m, 'and prints the issuer');
	like($out, qr/^audience +\Q$audience\E$/m, 'the audience');
	like($out, qr/^secret +BETTER_AUTH_SECRET, $length bytes$/m,
		'source and length of the secret');
	like($out, qr/^database +todo, schema version \d+$/m, 'database and schema');
	like($out, qr/^user +\S+@\S+$/m, 'the account');
	like($out, qr/^server +\S+, MariaDB \d+\./m, 'and the server');
	is(index("$out$err", $stack->secret), -1, 'but no secret');
}

# What is wrong with the database, on one line, and what it is called.
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
	like($err, qr/\Atodo-fcgi: [^\n]*$pattern[^\n]*\n\z/, 'with one line that says why');
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
		'with one line that says why');
}
for (['a comment of 3,000 bytes', '#' . 'x' x 3000],
	['a key of another program in [client]', "[client]\nauto-rehash"])
{
	my ($name, $line) = @$_;
	my ($exit, undef, $err) = checked("$right\n$line\n");
	is("$exit $err", '0 ', "$name is no fault");
}
{
	my $log = "$dir/not-yet.log";
	is(($program->run({ TODO_LOG => $log }, '-t'))[0], 0,
		'a log file that is not there yet: no fault');
	ok(!-e $log, 'and -t makes none, which would not be the service\'s');
}
{
	my $away = options('host=localhost', "socket=$dir/nobody.sock");
	my ($exit, undef, $err) = checked($away);
	is($exit, 69, 'the database is away: -t exits 69');
	like($err, qr/\Atodo-fcgi: database: unreachable: error 200\d: [^\n]*\n\z/, 'and says so');
	is((checked($away, '-T'))[0], 0, 'which -T does not look at');
	is((checked(options('usr=todo'), '-T'))[0], 78, 'but at the option file it does');
}

# Keys that the library knows, and that few people use.
is((checked(options("$_ = 1"), '-T'))[2], '', "$_ is known")
    for qw(reconnect net-buffer-length net_buffer_length);

# Names.
for (['JWT_ISUER', 'JWT_ISSUER'], ['BETTER_AUTH_SERCET', 'BETTER_AUTH_SECRET'],
	['TODO_LOGS', 'TODO_LOG'], ['TODO_DATABASE', undef])
{
	my ($name, $meant) = @$_;
	my ($exit, undef, $err) = $program->run({ $name => 'x' }, '-T');
	is($exit, 0, "$name: no fault");
	is($err,
		      "todo-fcgi: warning: $name: no setting has this name"
		    . ($meant ? "; did you mean $meant?" : '')
		    . "\n", 'but a warning');
}
is(
	(
		$program->run(
			{
				map { $_ => 'x' }
				    qw(BETTER_AUTH_TELEMETRY TOKEN_LIFETIME ISSUER_PORT TRUSTED_ORIGINS)
			},
			'-T')
	)[2],
	'',
	"what is the issuer's is warned of by nobody");
{
	my ($exit, undef, $err) = $program->run(
		{ BETTER_AUTH_SECRET => undef, BETTER_AUTH_SECRET_FILE => '/nonexistent/secret' },
		'-T');
	like($err, qr{No such file or directory: /nonexistent/secret\n},
		'a secret file that is not there is named, with the reason');
}

# Help.
for my $option ('--help', '-h') {
	my ($exit, $out, $err) = $program->run({}, $option);
	is("$exit$err", '0', "$option exits 0");
	my @missing =
	    grep { $out !~ /^  $_ +\S/m }
	    Stack->root
	    && slurp(Stack->root . '/README.md') =~ /^\| `((?:BETTER_AUTH|JWT|TODO)_\w+)` \|/mg;
	is("@missing", '', 'with a line for each setting that the README has');
}
is(($program->run({}, '--version'))[1], ($program->run({}, '-V'))[1], '--version is -V');

# A reload with what -t would have found leaves the pool as it was.
my $cnf = spew("$dir/pool.cnf", $right);
my $pool = $program->pool(master => 2, TODO_DB_DEFAULTS_FILE => $cnf);
sub status () {
	$stack->fastcgi($pool)
	    ->send('GET', "/api/$id/tasks", [[Authorization => 'Bearer ' . $stack->token_of($id)]])
	    ->status
}
poll {
	my @w = $pool->workers;
	@w == 2 && (() = $pool->log =~ /event=ready/g) == 2 && eval { status() } == 200
}
'a pool answers';
for my $name (
	'a wrong user', 'a wrong database', 'a database of another kind', 'a misspelt key',
	'a number with a suffix',
	'a character set that is not there', 'an init-command that fails')
{
	my (undef, @lines) = $wrong{$name}->@*;
	my @old = sort $pool->workers;
	my $from = length $pool->log;
	spew($cnf, options(@lines));
	$pool->signal('HUP');
	poll {
		substr($pool->log, $from) =~
		    /event=reload_failed reason="(?:the database refused a new worker|a new worker found its settings wrong)/
	}
	"$name, then a reload: it fails, and says why";
	like(substr($pool->log, $from),
		qr/event=database [^\n]*errno=\d+ [^\n]*|event=stop [^\n]*schema|event=settings [^\n]*\w+: /,
		'with the error');
	poll { my @now = sort $pool->workers; "@now" eq "@old" }
	'the old workers are there, and no other';
	is(status(), 200, 'and answer');
}
for my $name (sort keys %unread) {
	my @old = sort $pool->workers;
	my $from = length $pool->log;
	spew($cnf, $unread{$name});
	$pool->signal('HUP');
	poll {
		substr($pool->log, $from) =~
		    /event=reload_failed reason="a new worker found its settings wrong/
	}
	"$name, then a reload: it fails, and says why";
	poll { my @now = sort $pool->workers; "@now" eq "@old" }
	'the old workers are there, and no other';
}
{
	# The account may read what tells of the schema, and nothing else.
	my $from = length $pool->log;
	my ($account, $password) = ('todo_reader', 'reader of the schema only');
	$stack->sql("CREATE OR REPLACE USER $account\@localhost IDENTIFIED BY '$password'");
	$stack->sql("GRANT SELECT ON todo.schema_migrations TO $account\@localhost");
	my $reader = options("user=$account", "password=$password");
	my ($exit, undef, $err) = checked($reader);
	is($exit, 78, 'an account without a right on tasks: -t exits 78');
	like($err, qr/the account lacks a right: error 1142: /, 'and says so');
	spew($cnf, $reader);
	$pool->signal('HUP');
	poll {
		substr($pool->log, $from) =~
		    /event=reload_failed reason="the database refused a new worker/
	}
	'a reload with it fails';
	is(status(), 200, 'and the old workers answer');
	$stack->sql("DROP USER $account\@localhost");
}
# What replaces a dead worker then answers no 503 while another one is well.
{
	spew($cnf, options('user=nobody-of-that-name'));
	my ($victim, $well) = $pool->workers;
	my $from = length $pool->log;
	kill KILL => $victim;
	poll { (() = substr($pool->log, $from) =~ /event=worker_died [^\n]*exit=77/g) >= 2 }
	'after it a worker that dies is replaced by none that the database refuses';
	is(scalar(grep { status() != 200 } 1 .. 50), 0, 'so that every request is answered');
	kill KILL => $well;
	poll {
		2 == (my @w = $pool->workers) && eval { status() } == 503
	}
	'but once no worker is well they start without the database';
	spew($cnf, $right);
	$pool->signal('HUP');
	poll {
		substr($pool->log, $from) =~ /event=reloaded/ && eval { status() } == 200
	}
	'and a reload mends them';
}
{
	my %old = map { $_ => 1 } $pool->workers;
	spew($cnf, options('host=localhost', "socket=$dir/nobody.sock"));
	$pool->signal('HUP');
	poll {
		my @w = $pool->workers;
		@w == 2 && !grep { $old{$_} } @w
	}
	'a database that is merely away: a reload goes on';
	spew($cnf, $right);
	$pool->signal('HUP');
	poll {
		eval { status() } == 200 && $pool->log =~ /(?:event=reloaded.*){3}/s
	}
	'and the next one too';
}

undef $pool;

# systemd is told when the first worker is ready, and not of one that is not.
{
	my $path = "$dir/notify";
	my $systemd = IO::Socket::UNIX->new(Local => $path, Type => SOCK_DGRAM) or die $!;
	$systemd->blocking(0);
	my $failed = $program->pool(master => 1, NOTIFY_SOCKET => $path, JWT_LEEWAY => 'x');
	is($failed->wait, 78, 'a start with a wrong setting ends with 78');
	my $said;
	ok(!defined $systemd->recv($said, 100), 'and READY is not said');
	my $running = $program->pool(master => 2, NOTIFY_SOCKET => $path);
	poll { $systemd->recv($said, 100); ($said // '') eq 'READY=1' }
	'a start that is well says READY=1';
	like($running->log, qr/event=ready/, 'when a worker is ready');
	poll { my @w = $running->workers; @w == 2 && (() = $running->log =~ /event=ready/g) == 2 }
	'all are';
	ok(!defined $systemd->recv($said, 100), 'it is said once');
}

# A socket that nobody reads from, and that is full, does not hold the master.
{
	my $path = "$dir/unread";
	my $unread = IO::Socket::UNIX->new(Local => $path, Type => SOCK_DGRAM) or die $!;
	my $filler = IO::Socket::UNIX->new(Peer => $path, Type => SOCK_DGRAM) or die $!;
	$filler->blocking(0);
	my $sent = 0;
	$sent++ while $sent < 100_000 && defined $filler->send('x');
	cmp_ok($sent, '<', 100_000, 'a socket for READY=1 is full');
	my $running = $program->pool(master => 2, NOTIFY_SOCKET => $path);
	poll { 2 == (my @now = $running->workers) } 'all workers start';
	$running->signal('TERM');
	is($running->wait, 0, 'and TERM ends them');
}

$stack->done;
