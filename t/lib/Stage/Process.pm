package Stage::Process;

# Starting processes, and what the kernel says of them. All of Stage needs no more
# of Perl than Debian's perl-base has.

use v5.36;
use Exporter qw(import);
use POSIX ();

our @EXPORT_OK = qw(start run output stat_of children pause as_user);

sub pause ($seconds) { select undef, undef, undef, $seconds }

# Runs a block with the effective ids of another user (uid, gid), who may have put a
# link in place of the file that the block opens. The block must not die.
sub as_user ($ids, $block) {
	return $block->() if !$ids;
	my ($uid, $groups) = ($>, $));
	$) = "$ids->[1] $ids->[1]";
	$> = $ids->[0];
	my $result = $block->();
	$> = $uid;
	$) = $groups;
	return $result;
}

# Starts a command and returns its process id.
#   in, out, err  handles or names of files; default: /dev/null, ours, `out`
#   as            [uid, gid] whom it runs as
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

# In the child.
sub _enter (%o) {
	POSIX::setsid() if $o{session};
	!defined $o{cwd} || chdir $o{cwd} or die "$o{cwd}: $!\n";
	my @to = ($o{in} // '/dev/null', $o{out}, $o{err} // $o{out});
	for my $fd (grep { defined $to[$_] } 0 .. 2) {
		my $file = ref $to[$fd] ? $to[$fd] : undef;
		$file || open $file, $fd ? '>>' : '<', $to[$fd] or die "$to[$fd]: $!\n";
		POSIX::dup2(fileno $file, $fd) // die "dup2: $!\n";
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
	waitpid start($command, %o), 0;
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
# process; an empty list if there is no process of that number.
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
