# Goal: the systemd unit confines the workers, as far as this can be checked without
# starting it (make check-sandbox does that, in a container). Wherever the program runs, it
# leaves no core, and nothing of its processes that others can read holds the secret.

use v5.36;
use FindBin;
use lib "$FindBin::Bin/../lib";
use File::Temp ();
use POSIX qw(WNOHANG);
use Test::More;
use Facts;
use Faults;
use Files;
use Stack;

my $stack = Stack->new(inside => 1);

# The unit -----------------------------------------------------------------------

my $unit = slurp_if_there(Stack->root . '/todo-fcgi.service.in') =~ s/\\\n\s*/ /gr;
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
	'ps shows the settings of the socket and the users alone');

SKIP: {
	system('command -v systemd-analyze >/dev/null') == 0 or skip 'no systemd-analyze', 1;
	my $dir = File::Temp->newdir;
	my $service = slurp(Stack->root . '/todo-fcgi.service.in');
	spew("$dir/todo-fcgi.service", $service =~ s/\@bindir\@/\/usr\/bin/gr);
	my $analyze = 'systemd-analyze security --offline=true --no-pager';
	my $out = qx{$analyze "$dir/todo-fcgi.service" 2>&1};
	my ($exposure) = $out =~ /Overall exposure level for todo-fcgi.service: ([\d.]+)/
	    or skip 'systemd-analyze prints something else', 1;
	cmp_ok($exposure, '<=', 2.5, "systemd-analyze security: $exposure of 10") or diag($out);
}

# The program -------------------------------------------------------------------

my $secret = $stack->secret;
my $program = $stack->program;
sub no_secret ($name, @pids) {
	my @shown = grep { slurp_if_there($_) =~ /\Q$secret\E/ }
	    map { ("/proc/$_/environ", "/proc/$_/cmdline") } @pids;
	is_deeply(\@shown, [], "$name: the secret is in no environment and no argument");
	is_deeply([grep { (readlink // '') =~ /memfd:/ } map { glob "/proc/$_/fd/*" } @pids], [],
		"$name: no open file holds the secret");
	my $none = qr/^Max core file size\s+[01]\s+[01]\s/m;
	my @core = grep { slurp_if_there("/proc/$_/limits") !~ $none } @pids;
	is_deeply(\@core, [], "$name: no core can hold the secret");
}
no_secret('the stack', $stack->pid('pool'), $stack->workers);
my $file = spew($program->dir . '/secret', $secret);
for (['a secret in the environment', BETTER_AUTH_SECRET => $secret],
	['a secret in a file', BETTER_AUTH_SECRET => undef, BETTER_AUTH_SECRET_FILE => $file])
{
	my ($name, @env) = @$_;
	my $pool = $program->pool(master => 2, @env);
	poll { (() = $pool->log =~ /event=ready/g) == 2 } 'two workers are ready';
	no_secret($name, $pool->pid, $pool->workers);
	unlike($pool->log, qr/\Q$secret\E/, "$name: the log does not hold the secret");
}

# The program leaves no core, however it ends, even if it is started with cores enabled.
my $bold = $program->dir . '/bold';
spew($bold, <<~"END");
	#!/bin/sh
	cd '@{[$program->dir]}'
	ulimit -c unlimited
	exec "\${CORE_OF:-@{[$program->path]}}" "\$@"
	END
chmod 0755, $bold;
{ local $ENV{CORE_OF} = $^X; system $bold, '-e', 'kill ABRT => $$' }
SKIP: {
	skip 'no process leaves a core here', 3 if !($? & 128);
	skip 'sanitizers end the program by themselves', 3 if sanitized($stack->{build});
	local $program->{path} = $bold;
	for my $signal (qw(SEGV ABRT TRAP)) {
		my $worker = $program->worker;
		poll { $worker->log =~ /event=ready/ } 'a worker is ready';
		kill $signal => $worker->pid;
		my $status;
		poll { waitpid($worker->pid, WNOHANG) > 0 and defined($status = $?) }
		    "$signal ends the worker";
		is($status, POSIX->can("SIG$signal")->(),
			"a worker that got $signal leaves no core");
		$worker->{exit} = $status;
	}
}

$stack->done;
