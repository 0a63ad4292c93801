package Program;

# The binary itself, without nginx: run to its end, as one worker on a socket, or as
# a pool under spawn-fcgi. Each process has no environment but the one given here.

use v5.36;
use FastCGI;
use File::Temp ();
use IO::Socket::UNIX;
use POSIX ();
use Socket qw(SOCK_STREAM);
use Stage;
use Stage::Process qw(start);
use Time::HiRes ();

# path: the binary; env: what every start has (name => value)
# asan: where sanitizer reports go (a path prefix)
sub new ($class, %o) {
	return bless { %o, dir => File::Temp->newdir('todo-XXXXXX', TMPDIR => 1) }, $class;
}

sub path ($self) { $self->{path} }
sub dir ($self) { "$self->{dir}" }

# A setting of undef is not set.
sub _env ($self, $env) {
	my %e = ($self->{env}->%*, %$env, PATH => $ENV{PATH},
	    Stage::Pool::sanitizers($self->{asan}));
	delete @e{ grep { !defined $e{$_} } keys %e };
	return %e;
}

# Starts a command. Only the three handles and this environment are passed on.
sub start_with ($self, $env, $stdin, $stdout, $stderr, @command) {
	return start(\@command, in => $stdin, out => $stdout, err => $stderr,
		env => { $self->_env($env) });
}

sub _null ($mode) { open my $null, $mode, '/dev/null' or die $!; return $null }

# Runs it to its end: exit status (or "signal N"), standard output and error.
sub run ($self, $env, @args) {
	my ($out, $err) = map { File::Temp->new(DIR => $self->dir) } 1 .. 2;
	my $pid = $self->start_with($env, _null('<'), $out, $err, $self->path, @args);
	my $until = Time::HiRes::time() + 20;
	while (!waitpid $pid, POSIX::WNOHANG) {
		if (Time::HiRes::time() > $until) { kill KILL => $pid; waitpid $pid, 0 }
		Stage::Process::pause(0.005);
	}
	my $exit = $? & 127 ? 'signal ' . ($? & 127) : $? >> 8;
	return $exit, map { Stage::Folder::slurp("$_") } $out, $err;
}

my $sockets = 0;
sub _socket_path ($self) { $self->dir . '/s' . ++$sockets }

# One worker as spawn-fcgi leaves it: the listening socket is descriptor 0.
sub worker ($self, %env) {
	my $path = $self->_socket_path;
	my $listen = IO::Socket::UNIX->new(Local => $path, Listen => 64, Type => SOCK_STREAM);
	return $self->worker_at($path, $listen, %env);
}

# The same on a socket of the caller's, which a client reaches at `address`.
sub worker_at ($self, $address, $listen, %env) {
	die "$address: $!" if !$listen;
	my $file = $self->_socket_path . '.log';
	open my $log, '>>', $file or die $!;
	my $pid = $self->start_with(\%env, $listen, _null('>'), $log, $self->path);
	return Program::Running->new(program => $self, pid => $pid, path => $address, log => $file);
}

# A pool under spawn-fcgi. way: 'master' (-n, and -w workers) or 'fork' (-F workers).
sub pool ($self, $way, $workers, %env) {
	my $path = $self->_socket_path;
	my @program = ($self->path, $way eq 'fork' ? () : ('-w', $workers));
	my @command = Stage::Pool::command({ FCGI_SOCKET => $path, FCGI_SOCKET_MODE => '0600',
		FCGI_BACKLOG => 1024, FCGI_WORKERS => $workers }, \@program,
		$way eq 'fork' ? (pids => "$path.pid") : ());
	open my $log, '>>', "$path.log" or die $!;
	my $pid = $self->start_with(\%env, _null('<'), _null('>'), $log, @command);
	my $pool = Program::Running->new(program => $self, pid => $pid, path => $path,
	    log => "$path.log", way => $way);
	if ($way eq 'fork') {
		waitpid $pid, 0;
		$pool->{forked} = [split ' ', Stage::Folder::slurp("$path.pid")];
	}
	return $pool;
}

package Program::Running;

use v5.36;
use POSIX ();
use Stage::Process qw(children pause);
use Time::HiRes ();

sub new ($class, %o) { bless { %o, owner => $$ }, $class }

sub pid ($self) { $self->{pid} }
sub socket ($self) { $self->{path} }
sub client ($self, %o) { FastCGI->new(path => $self->{path}, %o) }

sub log ($self) { Stage::Folder::slurp($self->{log}) }

# The workers of the pool now.
sub workers ($self) {
	return grep { kill 0, $_ } $self->{forked}->@* if $self->{forked};
	return children($self->{pid});
}

sub signal ($self, $name) { kill $name, $self->{pid} }

# Its exit status once it has ended, undef while it runs.
sub ended ($self) {
	return $self->{exit} if defined $self->{exit};
	my $got = waitpid $self->{pid}, POSIX::WNOHANG;
	return undef if !$got;
	return $self->{exit} = $? & 127 ? 'signal ' . ($? & 127) : $? >> 8;
}

# The same, but waits for it; undef if it does not come in time.
sub wait ($self, $seconds = 15) {
	my $until = Time::HiRes::time() + $seconds;
	pause(0.01)
	    until defined $self->ended || Time::HiRes::time() > $until;
	return $self->{exit};
}

sub stop ($self) {
	my @pids = $self->{forked} ? $self->workers : $self->{pid};
	my $until = Time::HiRes::time() + 10;
	kill TERM => @pids if $self->{forked} || !defined $self->ended;
	while ($self->{forked} ? $self->workers : !defined $self->ended) {
		if (Time::HiRes::time() > $until) {
			kill KILL => ($self->{forked} ? () : $self->workers), @pids;
			$until += 10;
		}
		pause(0.01);
	}
}

sub DESTROY ($self) {
	local ($?, $@, $!);
	$self->stop if $$ == $self->{owner};
}

1;
