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
use Fcntl qw(LOCK_EX O_NONBLOCK O_RDONLY);
use File::Path ();
use IPC::Open2 qw(open2);
use Stage::Process qw(as_user output run);

my $SERVICES = 'todo-staging';
my $MARK = '.staging';

# dir: where; tell: what to do with a line about progress
sub new ($class, %o) {
	my ($user, $group) = $> == 0 ? ($SERVICES, $SERVICES)
	    : (scalar getpwuid $>, scalar getgrgid $) + 0);
	my $dir = output('realpath', '-m', '--', $o{dir});
	chomp $dir;
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

sub was_made ($self) { -e $self->file($MARK) }

# Makes the folder or what it lacks, and locks it.
sub make ($self) {
	my $dir = $self->{dir};
	# The kernel takes 107 bytes as the path of a socket.
	die "$dir is too long a name for a folder with sockets\n" if length $dir > 80;
	die "$dir: only letters, digits and _./+- in its name, please\n"
	    if $dir =~ m{[^A-Za-z0-9_./+-]};
	File::Path::make_path($dir);
	-o $dir && !-l $dir
	    or die "$dir belongs to another user: name another STAGING_DIR\n";
	opendir my $entries, $dir or die "$dir: $!\n";
	die "$dir holds other things: name another STAGING_DIR\n"
	    if !$self->was_made && grep { !/\A\.\.?\z/ } readdir $entries;
	open my $mark, '>>', $self->file($MARK) or die "$dir/$MARK: $!\n";
	# Only root could have put a link into a folder of root's.
	_make_user() if $> == 0;
	my @parts = map { $self->file($_) } qw(etc stage pool run log tmp);
	my ($etc, undef, $pool, @written) = @parts;
	chmod 0700, $dir;
	-d || mkdir $_, 0700 or die "$_: $!\n" for @parts;
	if (my $ids = $self->services) {
		my ($uid, $gid) = @$ids;
		my $data = $self->file('data');
		die "$dir was made by an older t/staging, for another user: remove it, or name "
		    . "another STAGING_DIR\n" if -d $data && (stat _)[4] != $uid;
		chown 0, $gid, $dir, $etc, $pool;
		chown $uid, $gid, @written;
		chmod 0750, $dir, $etc, $pool;
	}
	run(['test', '-x', $dir], as => $self->services) == 0
	    or die "$self->{user}, as whom the services run, cannot get to $dir\n";
	$self->lock;
}

# Several stages may find the user missing at once.
sub _make_user () {
	return if getpwnam $SERVICES;
	my $lock = _locked('/run/todo-fcgi-staging.lock');
	run(['sh', '-c', <<~'END', 'sh', $SERVICES]) == 0
		getent passwd "$1" >/dev/null ||
			exec useradd --system --user-group --no-create-home \
				--home-dir /nonexistent --shell /usr/sbin/nologin "$1"
		END
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
	$self->{lock} //= _locked($self->file($MARK));
}
sub release ($self) { delete $self->{lock} }

# Writes a file that we and the services can read, unless it says so already.
# Returns its path.
sub put ($self, $name, $text) {
	my $path = $self->file($name);
	return $path if -f $path && $self->read($name) eq $text;
	unlink "$path.new";
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

# Gives the services a folder of their own.
sub give ($self, $path) {
	mkdir $path, 0700 or die "$path: $!\n";
	my $ids = $self->services or return;
	chown @$ids, $path;
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

# Assignments that a shell reads too: written as NAME='value'; a value of one word
# may stand without the apostrophes.
sub assignment ($name, $value) { "$name='" . ($value =~ s/'/'\\''/gr) . "'\n" }
sub assignments ($self, $name) {
	my %value;
	for (split /\n/, $self->read($name)) {
		my ($variable, $value) = /\A(\w+)=(.*)\z/ or next;
		$value =~ s/'\\''/'/g if $value =~ s/\A'(.*)'\z/$1/;
		$value{$variable} = $value;
	}
	return %value;
}

sub slurp ($path) {
	open my $f, '<', $path or die "$path: $!\n";
	local $/;
	return <$f> // '';
}

sub null ($self) {
	open my $null, '+<', '/dev/null' or die "/dev/null: $!\n";
	return $null;
}

sub digest ($text) {
	my $pid = open2(my $out, my $in, 'sha256sum');
	print {$in} $text;
	close $in;
	my $line = <$out>;
	waitpid $pid, 0;
	return substr $line, 0, 64;
}

# The last lines of a log. A service's log is opened as that service's user, since
# root would follow a link that the service left there.
sub tail ($self, $name, $lines = 15) {
	my $user = $name =~ m{\Alog/} ? $self->services : undef;
	my $log;
	as_user($user, sub { sysopen $log, $self->file($name), O_RDONLY | O_NONBLOCK })
	    && -f $log or return;
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
	open my $out, '>>', $self->file($log) or die $self->file($log) . ": $!\n";
	run($command, %o, out => $out) == 0 or $self->fail($log, $failure);
}

1;
