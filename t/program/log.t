# Goal: no log stops or ends a worker or a master, whatever is wrong with the log:
# syslog, a pipe, a socket, a terminal or a file; stuck, full, closed or gone. Log lines
# may be lost; requests, HUP and TERM are not.

use v5.36;
use FindBin;
use lib "$FindBin::Bin/../lib";
use IO::Socket::UNIX;
use POSIX ();
use Socket qw(AF_UNIX PF_UNSPEC SOCK_DGRAM SOCK_STREAM);
use Test::More;
use Facts;
use Files;
use Stack;

$SIG{PIPE} = 'IGNORE';
my $stack = Stack->new(inside => 1);
my $program = $stack->program;
my $dir = $program->dir;
my $REQUESTS = 700; # more lines than a socket, a pipe or a terminal holds
my $count = 0;

sub null () { open my $f, '+<', '/dev/null' or die $!; return $f }

# Starts the program with `stderr` (undef: closed) and a listening socket of its own as
# descriptor 0. `before`: words of the command before its name.
sub started ($stderr, $args, %o) {
	my $path = "$dir/log" . ++$count;
	my $listen = IO::Socket::UNIX->new(Local => $path, Listen => 64) or die $!;
	my @command = (($o{before} // [])->@*, $program->path, @$args);
	@command = ('/bin/sh', '-c', 'exec "$@" 2>&-', 'sh', @command) if !$stderr;
	my $pid = $program->start_with($o{env} // {}, $listen, null, $stderr // null, @command);
	return Program::Running->new(program => $program, pid => $pid, path => $path,
		log => '/dev/null');
}

# The number of requests, of `n`, that are answered.
sub answered ($running, $n = $REQUESTS) {
	my $good = 0;
	for (1 .. $n) {
		my $answer = eval { $running->client->send('GET', '/healthz') } or last;
		$good++ if $answer->status == 200;
	}
	return $good;
}

# A worker and a master go on with this standard error.
sub unharmed ($name, $stderr, %o) {
	for (['worker'], ['master', '-w', 2]) {
		my ($role, @args) = @$_;
		my $handle = ref $stderr eq 'CODE' ? $stderr->() : $stderr;
		my $running = started($handle, \@args, %o);
		is(answered($running), $REQUESTS, "$name: a $role answers");
		$running->signal('HUP');
		is(answered($running, 10), 10, "$name: a $role answers after HUP");
		$running->signal('TERM');
		is($running->wait // 'still there', 0, "$name: TERM ends a $role");
		$running->signal('KILL') if !defined $running->ended;
	}
}

my %file = (env => { TODO_LOG => 'stderr' });
my @kept;

# Standard error.
unharmed('stderr is a pipe that nobody reads', sub { pipe my $r, my $w; push @kept, $r; $w },
	%file);
unharmed('stderr is a pipe whose reader is gone', sub { pipe my $r, my $w; close $r; $w }, %file);
unharmed('stderr is a socket that nobody reads',
	sub { socketpair my $r, my $w, AF_UNIX, SOCK_STREAM, PF_UNSPEC; push @kept, $r; $w },
	%file);
unharmed('stderr is a socket whose reader is gone',
	sub { socketpair my $r, my $w, AF_UNIX, SOCK_STREAM, PF_UNSPEC; close $r; $w }, %file);
unharmed('stderr is closed', undef, %file);
unharmed('stderr is on a full disk', sub { open my $f, '>', '/dev/full' or die $!; $f }, %file);
unharmed('stderr is a terminal stopped by ^S', sub {
	open my $master, '+<', '/dev/ptmx' or die $!;
	my $number = pack 'i', 0;
	ioctl $master, 0x40045431, $number or die $!; # TIOCSPTLCK
	ioctl $master, 0x80045430, $number or die $!; # TIOCGPTN
	open my $slave, '+<', '/dev/pts/' . unpack 'i', $number or die $!;
	POSIX::tcflow(fileno $slave, POSIX::TCOOFF) // die $!;
	push @kept, $master;
	return $slave;
}, %file);
{
	my $running = started(undef, [], %file);
	is(answered($running, 1), 1, 'stderr is closed: a worker answers');
	my @open = map { readlink '/proc/' . $running->pid . "/fd/$_" } 0 .. 2;
	is($open[2], '/dev/null', 'stderr is closed: descriptor 2 is not a connection');
}

# A file.
unharmed('a file that may not grow', null, env => { TODO_LOG => "$dir/small" },
	before => ['prlimit', '--fsize=4096']);
unharmed('a file that cannot be opened', null, env => { TODO_LOG => '/nonexistent/log' });
unharmed('a folder', null, env => { TODO_LOG => $dir });
unharmed('a full disk', null, env => { TODO_LOG => '/dev/full' });
POSIX::mkfifo("$dir/fifo", 0600) // die $!;
unharmed('a FIFO that nobody has opened', null, env => { TODO_LOG => "$dir/fifo" });
{
	open my $err, '>', "$dir/err" or die $!;
	my $running = started($err, [], env => { TODO_LOG => '/nonexistent/log' });
	is(answered($running, 1), 1, 'a worker whose log cannot be opened answers');
	my @told = slurp_if_there("$dir/err") =~ /^.*TODO_LOG.*$/mg;
	is(scalar @told, 1, 'a worker whose log cannot be opened says so once, on stderr');
	like($told[0], qr{No such file or directory: /nonexistent/log},
		'the line on stderr has reason and path');
	$running->stop;
	my ($exit, undef, $text) = $program->run({ TODO_LOG => 'log/x' });
	is($exit, 78, 'TODO_LOG=log/x: exit 78');
	like($text, qr{TODO_LOG: neither stderr, syslog nor an absolute path: log/x},
		'TODO_LOG=log/x: the message says why');
}

# Rotated, then impossible to open: the master goes on with the open descriptor.
{
	my $log = "$dir/rotated";
	my $pool = started(null, ['-w', 2], env => { TODO_LOG => $log });
	poll { $pool->workers == 2 && slurp_if_there($log) =~ /(?:event=ready.*){2}/s }
	    'a pool logs to a file';
	rename $log, "$log.1" or die $!;
	mkdir $log or die $!;
	$pool->signal('HUP');
	poll { slurp_if_there("$log.1") =~ /event=reloaded/ }
	    'HUP with a log that cannot be opened renews the workers';
	my @told = slurp_if_there("$log.1") =~ /^.*event=log .*$/mg;
	is(scalar @told, 1, 'the log says once that it cannot be opened');
	like($told[0], qr/path=\Q$log\E reason="Is a directory"/, 'this line has path and reason');
	for my $worker ($pool->workers) {
		kill KILL => $worker;
		poll { replaced($pool, 2, $worker) } 'a worker that dies meanwhile is replaced';
	}
	is(answered($pool, 20), 20, 'the replaced workers answer');
	my $before = () = slurp_if_there("$log.1") =~ /event=request/g;
	answered($pool, 5);
	my $after = () = slurp_if_there("$log.1") =~ /event=request/g;
	is($after - $before, 5, 'the replaced workers log to the open file');
	rmdir $log;
	$pool->signal('HUP');
	poll { answered($pool, 1); slurp_if_there($log) =~ /event=request/ }
	    'the workers log to the new file once it can be opened';
	$pool->signal('TERM');
	is($pool->wait, 0, 'TERM ends the pool');
}

# Lost lines are counted.
{
	pipe my $reader, my $writer or die $!;
	my $running = started($writer, [], %file);
	close $writer;
	answered($running, $REQUESTS);
	my $lines = '';
	$reader->blocking(0);
	poll {
		sysread $reader, $lines, 65536, length $lines;
		answered($running, 1);
		$lines =~ /event=log lost=\d+\n/
	} 'once a pipe is read again, the log has the number of lost lines';
	my ($lost) = $lines =~ /event=log lost=(\d+)/;
	my $asked = () = $lines =~ /event=request/g;
	cmp_ok($lost + $asked, '>=', $REQUESTS, 'the lost lines and the others are all lines');
	is(scalar(grep { !/\Atime=\S+ level=\S+ event=/ } split /\n/, $lines), 0,
		'every line is whole');
}

# The journal.
for (['stderr is the journal', 0, qr/\A<6>time=/], ['stderr is not the journal', 1, qr/\Atime=/]) {
	my ($what, $off, $first) = @$_;
	my $path = "$dir/journal$off";
	open my $err, '>', $path or die $!;
	my ($device, $inode) = stat $err;
	my %env = (TODO_LOG => 'stderr', JOURNAL_STREAM => "$device:" . ($inode + $off),
	    JWT_ISUER => 'x');
	my $running = started($err, [], env => \%env);
	is(answered($running, 1), 1, "$what: a worker answers");
	is(
		scalar( grep { !/$first|\A<4>time=\S+ level=warning / } split /\n/,
			slurp_if_there($path)
		),
		0,
		"$what: each line begins as it should");
	is(scalar(() = slurp_if_there($path) =~ /^<4>time=\S+ level=warning/mg), 1 - $off,
		"$what: a warning has its own priority");
}

# Syslog, at a private /dev/log.
SKIP: {
	my $dev = "$dir/dev";
	mkdir $dev;
	my $mounts = join ' && ',
	    (map { "touch $dev/$_ && mount --bind /dev/$_ $dev/$_" } qw(null urandom)),
	    "mount --rbind $dev /dev";
	my @before =
	    ('unshare', $> == 0 ? '-m' : '-rm', '/bin/sh', '-c', "$mounts && exec \"\$@\"", 'sh');
	skip 'no mount namespace', 14 if system(@before, 'true') != 0;
	my $daemon = sub {
		unlink "$dev/log";
		IO::Socket::UNIX->new(Local => "$dev/log", Type => SOCK_DGRAM) or die $!
	};
	my %syslog = (env => { TODO_LOG => 'syslog' }, before => \@before);
	my $stuck = $daemon->();
	unharmed('syslog that nobody reads', null, %syslog);
	unlink "$dev/log";
	unharmed('syslog without a daemon', null, %syslog);
	my $heard = $daemon->();
	my $running = started(null, [], %syslog);
	my $line;
	my $hear = sub {
		poll {
			answered($running, 1);
			$heard->blocking(0);
			$heard->recv($line, 8192);
			$line =~ /event=request/
		}
		$_[0]
	};
	$hear->('syslog gets the lines');
	my $pid = $running->pid;
	my $time = qr/[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d/;
	like($line, qr/\A<30>$time todo-fcgi\[$pid\]: level=info event=request [^\n]*\z/,
	    'the lines have the form of syslog(3)');
	$heard = $daemon->();
	$line = '';
	$hear->('syslog gets the lines after a restart of its daemon');
}

$stack->done;
