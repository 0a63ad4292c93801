# Goal: no log ends the issuer, stops it or fills its memory, whatever becomes of its
# standard error; nor does an error that belongs to no request.

use v5.36;
use Fcntl;
use File::Temp ();
use FindBin;
use IO::Socket::UNIX;
use lib "$FindBin::Bin/../lib";
use POSIX ();
use Socket qw(AF_UNIX PF_UNSPEC SOCK_STREAM);
use Test::More;
use Facts;
use Issuer;
use Stack;

# fcntl.h and asm-generic/ioctls.h of Linux.
use constant { F_SETPIPE_SZ => 1031 };

my $stack = Stack->new(inside => 1);
my $frontend = $stack->frontend;
plan skip_all => 'Better Auth is not here' if !defined $frontend;
my $tmp = File::Temp->newdir;
my $count = 0;

# An issuer of our own, whose standard error is $err (a handle, or undef: closed).
package One {
	use v5.36;
	use Test::More;

	# before: shell commands; options: for Node
	sub start ($class, $err, %o) {
		my $self = bless { path => "$tmp/" . ++$count . '.sock', err => $err }, $class;
		$self->{pid} = fork // die $!;
		if (!$self->{pid}) {
			open STDOUT, '>', '/dev/null';
			if ($err) { POSIX::dup2(fileno $err, 2) } else { POSIX::close(2) }
			chdir $stack->dir;
			%ENV = (PATH => $ENV{PATH}, NODE_OPTIONS => $o{options} // '');
			{ exec 'sh', '-c',
			    ($o{before} // ':')
			    . '; set -a; . "$0"; ISSUER_SOCKET=$2 ISSUER_RATE_LIMIT=off;'
			    . ' exec "$1/node" "$1/issuer/main.js"',
			    $stack->file('etc/settings.env'), $frontend, $self->{path} };
			POSIX::_exit(127);
		}
		return $self;
	}

	# True once it answers: its socket is there before it takes TERM.
	sub ready ($self) { Facts::poll(sub { $self->answers || $self->ended },
	    'it answers') && !$self->ended }
	sub answers ($self) {
		return -S $self->{path} && eval {
			Issuer->at($self->{path}, $self->{pid})->send('GET', '/api/auth/ok')
			    ->status == 200;
		};
	}
	sub ended ($self) { $self->{ended} ||= waitpid($self->{pid},
	    POSIX::WNOHANG) > 0 ? "status $?" : undef }

	# Has it write so many lines: each is a request from an origin that is not ours.
	sub complain ($self, $times) {
		my $client = Issuer->at($self->{path}, $self->{pid});
		my %status;
		for (1 .. $times) {
			my $answer = eval { $client->send('POST', '/api/auth/sign-in/email',
			    [[Origin => 'https://evil.example'],
			    ['Content-Type' => 'application/json']],
			    '{"email":"a@example.com","password":"x"}') };
			$status{ $answer ? $answer->status : 'no answer' }++;
			last if !$answer;
		}
		return \%status;
	}

	# Its exit status after TERM, or undef if it takes more than 8 s.
	sub stop ($self) {
		kill TERM => $self->{pid};
		my $left = 800;
		select undef, undef, undef, 0.01 while !$self->ended && $left--;
		my $in_time = $self->ended;
		if (!$in_time) { kill KILL => $self->{pid}; waitpid $self->{pid},
		    0; $self->{ended} = 1 }
		return $in_time;
	}
	sub DESTROY ($self) { return
	    if $self->{ended}; kill KILL => $self->{pid}; waitpid $self->{pid}, 0 }
}

# Starts, answers and stops as if there were a log.
sub goes_on ($name, $err, $meanwhile = sub { }) {
	my $one = One->start($err);
	if (!ok($one->ready, "$name: it starts")) { return $one }
	$meanwhile->($one);
	is_deeply($one->complain(50), { 403 => 50 }, "$name: what would be logged is answered");
	is($one->ended, undef, "$name: it goes on");
	is($one->stop, 'status 0', "$name: and stops when it is told to");
	return $one;
}
sub lines ($file) { open my $f, '<', $file or die $!; return <$f> }

pipe(my $read, my $write) or die $!;
close $read;
goes_on('a pipe without a reader', $write);

pipe($read, $write) or die $!;
goes_on('a pipe whose reader goes', $write, sub ($one) { close $read });

socketpair(my $here, my $there, AF_UNIX, SOCK_STREAM, PF_UNSPEC) or die $!;
close $there;
goes_on('a socket without a reader, as the journal stops', $here);

open my $full, '>', '/dev/full' or die $!;
goes_on('/dev/full', $full);
goes_on('no standard error', undef);

open my $null, '>', '/dev/null' or die $!;
goes_on('/dev/null', $null);

open my $file, '>>', "$tmp/log" or die $!;
goes_on('a file', $file);
my @lines = lines("$tmp/log");
is(scalar(grep { /event=better_auth .*Invalid origin/ } @lines), 50, 'a file: each is in it');
is(scalar(grep { /event=(?:ready|stop)/ } @lines), 2, 'with the start and the stop');

SKIP: {
	mkdir "$tmp/disk";
	skip 'no disk can be mounted here', 6 if system 'mount', '-t', 'tmpfs', '-o',
	    'size=4k,nr_inodes=8', 'none', "$tmp/disk";
	open my $small, '>>', "$tmp/disk/log" or die $!;
	goes_on('a file on a disk that gets full', $small, sub ($one) {
		is_deeply($one->complain(50), { 403 => 50 }, 'it fills the disk');
		is(-s "$tmp/disk/log", 4096, 'the disk is full');
	});
	close $small;
	system 'umount', '-l', "$tmp/disk";
}

# Nobody reads, and nobody goes away. What waits is bounded, and what was lost is told.
for my $kind ('pipe', 'socket') {
	my ($in, $out);
	if ($kind eq 'pipe') { pipe($in, $out) or die $!; fcntl($out, F_SETPIPE_SZ,
	    4096) or die $! }
	else { socketpair($in, $out, AF_UNIX, SOCK_STREAM, PF_UNSPEC) or die $! }
	my $one = One->start($out);
	close $out;
	delete $one->{err};
	ok($one->ready, "a stuck $kind: it starts");
	my $many = 1500;
	is_deeply($one->complain($many), { 403 => $many }, "a stuck $kind: all are answered");
	fcntl $in, F_SETFL, O_NONBLOCK;
	my $text = '';
	my $drain = sub { 1 while sysread $in, $text, 65536, length $text };
	my $until = time + 15;
	# All that waits has come once a line of a later request has come whole.
	my $told;
	until ($told || time > $until) {
		$one->complain(1);
		$many++;
		$drain->();
		($told) = $text =~ /event=log_lost lines=(\d+)\n.*Invalid origin[^\n]*\n/s;
		select undef, undef, undef, 0.01;
	}
	ok($told, "a stuck $kind: that lines were lost is told once somebody reads");
	my $came = () = $text
	    =~ /^time=\S+ level=warning event=better_auth message="Invalid origin[^\n]*$/mg;
	is($came + ($told // 0), $many,
	    "a stuck $kind: $came lines came, and all others are counted");
	cmp_ok($came, '<', 1300, "a stuck $kind: what waited was bounded");
	$one->complain(1500);
	is($one->stop, 'status 0', "a stuck $kind: it stops when it is told to");
}

# --- signals ------------------------------------------------------------------

# Ports that the process listens on, which is none: it has its socket.
sub ports ($pid) {
	my %inode =
	    map { (readlink) =~ /\Asocket:\[(\d+)\]/ ? ($1 => 1) : () } glob "/proc/$pid/fd/*";
	my @lines = map { open my $f, '<', $_ or die $!; <$f> } '/proc/net/tcp', '/proc/net/tcp6';
	return grep { my @c = split; ($c[3] // '') eq '0A' && $inode{ $c[9] } } @lines;
}
sub has_begun ($pid) {
	open my $f, '<', "/proc/$pid/status" or return 0;
	local $/;
	return (<$f> // '') =~ /^SigCgt:\s+[0-9a-f]*([0-9a-f]{8})$/m && hex($1) & 1;
}
for my $round (1 .. 3) {
	my $one = One->start($null);
	poll { has_begun($one->{pid}) } 'it takes signals';
	my $sent = 0;
	until ($sent > 20 && -S $one->{path} || $one->ended || $sent > 2000) {
		kill +(qw(HUP USR1 USR2))[$sent++ % 3] => $one->{pid};
		select undef, undef, undef, rand 0.02;
	}
	ok($one->ready, "$sent HUPs, USR1s and USR2s while it starts: it starts");
	kill $_ => $one->{pid} for qw(HUP USR1 USR2) x 5;
	is_deeply($one->complain(5), { 403 => 5 }, 'and goes on');
	is_deeply([ports($one->{pid})], [], 'and opens no debugger');
	is($one->stop, 'status 0', 'until TERM');
}

# --- what belongs to no request ---------------------------------------------

# A timer and a promise that fail again and again, once the file "begin" is there.
open my $strays, '>>', "$tmp/strays" or die $!;
open my $stray, '>', "$tmp/stray.mjs" or die $!;
print {$stray} <<"END";
import { existsSync } from "node:fs";
let n = 0;
setInterval(() => {
	if (!existsSync("$tmp/begin"))
		return;
	Promise.reject(new Error("a-stray-promise"));
	throw n++ % 2 ? Object.create(null) : new Error("a-stray-timer");
}, 50);
END
close $stray;
my $one = One->start($strays, options => "--import=$tmp/stray.mjs");
ok($one->ready, 'it starts with code that will fail');
open my $begin, '>', "$tmp/begin" or die $!;
close $begin;
ok(poll(sub { my $text = join '',
    lines("$tmp/strays"); $text =~ /unhandledRejection reason=a-stray-promise/ && $text
    =~ /uncaughtException reason=a-stray-timer/ && $text =~ /uncaughtException reason=object/ },
    'strays are logged'), 'that code fails, which is logged');
is_deeply($one->complain(50), { 403 => 50 }, 'all are answered nevertheless');
is($one->stop, 'status 0', 'and it stops when it is told to');

# More connections than it has descriptors for.
open my $few, '>>', "$tmp/few" or die $!;
$one = One->start($few, before => 'ulimit -n 60');
ok($one->ready, 'it starts with 60 descriptors');
my @idle = map { IO::Socket::UNIX->new(Peer => $one->{path}, Type => SOCK_STREAM) } 1 .. 200;
is($one->ended, undef, '200 connections do not end it');
close $_ for grep { defined } @idle;
ok(poll(sub { ($one->complain(1)->{403} // 0) == 1 }, 'it answers again'),
    'and it answers once they are gone');
is($one->stop, 'status 0', 'and stops when it is told to');

$stack->done;
