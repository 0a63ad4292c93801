package Stage::Services;

# The services of a stage. Each leads a session of its own. stage/NAME.pid has its
# process id and stage/NAME.since when it began, so that a number which the kernel
# has given to another process meanwhile is never taken for the service. (A pool
# that spawn-fcgi forked is several processes.)

use v5.36;
use parent 'Stage::Folder';
use POSIX ();
use Stage::Process qw(pause start stat_of);

our %ENVIRONMENT = (
	PATH => '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
	LC_ALL => 'C.UTF-8',
);

# Starts a service, with `env` and nothing else of an environment. Its output goes
# to log/NAME.log, what it says before that log is open to stage/NAME.launch.
# log: another one; as_root: the command itself changes to the services' user
sub launch ($self, $name, $command, %o) {
	my $services = $self->services;
	open my $launch, '>', $self->file("stage/$name.launch") or die "stage/$name.launch: $!\n";
	my $pid = start($command, session => 1, cwd => $o{cwd} // $self->dir, out => $launch,
	    log => $self->file($o{log} // "log/$name.log"), log_as => $services,
	    as => $o{as_root} ? undef : $services, env => { %ENVIRONMENT, ($o{env} // {})->%* });
	$self->remember($name, $pid) if !$o{forks};
	return $pid;
}

sub remember ($self, $name, @pids) {
	my %since = map { my %stat = stat_of($_); $stat{since} ? ($_ => $stat{since}) : () } @pids;
	$self->_record($name, pid => join '', map { "$_\n" } @pids);
	$self->_record($name, since => join '', map { "$_ $since{$_}\n" } grep { $since{$_} } @pids);
}

sub _record ($self, $name, $what, $text) {
	my $path = $self->file("stage/$name.$what");
	open my $f, '>', $path or die "$path: $!\n";
	print {$f} $text;
	close $f or die "$path: $!\n";
}

sub _recorded ($self, $name, $what) {
	return -e $self->file("stage/$name.$what") ? $self->read("stage/$name.$what") : '';
}

sub pids ($self, $name) { split ' ', $self->_recorded($name, 'pid') }
sub _leaders ($self, $name) { map { [split] } split /\n/, $self->_recorded($name, 'since') }

sub _lives ($pid, $since) {
	my %stat = stat_of($pid) or return 0;
	return $stat{since} == $since && $stat{state} ne 'Z';
}

# The names of those that were started and not stopped.
sub running ($self) {
	return map { m{([^/]+)\.since\z} } glob $self->file('stage/*.since');
}

# True if all of it runs.
sub alive ($self, $name) {
	my @leaders = $self->_leaders($name) or return 0;
	return !grep { !_lives(@$_) } @leaders;
}

# The service and what it started, even when the service itself is gone. Nobody
# else is in its session and at work in this folder.
sub members ($self, $name) {
	my @leaders = $self->_leaders($name) or return;
	my @members;
	for my $pid (map { m{(\d+)\z} } glob '/proc/[0-9]*') {
		my %stat = stat_of($pid) or next;
		next if $stat{state} eq 'Z';
		next if !grep { $stat{session} == $_->[0] && $stat{since} >= $_->[1] } @leaders;
		my $cwd = readlink("/proc/$pid/cwd") // '';
		push @members, $pid if "$cwd/" =~ m{\A\Q$self->{dir}\E/};
	}
	return @members;
}

# Ends a service: its leaders end the others. We do when they have left some, and
# with KILL when there is no leader to wait for, or not in time.
sub stop ($self, $name) {
	return if !-e $self->file("stage/$name.since");
	$self->progress("Stopping $name");
	my @leaders = grep { _lives(@$_) } $self->_leaders($name);
	kill TERM => $_->[0] for @leaders;
	my $deadline = time + (@leaders ? 15 : 0);
	my $told = 0;
	while (my @left = $self->members($name)) {
		if (time >= $deadline) {
			kill KILL => @left;
		} elsif (!$told && !grep { _lives(@$_) } @leaders) {
			$told = kill TERM => @left;
		}
		pause(0.02);
	}
	waitpid $_->[0], POSIX::WNOHANG() for @leaders;
	unlink map { $self->file("stage/$name.$_") } qw(pid since spec);
}

# Polls until the block is true. Dies if the service ends or takes too long.
sub until_ready ($self, $name, $ready, %o) {
	my $log = $o{log} // "log/$name.log";
	my $deadline = time + 60;
	until ($ready->()) {
		$self->fail($log, "$name ended " . $self->_recorded($name, 'launch') =~ s/\n\z//r)
		    if !$self->alive($name);
		$self->fail($log, "$name does not answer") if time > $deadline;
		pause($o{pause} // 0.05);
	}
}

# A digest of what a service is started with: files, and references to texts. A
# service is started anew when this has changed.
sub spec ($self, @parts) {
	return Stage::Folder::digest(join "\n", map { ref ? $$_ : Stage::Folder::slurp($_) } @parts);
}
sub current ($self, $name, $spec) {
	return $self->alive($name) && $self->_recorded($name, 'spec') eq $spec;
}
sub specified ($self, $name, $spec) { $self->_record($name, spec => $spec) }

1;
