package Stage::Pool;

# How spawn-fcgi starts the pool.

use v5.36;

# The command, as in todo-fcgi.service, with the values of a spawn-fcgi.conf. Not run
# by root, spawn-fcgi ignores users and groups. pids: spawn-fcgi forks the workers,
# without a master, and writes their process ids to that file
sub command ($conf, $program, %o) {
	my %option = (s => 'SOCKET', M => 'SOCKET_MODE', U => 'SOCKET_USER', G => 'SOCKET_GROUP',
		b => 'BACKLOG', u => 'USER', g => 'GROUP');
	my @options = map { ("-$_" => $conf->{"FCGI_$option{$_}"}) }
	    grep { defined $conf->{"FCGI_$option{$_}"} } qw(s M U G b u g);
	my @fork = defined $o{pids} ? ('-F', $conf->{FCGI_WORKERS}, '-P', $o{pids}) : '-n';
	return ('spawn-fcgi', @options, @fork, '--', @$program);
}

# Where the sanitizers of a build that has them report.
sub sanitizers ($report) {
	return (ASAN_OPTIONS => "log_path=$report:exitcode=99",
		UBSAN_OPTIONS => "log_path=$report:print_stacktrace=1");
}

1;
