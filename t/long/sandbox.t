# Goal: the unit shuts the workers in, as far as can be told without starting it
# (make check-sandbox does that, in a container); and wherever the program runs,
# no core of it is written and the secret is in nothing of its process that
# others may read.

use v5.36;
use FindBin;
use lib "$FindBin::Bin/../lib";
use File::Temp ();
use POSIX qw(WNOHANG);
use Test::More;
use Facts;
use Faults qw(slurp sanitized);
use Stack;

my $stack = Stack->new(inside => 1);

# The unit -----------------------------------------------------------------------

my $unit = slurp(Stack->root . '/todo-fcgi.service.in') =~ s/\\\n\s*/ /gr;
my %is;
push $is{$1}->@*, $2 while $unit =~ /^(\w+)=(.*)$/mg;
my %must = (
	NoNewPrivileges => 'yes', ProtectSystem => 'strict', ProtectHome => 'yes',
	PrivateTmp => 'yes', PrivateDevices => 'yes', MemoryDenyWriteExecute => 'yes',
	SystemCallArchitectures => 'native',
	RestrictAddressFamilies => 'AF_UNIX AF_INET AF_INET6',
	CapabilityBoundingSet => 'CAP_SETUID CAP_SETGID CAP_CHOWN', AmbientCapabilities => '',
	RestrictNamespaces => 'yes', LimitCORE => '1', ProtectProc => 'invisible',
	SystemCallFilter => '@system-service|~@privileged @resources|@setuid @chown',
	UMask => '0077',
);
for my $name (sort keys %must) {
	is(join('|', ($is{$name} // ['not there'])->@*), $must{$name}, "$name=$must{$name}")
}
my @from_outside = grep { !/\A\$\{FCGI_\w+\}\z/ } ($is{ExecStart}[0] =~ /(\$\{\w+\})/g);
is_deeply(\@from_outside, [],
	'no setting but of the socket and the users is an argument, which ps would show');

SKIP: {
	system('command -v systemd-analyze >/dev/null') == 0 or skip 'no systemd-analyze', 1;
	my $dir = File::Temp->newdir;
	open my $f, '>', "$dir/todo-fcgi.service" or die $!;
	print {$f} slurp(Stack->root . '/todo-fcgi.service.in') =~ s/\@bindir\@/\/usr\/bin/gr;
	close $f;
	my $out =
	    qx{systemd-analyze security --offline=true --no-pager "$dir/todo-fcgi.service" 2>&1};
	my ($exposure) = $out =~ /Overall exposure level for todo-fcgi.service: ([\d.]+)/
	    or skip 'systemd-analyze is of another kind', 1;
	cmp_ok($exposure, '<=', 2.5, "systemd-analyze security: $exposure of 10") or diag($out);
}

# The program -------------------------------------------------------------------

my $secret = $stack->secret;
my $program = $stack->program;
sub no_secret ($name, @pids) {
	my @shown = grep { slurp($_) =~ /\Q$secret\E/ }
	    map { ("/proc/$_/environ", "/proc/$_/cmdline") } @pids;
	is_deeply(\@shown, [], "$name: the secret is in no environment and no argument");
	is_deeply([grep { (readlink // '') =~ /memfd:/ } map { glob "/proc/$_/fd/*" } @pids], [],
		'nor in a file that is held open');
	my @core =
	    map { slurp("/proc/$_/limits") =~ /^Max core file size\s+([01])\s+([01])\s/m ? () : $_ }
	    @pids;
	is_deeply(\@core, [], 'nor could it be in a core');
}
no_secret('the stack', $stack->pid('pool'), $stack->workers);
my $file = $program->dir . '/secret';
open my $f, '>', $file or die $!;
print {$f} $secret;
close $f;
for (['a secret in the environment', BETTER_AUTH_SECRET => $secret],
	['a secret in a file', BETTER_AUTH_SECRET => undef, BETTER_AUTH_SECRET_FILE => $file])
{
	my ($name, @env) = @$_;
	my $pool = $program->pool(master => 2, @env);
	poll { (() = $pool->log =~ /event=ready/g) == 2 } 'two are ready';
	no_secret($name, $pool->pid, $pool->workers);
	unlike($pool->log, qr/\Q$secret\E/, 'nor in the log');
}

# However it ends, and even if whoever starts it wants cores.
my $bold = $program->dir . '/bold';
open $f, '>', $bold or die $!;
print {$f} "#!/bin/sh\ncd '", $program->dir, "'\nulimit -c unlimited\nexec \"\${CORE_OF:-",
    $program->path, "}\" \"\$\@\"\n";
close $f;
chmod 0755, $bold;
{ local $ENV{CORE_OF} = $^X; system $bold, '-e', 'kill ABRT => $$' }
SKIP: {
	skip 'nothing leaves a core here', 3 if !($? & 128);
	skip 'sanitizers end by themselves', 3 if sanitized($stack->{build});
	local $program->{path} = $bold;
	for my $signal (qw(SEGV ABRT TRAP)) {
		my $worker = $program->worker;
		poll { $worker->log =~ /event=ready/ } 'a worker is ready';
		kill $signal => $worker->pid;
		my $status;
		poll { waitpid($worker->pid, WNOHANG) > 0 and defined($status = $?) }
		"$signal ends it";
		is($status, POSIX->can("SIG$signal")->(),
			"a worker that got $signal leaves no core");
		$worker->{exit} = $status;
	}
}

$stack->done;
