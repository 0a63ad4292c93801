# Goal: no log ends the issuer, stops it or fills its memory, whatever happens to its
# standard error; an error outside of any request does not end it either.

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
plan skip_all => 'Better Auth is not installed' if !defined $frontend;
my $tmp = File::Temp->newdir;
my $count = 0;

# A private issuer with the standard error `err`: a handle, or undef for a closed one.
package One {
	use v5.36;
	use Test::More;

	# before: shell commands; options: for Node
	sub start ($class, $err, %o) {
		my $self = bless { path => "$tmp/" . ++$count . '.sock', err => $err }, $class;
		$self->{pid} = fork // die $!;
		if (!$self->{pid}) {
			open STDOUT, '>', '/dev/null' or POSIX::_exit(126);
			if ($err) { POSIX::dup2(fileno $err, 2) } else { POSIX::close(2) }
			chdir $stack->dir;
			%ENV = (PATH => $ENV{PATH}, NODE_OPTIONS => $o{options} // '');
			my $command = ($o{before} // ':')
			    . '; set -a; . "$0"; ISSUER_SOCKET=$2 ISSUER_RATE_LIMIT=off;'
			    . ' exec "$1/node" "$1/issuer/main.js"';
			my $settings = $stack->file('etc/settings.env');
			{ exec 'sh', '-c', $command, $settings, $frontend, $self->{path} }
			POSIX::_exit(127);
		}
		return $self;
	}

	# True once it answers: its socket is there before it takes TERM.
	sub ready ($self) {
		Facts::poll(sub { $self->answers || $self->ended }, 'the issuer answers');
		return !$self->ended;
	}
	sub answers ($self) {
		return 0 if !-S $self->{path};
		my $issuer = Issuer->at($self->{path}, $self->{pid});
		return eval { $issuer->send('GET', '/api/auth/ok')->status == 200 };
	}
	sub ended ($self) {
		$self->{ended} ||= "status $?" if waitpid($self->{pid}, POSIX::WNOHANG) > 0;
		return $self->{ended};
	}

	# Makes it log this many lines: each is a request from a foreign origin.
	sub complain ($self, $times) {
		my $client = Issuer->at($self->{path}, $self->{pid});
		my @request = ('POST', '/api/auth/sign-in/email',
		    [[Origin => 'https://evil.example'], ['Content-Type' => 'application/json']],
		    '{"email":"a@example.com","password":"x"}');
		my %status;
		for (1 .. $times) {
			my $answer = eval { $client->send(@request) };
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
		$self->kill_it if !$in_time;
		return $in_time;
	}
	sub kill_it ($self) {
		kill KILL => $self->{pid};
		waitpid $self->{pid}, 0;
		$self->{ended} = 1;
	}
	sub DESTROY ($self) { $self->kill_it if !$self->{ended} }
}

# The issuer starts, answers and stops, whatever its standard error is.
sub goes_on ($name, $err, $meanwhile = sub { }) {
	my $one = One->start($err);
	if (!ok($one->ready, "$name: the issuer starts")) {
		diag("the issuer has ended: $one->{ended}");
		return $one;
	}
	$meanwhile->($one);
	is_deeply($one->complain(50), { 403 => 50 },
		"$name: requests that are logged are answered");
	is($one->ended, undef, "$name: the issuer goes on");
	is($one->stop, 'status 0', "$name: the issuer stops at TERM");
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
is(scalar(grep { /event=better_auth .*Invalid origin/ } @lines), 50,
	'a file: each request is in the log');
is(scalar(grep { /event=(?:ready|stop)/ } @lines), 2,
	'a file: the start and the stop are in the log');

SKIP: {
	mkdir "$tmp/disk";
	skip 'no disk can be mounted here', 6 if system 'mount', '-t', 'tmpfs', '-o',
	    'size=4k,nr_inodes=8', 'none', "$tmp/disk";
	open my $small, '>>', "$tmp/disk/log" or die $!;
	goes_on('a file on a disk that gets full',
		$small,
		sub ($one) {
			is_deeply($one->complain(50), { 403 => 50 },
				'requests that fill the disk are answered');
			is(-s "$tmp/disk/log", 4096, 'the disk is full');
		});
	close $small;
	system 'umount', '-l', "$tmp/disk";
}

# Nobody reads, and the other end stays open: the lines that wait are bounded, and the
# lost ones are counted in the log.
for my $kind ('pipe', 'socket') {
	my ($in, $out);
	if ($kind eq 'pipe') {
		pipe($in, $out) or die $!;
		fcntl($out, F_SETPIPE_SZ, 4096) or die $!;
	} else { socketpair($in, $out, AF_UNIX, SOCK_STREAM, PF_UNSPEC) or die $!;
	}
	my $one = One->start($out);
	close $out;
	delete $one->{err};
	ok($one->ready, "a stuck $kind: the issuer starts");
	my $many = 1500;
	is_deeply($one->complain($many), { 403 => $many },
		"a stuck $kind: all requests are answered");
	fcntl $in, F_SETFL, O_NONBLOCK;
	my $text = '';
	my $drain = sub { 1 while sysread $in, $text, 65536, length $text };
	my $until = time + 15;
	# Once a later line has come whole, all waiting lines have come.
	my $told;
	until ($told || time > $until) {
		$one->complain(1);
		$many++;
		$drain->();
		($told) = $text =~ /event=log_lost lines=(\d+)\n.*Invalid origin[^\n]*\n/s;
		select undef, undef, undef, 0.01;
	}
	ok($told, "a stuck $kind: the log has the number of lost lines once somebody reads");
	my $came = () = $text
	    =~ /^time=\S+ level=warning event=better_auth message="Invalid origin[^\n]*$/mg;
	is($came + ($told // 0), $many,
	    "a stuck $kind: $came lines came, and all others are counted as lost");
	cmp_ok($came, '<', 1300, "a stuck $kind: the number of waiting lines was bounded");
	$one->complain(1500);
	is($one->stop, 'status 0', "a stuck $kind: the issuer stops at TERM");
}

# --- signals ------------------------------------------------------------------

# The TCP ports that a process listens on.
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
	poll { has_begun($one->{pid}) } 'the issuer has its signal handlers';
	my $sent = 0;
	until ($sent > 20 && -S $one->{path} || $one->ended || $sent > 2000) {
		kill +(qw(HUP USR1 USR2))[$sent++ % 3] => $one->{pid};
		select undef, undef, undef, rand 0.02;
	}
	ok($one->ready, "$sent signals (HUP, USR1, USR2) do not stop a start");
	kill $_ => $one->{pid} for qw(HUP USR1 USR2) x 5;
	is_deeply($one->complain(5), { 403 => 5 }, 'the issuer answers after these signals');
	is_deeply([ports($one->{pid})], [], 'these signals open no debugger port');
	is($one->stop, 'status 0', 'the issuer stops at TERM after these signals');
}

# --- errors outside of requests ----------------------------------------------

# A timer and a promise of foreign code that fail again and again, once the file is there.
open my $strays, '>>', "$tmp/strays" or die $!;
open my $stray, '>', "$tmp/stray.mjs" or die $!;
print {$stray} <<"END";
import { existsSync } from "node:fs";
let n = 0;
setInterval(() => {
	if (!existsSync("$tmp/fail"))
		return;
	Promise.reject(new Error("a-stray-promise"));
	throw n++ % 2 ? Object.create(null) : new Error("a-stray-timer");
}, 50);
END
close $stray;
my $one = One->start($strays, options => "--import=$tmp/stray.mjs");
ok($one->ready, 'the issuer starts with code that will fail');
open my $fail, '>', "$tmp/fail" or die $!;
close $fail;
sub strays_logged () {
	my $text = join '', lines("$tmp/strays");
	return $text =~ /unhandledRejection reason=a-stray-promise/
	    && $text =~ /uncaughtException reason=a-stray-timer/
	    && $text =~ /uncaughtException reason=object/;
}
ok(poll(\&strays_logged, 'strays are logged'), 'failures outside of requests are logged');
is_deeply($one->complain(50), { 403 => 50 }, 'requests are answered beside these failures');
is($one->stop, 'status 0', 'the issuer stops at TERM after these failures');

# More connections than the issuer has descriptors.
open my $few, '>>', "$tmp/few" or die $!;
$one = One->start($few, before => 'ulimit -n 60');
ok($one->ready, 'the issuer starts with 60 descriptors');
my @idle = map { IO::Socket::UNIX->new(Peer => $one->{path}, Type => SOCK_STREAM) } 1 .. 200;
is($one->ended, undef, '200 connections do not end the issuer');
close $_ for grep { defined } @idle;
ok(poll(sub { ($one->complain(1)->{403} // 0) == 1 }, 'the issuer answers again'),
    'the issuer answers once these connections are gone');
is($one->stop, 'status 0', 'the issuer stops at TERM after these connections');

$stack->done;
