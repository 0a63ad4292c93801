# Goal: the master (todo-fcgi -w N) keeps N workers, replaces those that die,
# with pauses if they die young, rolls them over at HUP one by one, and ends with
# them. The workers here are stand-ins that do as they are told; t/program/pool.t has the
# real ones.

use v5.36;
use FindBin;
use lib "$FindBin::Bin/../lib";
use File::Temp ();
use POSIX ();
use Test::More;
use Time::HiRes ();
use Time::Local qw(timegm);
use Facts;

my $program = $ENV{TODO_FCGI}
    // (defined $ENV{STAGING_BUILD} ? "$ENV{STAGING_BUILD}/todo-fcgi" : undef);
plan skip_all => 'neither TODO_FCGI nor STAGING_BUILD says where the program is'
    if !defined $program;

my $dir = File::Temp->newdir('todo-master-XXXXXX', TMPDIR => 1);
my $secret = 'the secret of the master, long enough';

sub slurp ($path) { open my $f, '<', $path or return ''; local $/; return <$f> // '' }
sub spew ($path, $text) {
	open my $f, '>', "$path.new" or die "$path: $!";
	print {$f} $text;
	close $f;
	chmod 0755, "$path.new";
	rename "$path.new", $path or die "$path: $!";
}

# A worker reads what to do at its start:
#   exit N, die N (by a signal)   at once
#   hang                          never be ready
#   ready [S] [slow S|deaf]       be ready after S seconds; at TERM take S
#                                 seconds more, or take no notice
spew("$dir/stand-in", <<"END" . <<'END');
#!$^X
END
use v5.36;
use Time::HiRes qw(sleep time);
my $dir = $ENV{STAND_IN};
my $secret = 'the secret of the master, long enough';
sub environ { local (@ARGV, $/) = '/proc/self/environ'; <> }
sub settings { open my $f, '<&=', $ENV{TODO_SETTINGS_FD} or die; local $/; join "\n", split /\0/, <$f> }
open my $f, '<', "$dir/do" or die;
chomp(my $do = <$f>);
open my $born, '>>', "$dir/born" or die;
syswrite $born, join("\t", $$, time, $ENV{TODO_READY_FD} // '', scalar(grep { /\ATODO_(?:READY|SETTINGS)_FD=/ } split /\0/, environ()), $do, 'version 1',
    environ() =~ /\Q$secret\E/ ? 'shown' : 'not shown', settings() =~ /^BETTER_AUTH_SECRET=\Q$secret\E$/m ? 'given' : 'not given') . "\n";
exit $1 if $do =~ /\Aexit (\d+)/;
if ($do =~ /\Adie (\d+)/) { kill $1, $$; sleep 10 }
sleep 100 if $do eq 'hang';
my $slow = $do =~ /slow ([\d.]+)/ ? $1 : 0;
my $end;
$SIG{TERM} = $do =~ /deaf/ ? 'IGNORE' : sub { $end = 1 };
sleep $1 if $do =~ /\Aready ([\d.]+)/;
exit 0 if $end;
open my $ready, '>&=', $ENV{TODO_READY_FD} or die;
syswrite $ready, "\0";
close $ready;
sleep 0.01 until $end;
sleep $slow;
exit 0;
END

my @masters;

# A master of `n` stand-ins, as if it were they that had been called.
sub master ($n, $do, %o) {
	my $id = @masters;
	my $self = { dir => "$dir/$id" };
	mkdir $self->{dir};
	spew("$self->{dir}/todo.cnf", "[todo]\n");
	spew("$self->{dir}/do", "$do\n");
	my $pid = fork // die $!;
	if (!$pid) {
		%ENV = (PATH => $ENV{PATH}, STAND_IN => $self->{dir}, BETTER_AUTH_SECRET => $secret,
			BETTER_AUTH_URL => 'https://todo.example',
			TODO_DB_DEFAULTS_FILE => "$self->{dir}/todo.cnf",
			TODO_LOG => "$self->{dir}/log", TODO_READY_FD => 1, TODO_SETTINGS_FD => 1,
			%ENV{ grep { /\A(?:AS|UBS)AN_OPTIONS\z/ } keys %ENV }
		);
		open STDIN, '<', '/dev/null';
		open STDOUT, '>', '/dev/null';
		{ no warnings; exec { $program } $o{as} // "$dir/stand-in", '-w', $n }
		POSIX::_exit(99);
	}
	push @masters, $self;
	$self->{pid} = $pid;
	return $self;
}

sub to_do ($m, $do) { spew("$m->{dir}/do", "$do\n") }
sub born ($m) { map { [split /\t/] } split /\n/, slurp("$m->{dir}/born") }
sub log_of ($m) { slurp("$m->{dir}/log") }
sub logged ($m, $pattern) { scalar(() = log_of($m) =~ /$pattern/g) }
sub workers ($m) {
	my @pids = sort { $a <=> $b } split ' ', slurp("/proc/$m->{pid}/task/$m->{pid}/children");
	return @pids;
}
# The time of a line of the log, in seconds since 1970.
sub seconds ($text) {
	my ($y, $mo, $d, $h, $mi, $s) = $text =~ /\A(\d+)-(\d+)-(\d+)T(\d+):(\d+):([\d.]+)Z\z/
	    or die $text;
	return timegm(int $s, $mi, $h, $d, $mo - 1, $y) + $s - int $s;
}
sub signal ($m, $name) { kill $name, $m->{pid} }
sub ended ($m) {
	return $m->{exit} if defined $m->{exit};
	return undef if !waitpid $m->{pid}, POSIX::WNOHANG;
	return $m->{exit} = $? & 127 ? 'signal ' . ($? & 127) : $? >> 8;
}
sub exit_of ($m, $seconds = 5) { poll { defined ended($m) } 'the master ends', $seconds; ended($m) }
# What a stand-in is doing shows in how it takes TERM.
sub is_ready ($pid) {
	my ($caught) = slurp("/proc/$pid/status") =~ /^SigCgt:\s*\w*(\w{8})$/m;
	return defined $caught && hex($caught) & (1 << 14);
}
sub up ($m, $n) {
	poll {
		my @w = workers($m);
		@w == $n && @w == grep { is_ready($_) } @w
	}
	"$n workers"
}
# Not there, or dead and nobody asked.
sub gone ($pid) { slurp("/proc/$pid/stat") !~ /\) [^ZX] / }
sub without ($m, @gone) { my %gone = map { $_ => 1 } @gone; grep { !$gone{$_} } workers($m) }

END {
	my $status = $?;
	for my $m (@masters) {
		next if defined ended($m);
		my @all = workers($m);
		kill KILL => $m->{pid}, @all;
		waitpid $m->{pid}, 0;
	}
	$? = $status;
}

# As many as wanted, and each is told where to say that it is ready.
my $m = master(3, 'ready');
up($m, 3);
my @first = workers($m);
is(scalar(born($m)), 3, 'three are born');
ok(!(grep { $_->[3] != 2 } born($m)),
	'its two descriptors are named once, whatever the master had');
ok(!(grep { $_->[6] ne 'not shown' } born($m)),
	'the secret was never in the environment of a worker');
ok(!(grep { $_->[7] ne 'given' } born($m)), 'which has it all the same');
unlike(slurp("/proc/$m->{pid}/environ"), qr/\Q$secret\E/,
	"the secret is not in the master's environment");
like(slurp("/proc/$m->{pid}/environ"), qr/STAND_IN/, 'which could be read');
like(slurp("/proc/$m->{pid}/limits"), qr/^Max core file size\s+[01]\s+[01]\s/m,
	'it leaves no core');
is(join(' ', map { readlink } glob "/proc/$first[0]/fd/*") =~ /signalfd|memfd/ ? 1 : 0, 0,
	'what is open in the master is not in a worker');

# One that dies is replaced, and how it died is logged.
for (['KILL', 'signal=9'], ['TERM', 'exit=0'], ['SEGV', 'signal=11']) {
	my ($signal, $how) = @$_;
	my ($victim, @others) = workers($m);
	kill $signal => $victim;
	poll { without($m, $victim) == 3 } "after $signal there is another";
	is_deeply(
		[
			grep {
				my $w = $_;
				grep { $_ == $w } @others
			} workers($m)
		],
		\@others,
		'the others are as they were');
	poll { logged($m, qr/event=worker_died role=worker pid=$victim $how\n/) == 1 }
	"$how is logged";
	up($m, 3);
}

# HUP: new ones, one by one; the new program.
my @old = workers($m);
spew("$dir/stand-in", slurp("$dir/stand-in") =~ s/version 1/version 2/r);
to_do($m, 'ready 0.1');
signal($m, 'HUP');
my ($least, $most) = (99, 0);
poll {
	my @all = workers($m);
	my $ready = grep { is_ready($_) } @all;
	$least = $ready if $ready < $least;
	$most = @all if @all > $most;
	logged($m, qr/event=reloaded\n/) && @all == 3;
} 'a reload ends';
is(scalar(without($m, @old)), 3, 'and all are new');
ok($least >= 3 && $most <= 5, 'there were never fewer, and hardly more') or diag("$least to $most");
is((born($m))[-1][5], 'version 2', 'of the new program');
is(logged($m, qr/level=(?!info).*event=worker_ended/), 0, 'the old ones ended well');

# New ones that do not become ready: the old ones stay.
for my $do ('exit 78', 'exit 1', 'die 6') {
	my @had = workers($m);
	my $failed = logged($m, qr/event=reload_failed/);
	to_do($m, $do);
	signal($m, 'HUP');
	poll { logged($m, qr/event=reload_failed/) > $failed } "a reload to $do fails";
	is_deeply([workers($m)], \@had, 'and the old ones stay');
	ok(!defined ended($m), 'as does the master');
}

# One that dies meanwhile is tried again until it can be replaced.
my ($victim) = workers($m);
kill KILL => $victim;
my $births = born($m);
poll { born($m) > $births + 1 } 'the replacement of one that died is tried again';
is(scalar(grep { is_ready($_) } workers($m)), 2, 'the other two go on');
to_do($m, 'ready');
up($m, 3);
pass('until it can be');
@old = workers($m);
signal($m, 'HUP');
poll { without($m, @old) == 3 } 'and a reload works again';
up($m, 3);

# HUP while a reload is under way: both are done.
@old = workers($m);
my $generation = logged($m, qr/event=reloaded\n/);
to_do($m, 'ready 0.2');
signal($m, 'HUP');
poll { workers($m) == 4 } 'a reload is under way';
to_do($m, 'ready 0.05 second');
signal($m, 'HUP');
poll { logged($m, qr/event=reloaded\n/) > $generation && workers($m) == 3 } 'two reloads end';
my %doing = map { $_->[0] => $_->[4] } born($m);
is(scalar(grep { $doing{$_} =~ /second/ } workers($m)), 3, 'with three of the second');

# USR1 and USR2 mean other things elsewhere: here, nothing.
signal($m, $_) for qw(USR1 USR2 PIPE);
# TERM while a reload is under way.
to_do($m, 'ready 0.3');
signal($m, 'HUP');
poll { workers($m) == 4 } 'a reload is under way';
@old = workers($m);
signal($m, 'TERM');
is(exit_of($m), 0, 'TERM meanwhile ends the master with 0');
is(scalar(grep { !gone($_) } @old), 0, 'and everyone');
like(log_of($m), qr/event=stop role=master pid=$m->{pid} exit=0\n/, 'which is logged');
is(scalar(grep { !/\Atime=\S+ level=\S+ event=\S+/ } split /\n/, log_of($m)), 0,
	'no line of the log is torn');

# The other two ways to say it, and a worker that has something in hand.
for my $signal (qw(INT QUIT)) {
	$m = master(2, 'ready slow 0.5');
	up($m, 2);
	@old = workers($m);
	signal($m, $signal);
	my $from = Time::HiRes::time;
	is(exit_of($m), 0, "$signal ends it too");
	ok(Time::HiRes::time - $from > 0.4, 'after the workers have finished');
	is(scalar(grep { !gone($_) } @old), 0, 'and none is left');
	is(logged($m, qr/event=worker_ended .*exit=0\n/), 2, 'none was killed');
}

# Wrong from the beginning.
for (['exit 78', 78], ['exit 64', 1]) {
	my ($do, $exit) = @$_;
	$m = master(3, $do);
	is(exit_of($m), $exit, "workers that $do at the start end the master with $exit");
	ok(born($m) <= 3, 'and are not tried again');
}
spew("$dir/broken", "#!/nonexistent/interpreter\n");
$m = master(2, 'ready', as => "$dir/broken");
is(exit_of($m), 1, 'a program that cannot be run ends it with 1');
like(log_of($m), qr/event=worker_not_run .*reason="No such file/, 'which is logged');

# Those that die young are started again, at once and then more and more slowly.
# A pause is from the death in the master's log to the next birth. It is never
# shorter than it should be; a busy machine makes it longer, but not every time.
my ($early, $prompt);
for my $attempt (1 .. 10) {
	$m = master(1, 'exit 1');
	poll { born($m) >= 7 } 'a worker that dies young is started again and again';
	my @died = map { seconds($_) } log_of($m) =~ /^time=(\S+) \S+ event=worker_died /mg;
	my @time = map { $_->[1] } born($m);
	my @pause = map { $time[$_] - $died[$_ - 1] } 1 .. 6;
	ok($pause[3] >= 0.1 && $pause[4] >= 0.2 && $pause[5] >= 0.4,
		'after three there are growing pauses')
	    or diag("@pause");
	my $from = Time::HiRes::time;
	signal($m, 'TERM');
	is(exit_of($m), 0, 'TERM during a pause ends it');
	$prompt ||= Time::HiRes::time - $from < 0.4;
	$early ||= $pause[0] < 0.1 && $pause[1] < 0.1 && $pause[2] < 0.1;
	last if $early && $prompt;
}
ok($early, 'the first three are replaced at once');
ok($prompt, 'and a pause is not waited for at TERM');

$m = master(1, 'exit 1');
poll { born($m) >= 5 } 'in a pause';
to_do($m, 'ready');
up($m, 1);
pass('and once it works, it stays');

# In a large pool that fails as a whole the pauses grow no faster.
my $four = master(4, 'exit 1');
poll { born($four) >= 19 } 'four that die together count as one', 6;
signal($four, 'TERM');
is(exit_of($four), 0, 'four that die together count as one');

# A master that is killed takes its workers along.
@old = workers($m);
kill KILL => $m->{pid};
is(exit_of($m), 'signal 9', 'a master is killed');
poll { !grep { !gone($_) } @old } 'and its workers end';
pass('its workers end too');

# Nobody waits for ever for a worker that does not end.
$m = master(2, 'ready deaf');
poll {
	my @w =
	    grep { slurp("/proc/$_/status") =~ /^SigIgn:\s*\w*(\w{8})$/m && hex($1) & (1 << 14) }
	    workers($m);
	@w == 2
}
'two that take no notice of TERM';
my $from = Time::HiRes::time;
signal($m, 'TERM');
is(exit_of($m, 20), 0, 'they do not keep the master');
ok(Time::HiRes::time - $from > 8, 'though they have ten seconds');
is(logged($m, qr/event=worker_killed/), 2, 'and are killed then');

done_testing();
