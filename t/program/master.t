# Goal: the master (todo-fcgi -w N) keeps N workers. It replaces workers that die, with
# pauses if they die young, renews them one by one at HUP, and ends with them. The
# workers here are stand-ins that do what they are told; t/program/pool.t has real ones.

use v5.36;
use FindBin;
use lib "$FindBin::Bin/../lib";
use File::Temp ();
use POSIX ();
use Test::More;
use Time::HiRes ();
use Time::Local qw(timegm);
use Facts;
use Files;

my $program = $ENV{TODO_FCGI}
    // (defined $ENV{STAGING_BUILD} ? "$ENV{STAGING_BUILD}/todo-fcgi" : undef);
plan skip_all => 'neither TODO_FCGI nor STAGING_BUILD says where the program is'
    if !defined $program;

my $dir = File::Temp->newdir('todo-master-XXXXXX', TMPDIR => 1);
my $secret = 'the secret of the master, long enough';

sub spew_program ($path, $text) {
	spew($path, $text);
	chmod 0755, $path or die "$path: $!";
}

# A stand-in reads at its start what to do:
#   exit N, die N (of signal N)   at once
#   hang                          never be ready
#   ready [S] [slow S|deaf]       be ready after S seconds; at TERM take S seconds
#                                 more, or ignore TERM
spew_program("$dir/stand-in", <<"END" . <<'END');
#!$^X
END
use v5.36;
use Time::HiRes qw(sleep time);
my $dir = $ENV{STAND_IN};
my $secret = 'the secret of the master, long enough';
sub environ { local (@ARGV, $/) = '/proc/self/environ'; <> }
sub settings {
	open my $f, '<&=', $ENV{TODO_SETTINGS_FD} or die;
	local $/;
	return join "\n", split /\0/, <$f>;
}
open my $f, '<', "$dir/do" or die;
chomp(my $do = <$f>);
open my $born, '>>', "$dir/born" or die;
my $descriptors = grep { /\ATODO_(?:READY|SETTINGS)_FD=/ } split /\0/, environ();
my $shown = environ() =~ /\Q$secret\E/ ? 'shown' : 'not shown';
my $given = settings() =~ /^BETTER_AUTH_SECRET=\Q$secret\E$/m ? 'given' : 'not given';
syswrite $born, join("\t", $$, time, $ENV{TODO_READY_FD} // '', $descriptors, $do, 'version 1',
    $shown, $given) . "\n";
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

# Starts a master of `n` stand-ins.
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
		open STDIN, '<', '/dev/null' or POSIX::_exit(98);
		open STDOUT, '>', '/dev/null' or POSIX::_exit(98);
		{ no warnings; exec { $program } $o{as} // "$dir/stand-in", '-w', $n }
		POSIX::_exit(99);
	}
	push @masters, $self;
	$self->{pid} = $pid;
	return $self;
}

sub to_do ($m, $do) { spew("$m->{dir}/do", "$do\n") }
sub born ($m) { map { [split /\t/] } split /\n/, slurp_if_there("$m->{dir}/born") }
sub log_of ($m) { slurp_if_there("$m->{dir}/log") }
sub logged ($m, $pattern) { scalar(() = log_of($m) =~ /$pattern/g) }
sub workers ($m) {
	my @pids = sort { $a <=> $b } split ' ',
	    slurp_if_there("/proc/$m->{pid}/task/$m->{pid}/children");
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
# A stand-in that is ready has a handler for TERM.
sub is_ready ($pid) {
	my ($caught) = slurp_if_there("/proc/$pid/status") =~ /^SigCgt:\s*\w*(\w{8})$/m;
	return defined $caught && hex($caught) & (1 << 14);
}
sub up ($m, $n) {
	poll {
		my @w = workers($m);
		@w == $n && @w == grep { is_ready($_) } @w
	} "$n workers"
}
# Is the process gone, or a zombie?
sub gone ($pid) { slurp_if_there("/proc/$pid/stat") !~ /\) [^ZX] / }
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

# N workers, and each has a descriptor on which to say that it is ready.
my $m = master(3, 'ready');
up($m, 3);
my @first = workers($m);
is(scalar(born($m)), 3, 'three workers are started');
ok(!(grep { $_->[3] != 2 } born($m)),
	'a worker has each descriptor variable once, whatever the environment of the master');
ok(!(grep { $_->[6] ne 'not shown' } born($m)),
	'the secret is not in the environment of a worker');
ok(!(grep { $_->[7] ne 'given' } born($m)), 'a worker gets the secret');
unlike(slurp_if_there("/proc/$m->{pid}/environ"), qr/\Q$secret\E/,
	"the secret is not in the master's environment");
like(slurp_if_there("/proc/$m->{pid}/environ"), qr/STAND_IN/,
	'the environment of the master can be read');
like(
	slurp_if_there("/proc/$m->{pid}/limits"), qr/^Max core file size\s+[01]\s+[01]\s/m,
	'the master leaves no core');
is(join(' ', map { readlink } glob "/proc/$first[0]/fd/*") =~ /signalfd|memfd/ ? 1 : 0, 0,
	'a worker does not inherit the descriptors of the master');

# A worker that dies is replaced, and the log says how it died.
for (['KILL', 'signal=9'], ['TERM', 'exit=0'], ['SEGV', 'signal=11']) {
	my ($signal, $how) = @$_;
	my ($victim, @others) = workers($m);
	kill $signal => $victim;
	poll { without($m, $victim) == 3 } "$signal: the worker is replaced";
	my %now = map { $_ => 1 } workers($m);
	is(scalar(grep { $now{$_} } @others), 2, "$signal: the other workers stay");
	poll { logged($m, qr/event=worker_died role=worker pid=$victim $how\n/) == 1 }
	    "$signal: the log has $how";
	up($m, 3);
}

# HUP: new workers, one by one, of the new program.
my @old = workers($m);
spew_program("$dir/stand-in", slurp_if_there("$dir/stand-in") =~ s/version 1/version 2/r);
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
is(scalar(without($m, @old)), 3, 'a reload replaces all workers');
ok($least >= 3 && $most <= 5,
	'during a reload there are never fewer than 3 ready workers, and at most 5 workers')
    or diag("$least to $most");
is((born($m))[-1][5], 'version 2', 'a reload starts the new program');
is(logged($m, qr/level=(?!info).*event=worker_ended/), 0, 'a reload ends the old workers with 0');

# New workers that do not become ready: the old ones stay.
for my $do ('exit 78', 'exit 1', 'die 6') {
	my @had = workers($m);
	my $failed = logged($m, qr/event=reload_failed/);
	to_do($m, $do);
	signal($m, 'HUP');
	poll { logged($m, qr/event=reload_failed/) > $failed } "a reload to workers that $do fails";
	is_deeply([workers($m)], \@had, "a reload to workers that $do: the old workers stay");
	ok(!defined ended($m), "a reload to workers that $do: the master stays");
}

# A worker that dies meanwhile: its replacement is tried again until it works.
my ($victim) = workers($m);
kill KILL => $victim;
my $births = born($m);
poll { born($m) > $births + 1 } 'a failed replacement is tried again';
is(scalar(grep { is_ready($_) } workers($m)), 2, 'the other two workers stay');
to_do($m, 'ready');
up($m, 3);
pass('a replacement is tried again until it works');
@old = workers($m);
signal($m, 'HUP');
poll { without($m, @old) == 3 } 'a reload works again';
up($m, 3);

# HUP during a reload: the second reload follows.
@old = workers($m);
my $generation = logged($m, qr/event=reloaded\n/);
to_do($m, 'ready 0.2');
signal($m, 'HUP');
poll { workers($m) == 4 } 'a reload is under way';
to_do($m, 'ready 0.05 second');
signal($m, 'HUP');
poll { logged($m, qr/event=reloaded\n/) > $generation && workers($m) == 3 } 'two reloads end';
my %doing = map { $_->[0] => $_->[4] } born($m);
is(scalar(grep { $doing{$_} =~ /second/ } workers($m)), 3,
	'after two reloads all workers are of the second');

# USR1, USR2 and PIPE do nothing.
signal($m, $_) for qw(USR1 USR2 PIPE);
# TERM during a reload.
to_do($m, 'ready 0.3');
signal($m, 'HUP');
poll { workers($m) == 4 } 'a reload is under way';
@old = workers($m);
signal($m, 'TERM');
is(exit_of($m), 0, 'TERM during a reload: the master exits 0');
is(scalar(grep { !gone($_) } @old), 0, 'TERM during a reload ends all workers');
like(log_of($m), qr/event=stop role=master pid=$m->{pid} exit=0\n/, 'TERM is logged');
is(scalar(grep { !/\Atime=\S+ level=\S+ event=\S+/ } split /\n/, log_of($m)), 0,
	'every line of the log is whole');

# INT and QUIT do the same; workers finish their request.
for my $signal (qw(INT QUIT)) {
	$m = master(2, 'ready slow 0.5');
	up($m, 2);
	@old = workers($m);
	signal($m, $signal);
	my $from = Time::HiRes::time;
	is(exit_of($m), 0, "$signal: the master exits 0");
	ok(Time::HiRes::time - $from > 0.4, "$signal: the master waits for its workers");
	is(scalar(grep { !gone($_) } @old), 0, "$signal: no worker is left");
	is(logged($m, qr/event=worker_ended .*exit=0\n/), 2, "$signal: no worker was killed");
}

# Workers that fail at the start.
for (['exit 78', 78], ['exit 64', 1]) {
	my ($do, $exit) = @$_;
	$m = master(3, $do);
	is(exit_of($m), $exit, "workers that $do at the start end the master with $exit");
	ok(born($m) <= 3, "workers that $do at the start are not tried again");
}
spew_program("$dir/broken", "#!/nonexistent/interpreter\n");
$m = master(2, 'ready', as => "$dir/broken");
is(exit_of($m), 1, 'a program that cannot be run: the master exits 1');
like(log_of($m), qr/event=worker_not_run .*reason="No such file/,
	'a program that cannot be run is logged');

# Workers that die young are replaced at once three times, then after growing pauses. A
# pause is the time from the death in the master's log to the next start. It is never too
# short; a busy machine can make it longer, but not at every attempt.
my ($early, $prompt);
for my $attempt (1 .. 10) {
	$m = master(1, 'exit 1');
	poll { born($m) >= 7 } 'a worker that dies young is started again and again';
	my @died = map { seconds($_) } log_of($m) =~ /^time=(\S+) \S+ event=worker_died /mg;
	my @time = map { $_->[1] } born($m);
	my @pause = map { $time[$_] - $died[$_ - 1] } 1 .. 6;
	ok($pause[3] >= 0.1 && $pause[4] >= 0.2 && $pause[5] >= 0.4,
		'after three replacements there are growing pauses')
	    or diag("@pause");
	my $from = Time::HiRes::time;
	signal($m, 'TERM');
	is(exit_of($m), 0, 'TERM during a pause: the master exits 0');
	$prompt ||= Time::HiRes::time - $from < 0.4;
	$early ||= $pause[0] < 0.1 && $pause[1] < 0.1 && $pause[2] < 0.1;
	last if $early && $prompt;
}
ok($early, 'the first three workers are replaced at once');
ok($prompt, 'TERM does not wait for the end of a pause');

$m = master(1, 'exit 1');
poll { born($m) >= 5 } 'there is a pause';
to_do($m, 'ready');
up($m, 1);
pass('a worker that works again stays');

# In a pool that fails as a whole the pauses do not grow faster.
my $four = master(4, 'exit 1');
poll { born($four) >= 19 } 'four workers that die together count as one death', 6;
signal($four, 'TERM');
is(exit_of($four), 0, 'TERM ends a pool of four that die together');

# A killed master: its workers end.
@old = workers($m);
kill KILL => $m->{pid};
is(exit_of($m), 'signal 9', 'the master is killed');
poll { !grep { !gone($_) } @old } 'the workers of a killed master end';
pass('no worker of a killed master is left');

# A worker that ignores TERM is killed.
$m = master(2, 'ready deaf');
poll {
	my @w =
	    grep {
		slurp_if_there("/proc/$_/status") =~ /^SigIgn:\s*\w*(\w{8})$/m
		    && hex($1) &
		    (1 << 14)
	    } workers($m);
	@w == 2
} 'two workers ignore TERM';
my $from = Time::HiRes::time;
signal($m, 'TERM');
is(exit_of($m, 20), 0, 'workers that ignore TERM: the master exits 0');
ok(Time::HiRes::time - $from > 8, 'workers that ignore TERM have ten seconds');
is(logged($m, qr/event=worker_killed/), 2, 'workers that ignore TERM are killed');

done_testing();
