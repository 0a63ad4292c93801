package Stage::Folder;

# The folder of a stage. When root runs it, everything belongs to root, and the
# services read it as the user todo-staging; they write in run, log, tmp and data
# alone. What root trusts lies elsewhere:
#
#	etc	settings and secrets that the services read
#	stage	records of what runs, and the logs of what the stage does itself
#	pool	the pool's socket, made by root and given to the services
#	run	sockets and files that the services make
#	log	their logs
#	tmp	MariaDB's temporary files
#	data	its data
#
# When another user runs it, the services run as that user.

use v5.36;
use Exporter qw(import);
use Fcntl qw(LOCK_EX O_NONBLOCK O_RDONLY);
use File::Path ();
use IPC::Open2 qw(open2);
use Stage::Process qw(as_user output run);

our @EXPORT_OK = qw(slurp random digest assignment);
my $SERVICES = 'todo-staging';

# dir: where; tell: what to do with a line about progress
sub new ($class, %o) {
	my ($user, $group) = $> == 0 ? ($SERVICES, $SERVICES)
	    : (scalar getpwuid $>, scalar getgrgid $) + 0);
	chomp(my $dir = output('realpath', '-m', '--', $o{dir}));
	return bless { tell => sub ($text) { }, %o, dir => $dir, user => $user, group => $group },
	    $class;
}

sub dir ($self) { $self->{dir} }
sub file ($self, $name) { "$self->{dir}/$name" }
sub progress ($self, $text) { $self->{tell}->($text) }

# [uid, gid] of the services, if that is somebody else.
sub services ($self) {
	return $> == 0 ? $self->{services} //= [(getpwnam $SERVICES)[2, 3]] : undef;
}

sub was_made ($self) { -e $self->file('.staging') }

# Makes the folder or what it lacks, and locks it.
sub make ($self) {
	my $dir = $self->{dir};
	# The kernel takes 107 bytes as the path of a socket.
	die "$dir is too long a name for a folder with sockets\n" if length $dir > 80;
	die "$dir: only letters, digits and _./+- in its name, please\n"
	    if $dir =~ m{[^A-Za-z0-9_./+-]};
	File::Path::make_path($dir);
	die "$dir belongs to another user: name another STAGING_DIR\n" if !-o $dir || -l $dir;
	die "$dir holds other things: name another STAGING_DIR\n"
	    if !$self->was_made && output('ls', '-A', '--', $dir) ne '';
	open my $mark, '>>', $self->file('.staging') or die "$dir/.staging: $!\n";
	_make_user() if $> == 0;
	# Only root could have put a link into a folder of root's.
	my ($etc, $pool, $stage, @written) = my @parts = map { $self->file($_) }
	    qw(etc pool stage run log tmp);
	chmod 0700, $dir;
	-d || mkdir $_, 0700 or die "$_: $!\n" for @parts;
	if (my $ids = $self->services) {
		my $data = $self->file('data');
		die "$dir was made by an older t/staging, for another user: remove it, or name "
		    . "another STAGING_DIR\n" if -d $data && (stat _)[4] != $ids->[0];
		$self->show($_) for $dir, $etc, $pool;
		chown @$ids, @written;
	}
	run(['test', '-x', $dir], as => $self->services) == 0
	    or die "$self->{user}, as whom the services run, cannot get to $dir\n";
	$self->lock;
}

# Several stages may find the user missing at once.
sub _make_user () {
	my $lock = _locked('/run/todo-fcgi-staging.lock');
	getpwnam $SERVICES or run([qw(useradd --system --user-group --no-create-home --home-dir
		/nonexistent --shell /usr/sbin/nologin), $SERVICES]) == 0
	    or die "the system user $SERVICES could not be made\n";
}

sub _locked ($path) {
	open my $lock, '>>', $path or die "$path: $!\n";
	flock $lock, LOCK_EX or die "$path: $!\n";
	return $lock;
}

# One verb at a time; the services do not inherit the lock.
sub lock ($self) {
	die "nothing was ever up in $self->{dir}\n" if !$self->was_made;
	$self->{lock} //= _locked($self->file('.staging'));
}
sub release ($self) { delete $self->{lock} }

# Writes a file that we and the services can read, unless it says so already.
# Returns its path.
sub put ($self, $name, $text) {
	my $path = $self->file($name);
	return $path if -f $path && slurp($path) eq $text;
	my $mask = umask 0077;
	open my $f, '>', "$path.new" or die "$path.new: $!\n";
	umask $mask;
	print {$f} $text;
	close $f or die "$path.new: $!\n";
	$self->show("$path.new");
	rename "$path.new", $path or die "$path: $!\n";
	return $path;
}

# Lets the services read a file or a folder of ours.
sub show ($self, $path) {
	my $ids = $self->services or return;
	chown 0, $ids->[1], $path;
	chmod -d $path ? 0750 : 0640, $path;
}

sub slurp ($path) {
	open my $f, '<', $path or die "$path: $!\n";
	local $/;
	return <$f> // '';
}
# A file in etc or stage, which no service can write.
sub read ($self, $name) { slurp($self->file($name)) }

sub random ($bytes) {
	open my $random, '<:raw', '/dev/urandom' or die "/dev/urandom: $!\n";
	sysread $random, my ($text), $bytes;
	return unpack 'H*', $text;
}
# A random text that stays the same in this folder.
sub made_up ($self, $name) {
	$self->put("etc/$name", random(24)) if !-s $self->file("etc/$name");
	return $self->read("etc/$name");
}

sub digest ($text) {
	my $pid = open2(my $out, my $in, 'sha256sum');
	print {$in} $text;
	close $in;
	my $digest = substr <$out>, 0, 64;
	waitpid $pid, 0;
	return $digest;
}

# Assignments that a shell reads too: written as NAME='value'; a value of one word
# may stand without the apostrophes.
sub assignment ($name, $value) { "$name='" . ($value =~ s/'/'\\''/gr) . "'\n" }
sub assignments ($self, $name) {
	return map {
		my ($variable, $value) = /\A(\w+)=(.*)\z/;
		$value =~ s/'\\''/'/g if defined $value && $value =~ s/\A'(.*)'\z/$1/;
		defined $variable ? ($variable => $value) : ();
	} split /\n/, $self->read($name);
}

# The last lines of a log. A service's log is opened as that service's user, since
# root would follow a link that the service left there.
sub tail ($self, $name, $lines = 15) {
	my $user = $name =~ m{\Alog/} ? $self->services : undef;
	my $log;
	my $open = sub { sysopen $log, $self->file($name), O_RDONLY | O_NONBLOCK };
	return if !as_user($user, $open) || !-f $log;
	seek $log, -65536, 2 if -s _ > 65536;
	my @lines = <$log>;
	return @lines > $lines ? @lines[-$lines .. -1] : @lines;
}

# Dies of what a log explains.
sub fail ($self, $log, $message) {
	print STDERR map { "    $_" } $self->tail($log);
	die "$message; the log is " . $self->file($log) . "\n";
}

# Runs a command to its end with its output in a log, and dies if it fails.
# o: those of Stage::Process::start
sub must ($self, $log, $failure, $command, %o) {
	run($command, %o, out => $self->file($log)) == 0 or $self->fail($log, $failure);
}

1;
