package Stage::Services;

# The services of a stage. Each leads a session of its own. stage/NAME.pid has its
# process id and when it began, so that a number which the kernel has given to
# another process meanwhile is never taken for the service. (A pool that spawn-fcgi
# forked is several processes.)

use v5.36;
use parent 'Stage::Folder';
use Fcntl qw(O_APPEND O_CREAT O_NONBLOCK O_WRONLY);
use POSIX ();
use Stage::Folder qw(digest slurp);
use Stage::Process qw(as_user pause start stat_of);

our %ENVIRONMENT = (
	PATH => '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
	LC_ALL => 'C.UTF-8',
);

# Starts a service, with `env` and nothing else of an environment, and returns its
# process id. Its output goes to log/NAME.log, which is opened as the services' user,
# who could have put a link in its place, and without waiting, as for a FIFO.
# log: another one; as_root: the command itself changes to the services' user
sub launch ($self, $name, $command, %o) {
	my $services = $self->services;
	my $log = $self->file($o{log} // "log/$name.log");
	my $out;
	as_user($services, sub {
		sysopen $out, $log, O_WRONLY | O_APPEND | O_CREAT | O_NONBLOCK, 0640;
	}) or die "$log: $!\n";
	my $pid = start($command, session => 1, cwd => $o{cwd} // $self->dir, out => $out,
	    as => $o{as_root} ? undef : $services, env => { %ENVIRONMENT, ($o{env} // {})->%* });
	$self->remember($name, $pid);
	return $pid;
}

sub remember ($self, $name, @pids) {
	$self->put("stage/$name.pid", join '', map {
		my %stat = stat_of($_);
		%stat ? "$_ $stat{since}\n" : ();
	} @pids);
}

sub _recorded ($self, $name) {
	return -e $self->file("stage/$name") ? $self->read("stage/$name") : '';
}

# [process id, since] of each. Version 0.1 has them in another file.
sub _leaders ($self, $name) {
	my $text = $self->_recorded("$name.since") || $self->_recorded("$name.pid");
	return map { [split] } split /\n/, $text;
}
sub pids ($self, $name) { map { $_->[0] } $self->_leaders($name) }
sub pids_of_running ($self, $name) {
	return $self->alive($name) ? $self->pids($name) : die "$name is down\n";
}

sub _lives ($leader) {
	my %stat = stat_of($leader->[0]) or return 0;
	return $stat{since} == $leader->[1] && $stat{state} ne 'Z';
}

# The names of those that were started and not stopped.
sub running ($self) { map { m{([^/]+)\.pid\z} } glob $self->file('stage/*.pid') }

# True if all of it runs.
sub alive ($self, $name) {
	my @leaders = $self->_leaders($name);
	return @leaders && !grep { !_lives($_) } @leaders;
}

# The service and what it started, even when the service itself is gone. Nobody
# else is in its session and at work in this folder.
sub members ($self, $name) {
	my @leaders = $self->_leaders($name) or return;
	return grep {
		my %stat = stat_of($_);
		%stat && $stat{state} ne 'Z'
		    && grep({ $stat{session} == $_->[0] && $stat{since} >= $_->[1] } @leaders)
		    && (readlink("/proc/$_/cwd") // '') =~ m{\A\Q$self->{dir}\E(?:/|\z)};
	} map { m{(\d+)\z} } glob '/proc/[0-9]*';
}

# Ends a service: its leaders end the others. We do when they have left some, and
# with KILL when there is no leader to wait for, or not in time.
sub stop ($self, $name) {
	return if !-e $self->file("stage/$name.pid");
	$self->progress("Stopping $name");
	my @leaders = grep { _lives($_) } $self->_leaders($name);
	kill TERM => $_->[0] for @leaders;
	my $deadline = time + (@leaders ? 15 : 0);
	my $told = 0;
	while (my @left = $self->members($name)) {
		if (time >= $deadline) {
			kill KILL => @left;
		} elsif (!$told && !grep { _lives($_) } @leaders) {
			$told = kill TERM => @left;
		}
		pause(0.02);
	}
	waitpid $_->[0], POSIX::WNOHANG() for @leaders;
	unlink map { $self->file("stage/$name.$_") } qw(pid since parts);
}

# Polls until the block is true. Dies if the service ends or takes too long.
sub until_ready ($self, $name, $ready, %o) {
	my $log = $o{log} // "log/$name.log";
	my $deadline = time + 60;
	until ($ready->()) {
		$self->fail($log, "$name ended") if !$self->alive($name);
		$self->fail($log, "$name does not answer") if time > $deadline;
		pause($o{pause} // 0.05);
	}
}

# What something was made or started with: files, and references to texts.
sub same_parts ($self, $name, @parts) { $self->_recorded("$name.parts") eq _digest_of(@parts) }
sub remember_parts ($self, $name, @parts) { $self->put("stage/$name.parts", _digest_of(@parts)) }
sub _digest_of (@parts) { digest(join "\n", map { ref ? $$_ : slurp($_) } @parts) }

# True if a service runs, and was started with these parts.
sub current ($self, $name, @parts) {
	return $self->alive($name) && $self->same_parts($name, @parts);
}

1;
