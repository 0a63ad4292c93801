package Machine;

# The folder of a run, the packages it needs, and the processes in it: each
# service leads a session of its own, so that what it forks is found by that,
# measured with it and stopped with it.

use v5.36;
use Cwd ();
use Fcntl qw(O_NOFOLLOW O_NONBLOCK O_RDONLY);
use File::Path ();
use File::Temp ();
use IO::Socket::INET;
use POSIX ();
use Time::HiRes qw(sleep time);

my $TICKS = POSIX::sysconf(POSIX::_SC_CLK_TCK());

# As root the services run as a user of their own, the one of t/staging. That user
# writes in data, log and run; root writes in the others, and opens nothing in those.
my ($USER) = $> == 0 ? 'todo-staging' : scalar getpwuid $>;
my @AS = $> == 0
    ? ('setpriv', "--reuid=$USER", "--regid=$USER", '--clear-groups') : ();

# dir: the folder, kept; without it one that is gone at the end.
sub new ($class, %o) {
	my $dir = $o{dir} && Cwd::abs_path($o{dir}) // $o{dir};
	my $made = !$dir;
	$dir //= File::Temp::tempdir('todo-bench-XXXXXX', TMPDIR => 1);
	my $self = bless {
		dir => $dir, made => $made, running => {}, owner => $$,
		tell => $o{tell} // sub ($text) { },
	}, $class;
	_make_user() if $> == 0;
	File::Path::make_path(map { "$dir/$_" } qw(etc run log data state));
	unlink glob "$dir/{log,state}/*";
	$self->own(map { "$dir/$_" } qw(run log data));
	$self->show($dir, "$dir/etc");
	return $self;
}

sub dir ($self) { $self->{dir} }
sub file ($self, $name) { "$self->{dir}/$name" }
sub as_user ($self) { @AS }
sub say ($self, $text) { $self->{tell}->($text) }

# Gives files to the services' user.
sub own ($self, @files) {
	return if $> != 0;
	my ($uid, $gid) = (getpwnam $USER)[2, 3];
	chown $uid, $gid, @files;
}

# Lets the services read what root writes.
sub show ($self, @files) {
	chmod -d $_ ? 0700 : 0600, $_ for @files;
	return if $> != 0;
	chown 0, (getpwnam $USER)[3], @files;
	chmod -d $_ ? 0750 : 0640, $_ for @files;
}

# Several runs may find the user missing at once.
sub _make_user () {
	system('flock', '/run/todo-fcgi-staging.lock', 'sh', '-c', <<'END', 'sh', $USER) == 0
		getent passwd "$1" >/dev/null ||
			exec useradd --system --user-group --no-create-home \
				--home-dir /nonexistent --shell /usr/sbin/nologin "$1"
END
	    or die "the user $USER could not be made\n";
}

sub put ($self, $name, $text) {
	my $file = $self->file($name);
	open my $f, '>', $file or die "$file: $!\n";
	print {$f} $text;
	close $f or die "$file: $!\n";
	$self->show($file);
	return $file;
}

# Runs a command to its end; its output goes to state/LOG.
sub do ($self, $log, @command) {
	my %o = ref $command[0] ? shift(@command)->%* : ();
	my $pid = fork // die "fork: $!\n";
	if (!$pid) {
		chdir $o{in} if $o{in};
		_redirect($o{from} // '/dev/null', $self->file("state/$log"));
		exec @command or POSIX::_exit(127);
	}
	waitpid $pid, 0;
	return if $? == 0;
	die "@command[0 .. ($#command > 2 ? 2 : $#command)] failed:\n"
	    . $self->tail("state/$log") . "the log is " . $self->file("state/$log") . "\n";
}

sub tail ($self, $log) {
	sysopen my $f, $self->file($log), O_RDONLY | O_NOFOLLOW | O_NONBLOCK or return '';
	my @lines = <$f>;
	return join '', map { "    $_" } @lines > 15 ? @lines[-15 .. -1] : @lines;
}

sub _redirect ($in, $out) {
	open STDIN, '<', $in or POSIX::_exit(126);
	open STDOUT, '>>', $out or POSIX::_exit(126);
	open STDERR, '>&', \*STDOUT or POSIX::_exit(126);
}

# Builds a program of one source file with what pkg-config says of libraries.
sub compile ($self, $name, $source, @libraries) {
	my @flags = map { split ' ', qx{pkg-config $_ @libraries} } '--cflags', '--libs';
	$self->do("$name-build.log", 'cc', qw(-std=c11 -D_GNU_SOURCE -O2 -Wall -Wextra), '-o',
		$self->file($name), $source, @flags);
}

# --- processes --------------------------------------------------------------

# Starts a service with `env` as its whole environment.
sub start ($self, $name, %o) {
	my $pid = fork // die "fork: $!\n";
	if (!$pid) {
		POSIX::setsid();
		chdir($o{in} // $self->{dir});
		open STDIN, '<', '/dev/null' or POSIX::_exit(126);
		%ENV = (PATH => '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
			LC_ALL => 'C.UTF-8', ($o{env} // {})->%*);
		exec @AS, 'sh', '-c', 'exec "$@" >>"$0" 2>&1', $self->file("log/$name.log"),
		    $o{run}->@* or POSIX::_exit(127);
	}
	$self->{running}{$name} = $pid;
	return $pid;
}

sub alive ($self, $name) {
	my $pid = $self->{running}{$name} // return 0;
	return waitpid($pid, POSIX::WNOHANG()) == 0;
}

# Polls until `ready` says so.
sub until ($self, $name, $ready, $pause = 0.02) {
	my $deadline = time + 30;
	until ($ready->()) {
		die "$name ended (status $?):\n" . $self->tail("log/$name.log") if !$self->alive($name);
		die "$name does not answer:\n" . $self->tail("log/$name.log")
		    if time > $deadline;
		sleep $pause;
	}
}

# The fields of /proc/PID/stat from the third on.
sub _stat ($pid) {
	open my $f, '<', "/proc/$pid/stat" or return;
	my $line = <$f> // return;
	return split / /, $line =~ s/\A.*\) //sr;
}

# The processes of a service.
sub pids ($self, $name) {
	my $leader = $self->{running}{$name} // return;
	return grep {
		my @stat = _stat($_);
		@stat && $stat[3] == $leader && $stat[0] ne 'Z';
	} map { m{(\d+)\z} } glob '/proc/[0-9]*';
}

# Microseconds of processor time that they have used so far.
sub cpu ($self, $name) {
	my $ticks = 0;
	for my $pid ($self->pids($name)) {
		my @stat = _stat($pid) or next;
		$ticks += $stat[11] + $stat[12];
	}
	return $ticks * 1e6 / $TICKS;
}

# Their proportional set size in KiB.
sub memory ($self, $name) {
	my $sum = 0;
	for my $pid ($self->pids($name)) {
		open my $f, '<', "/proc/$pid/smaps_rollup" or next;
		while (my $line = <$f>) { $sum += $1 if $line =~ /\APss:\s+(\d+)/ }
	}
	return $sum;
}

sub stop ($self, $name) {
	my $pid = $self->{running}{$name} // return;
	my $deadline = time + 10;
	kill TERM => $pid;
	while ($self->pids($name)) {
		if (time > $deadline) {
			kill KILL => $self->pids($name);
		} elsif (waitpid($pid, POSIX::WNOHANG()) > 0 || $! == POSIX::ECHILD()) {
			# The leader is gone and has left some behind.
			kill TERM => $self->pids($name);
		}
		sleep 0.01;
	}
	waitpid $pid, 0;
	delete $self->{running}{$name};
}

# Stops all there is, and leaves nothing that was not asked for.
sub end ($self) {
	return if $$ != $self->{owner};
	local ($?, $@);
	# The database last: the others would complain in its absence.
	$self->stop($_) for sort { ($a eq 'mariadb') - ($b eq 'mariadb') || $a cmp $b }
	    keys $self->{running}->%*;
	File::Path::remove_tree($self->{dir}) if $self->{made};
}

sub free_port ($self) {
	my $socket = IO::Socket::INET->new(Listen => 1, LocalAddr => '127.0.0.1')
	    or die "no free port: $!\n";
	push $self->{ports}->@*, $socket; # held until all are chosen
	return $socket->sockport;
}

sub ports_chosen ($self) { delete $self->{ports} }

# --- packages ---------------------------------------------------------------

# Those of these Debian packages that are not installed.
sub missing ($self, @packages) {
	return grep {
		my $status = qx{dpkg-query -W -f '\${db:Status-Abbrev}' '$_' 2>/dev/null};
		$status !~ /\Aii/;
	} @packages;
}

# Installs them. Services that come with them are kept from being started:
# policy-rc.d is Debian's way to say so.
my $AS_ROOT = <<'END';
	set -e
	policy=/usr/sbin/policy-rc.d
	mark="# for the time of an installation by bench/run"
	if [ ! -e $policy ] || grep -qxF "$mark" $policy; then
		trap "rm -f $policy" EXIT
		trap "exit 1" HUP INT TERM
		printf "#!/bin/sh\n%s\nexit 101\n" "$mark" >$policy
		chmod 755 $policy
	fi
	export DEBIAN_FRONTEND=noninteractive
	apt-get -q -o DPkg::Lock::Timeout=600 update
	apt-get -q -y -o DPkg::Lock::Timeout=600 install --no-install-recommends "$@"
	case " $* " in *" nginx "*) update-rc.d nginx disable ;; esac
END

sub install ($self, @packages) {
	my @missing = $self->missing(@packages) or return;
	$self->say("Installing with apt: @missing");
	my @sudo = $> == 0 ? () : ('sudo', '-n');
	$self->do('apt.log', @sudo, 'sh', '-c', $AS_ROOT, 'sh', @missing);
}

1;
