package Stage::Process;

# Starting processes, and what the kernel says of them. Like all of Stage, this
# needs no more of Perl than Debian's perl-base has.

use v5.36;
use Exporter qw(import);
use Fcntl qw(O_APPEND O_CREAT O_NONBLOCK O_WRONLY);
use POSIX ();

our @EXPORT_OK = qw(start run output stat_of children pause as_user);

sub pause ($seconds) { select undef, undef, undef, $seconds }

# Runs a block with the effective user and groups of `ids` (uid, gid), for opening
# a file where that user may have put a link. Without ids: as who we are.
sub as_user ($ids, $block) {
	return $block->() if !$ids;
	my ($uid, $groups) = ($>, $));
	$) = "$ids->[1] $ids->[1]";
	$> = $ids->[0];
	my @result = eval { $block->() };
	my $error = $@;
	$> = $uid;
	$) = $groups;
	die $error if $error;
	return wantarray ? @result : $result[0];
}

# Starts a command and returns its process id.
#   in, out, err  handles; default: /dev/null, ours, `out`
#   log           a file that takes both outputs; `as` opens it, and does not wait
#                 for the reader of a FIFO
#   as            [uid, gid] whom it runs as; log_as: who only opens the log
#   env           its whole environment; default: ours
#   cwd           its working directory
#   session       leads a session of its own, away from our terminal
sub start ($command, %o) {
	my $pid = fork // die "fork: $!\n";
	return $pid if $pid;
	eval { _enter(%o); exec { $command->[0] } @$command };
	syswrite STDERR, $@ || "$command->[0]: $!\n";
	POSIX::_exit(127);
}

sub _enter (%o) {
	POSIX::setsid() if $o{session};
	!defined $o{cwd} || chdir $o{cwd} or die "$o{cwd}: $!\n";
	my $in = $o{in};
	$in || open $in, '<', '/dev/null' or die "/dev/null: $!\n";
	my ($out, $err) = ($o{out}, $o{err} // $o{out});
	if (defined $o{log}) {
		umask 0027;
		as_user($o{log_as} // $o{as}, sub {
			sysopen $out, $o{log}, O_WRONLY | O_APPEND | O_CREAT | O_NONBLOCK, 0640
			    or die "$o{log}: $!\n";
		});
		umask 0022;
		$err = $out;
	}
	my @redirect = ([$in, 0], [$out, 1], [$err, 2]);
	for (grep { $_->[0] } @redirect) {
		POSIX::dup2(fileno $_->[0], $_->[1]) // die "dup2: $!\n";
	}
	if ($o{as}) {
		my ($uid, $gid) = $o{as}->@*;
		$) = "$gid $gid";
		POSIX::setgid($gid) && POSIX::setuid($uid) && $< == $uid && $> == $uid
		    or die "cannot become user $uid: $!\n";
	}
	%ENV = $o{env}->%* if $o{env};
}

# Runs a command to its end and returns $?.
sub run ($command, %o) {
	my $pid = start($command, %o);
	waitpid $pid, 0;
	return $?;
}

# What a command prints.
sub output (@command) {
	open my $out, '-|', @command or die "$command[0]: $!\n";
	local $/;
	my $text = <$out> // '';
	close $out or die "$command[0] failed\n";
	return $text;
}

# State, session, processor time in ticks, and the tick at which it began, of a
# process; an empty list if there is none of that number.
sub stat_of ($pid) {
	open my $f, '<', "/proc/$pid/stat" or return;
	my @stat = split ' ', (<$f> // return) =~ s/\A.*\) //sr;
	return (state => $stat[0], session => $stat[3], ticks => $stat[11] + $stat[12],
	    since => $stat[19]);
}

# The children of a process, by the kernel's own list.
sub children ($pid) {
	open my $f, '<', "/proc/$pid/task/$pid/children" or return;
	return split ' ', <$f> // '';
}

1;
