package Stage;

# The whole system in one folder, beside whatever else runs on the machine: a
# private MariaDB, the issuer of tokens (Better Auth), the pool of workers, and
# nginx on the loopback address and a port of its own. t/staging is its command
# line; the parts are in Stage/.

use v5.36;
use parent 'Stage::Services';
use Cwd ();
use File::Basename qw(dirname);
use Stage::Build;
use Stage::Certificate;
use Stage::Database;
use Stage::Folder qw(assignment digest slurp);
use Stage::Nginx;
use Stage::Packages;
use Stage::Pool;
use Stage::Process qw(children pause run);

our $TOP = Cwd::abs_path(dirname(__FILE__) . '/../..');
# What "up" takes from the environment and remembers: settings of the program, and
# of the stage.
our @SETTINGS = qw(JWT_ISSUER JWT_AUDIENCE JWT_LEEWAY JWT_MAX_LIFETIME TODO_LOG
    BETTER_AUTH_SECRET BETTER_AUTH_SECRETS);
our @KNOBS = qw(STAGING_WORKERS STAGING_SPAWN STAGING_ISSUER STAGING_CONFIGURE
    STAGING_BUILD STAGING_CORS STAGING_RATE_LIMIT);

# dir: default: $STAGING_DIR, or one for each checkout; tell: as of Stage::Folder
sub new ($class, %o) {
	my $state = $ENV{XDG_STATE_HOME} || ($> == 0 ? '/var/lib'
	    : ($ENV{HOME} || (getpwuid $>)[7]) . '/.local/state');
	$o{dir} ||= $ENV{STAGING_DIR}
	    || "$state/todo-fcgi/staging-" . substr digest("$TOP\n"), 0, 8;
	return $class->SUPER::new(%o);
}

# What was chosen now or at an earlier "up": the environment wins, and an empty
# value is the default again.
sub recall ($self) {
	my $dir = $self->dir;
	my %chosen = (-e "$dir/etc/chosen" ? $self->assignments('etc/chosen') : (),
		map { defined $ENV{$_} ? ($_ => $ENV{$_}) : () } @SETTINGS, @KNOBS);
	$self->{url} = -e "$dir/etc/url" ? $self->read('etc/url') : '';
	for (keys %chosen) {
		die "$_: has a line feed in it\n" if $chosen{$_} =~ /\n/;
		# What "env" printed, handed back, is not a choice.
		delete $chosen{$_} if $chosen{$_} eq ''
		    || /\AJWT_(?:ISSUER|AUDIENCE)\z/ && $chosen{$_} eq $self->{url}
		    || /\ASTAGING_BUILD\z/ && $chosen{$_} =~ m{\A\Q$dir\E/};
	}
	$self->{chosen} = \%chosen;
	my $flags = $self->chosen('STAGING_CONFIGURE');
	$self->{build} = $self->chosen('STAGING_BUILD')
	    || "$dir/build" . ($flags ne '' && '-' . substr digest($flags), 0, 8);
	# A build tree of another folder has its issuer beside it.
	my $beside = dirname($self->{build}) . '/frontend';
	$self->{frontend} = -d "$beside/node_modules" ? $beside : "$dir/frontend";
}

sub chosen ($self, $name, $default = '') { $self->{chosen}{$name} // $default }
sub url ($self) { $self->{url} }
sub has_issuer ($self) { $self->chosen('STAGING_ISSUER') ne '0' }

# --- all of it --------------------------------------------------------------

sub up ($self) {
	$self->make;
	$self->recall;
	# The secret has a file of its own.
	$self->put('etc/chosen', join '', map { assignment($_, $self->chosen($_)) }
	    grep { $_ ne 'BETTER_AUTH_SECRET' } sort keys $self->{chosen}->%*);
	Stage::Packages::install($self, qw(build serve issuer));
	$self->_build;
	Stage::Certificate::make($self);
	$self->start_nginx;
	$self->_configure;
	$self->start_mariadb;
	Stage::Database::migrate($self, $TOP, $self->_accounts);
	$self->start_pool;
	$self->start_issuer if $self->has_issuer;
	$self->_answers('pool', '/healthz');
	$self->_answers('issuer', '/api/auth/ok') if $self->has_issuer;
	$self->_answers('pool', '/readyz');
}

sub down ($self) {
	$self->lock;
	$self->stop($_) for qw(pool issuer nginx mariadb);
}

sub _build ($self) {
	my $build = $self->{build};
	if ($self->chosen('STAGING_BUILD') eq '') {
		Stage::Build::program($self, $TOP, $build, $self->chosen('STAGING_CONFIGURE'));
	} elsif (run(['test', '-x', "$build/todo-fcgi"], as => $self->services) != 0) {
		die "$build/todo-fcgi: not there, or not for $self->{user}\n";
	}
	Stage::Build::frontend($self, $TOP, $self->{frontend})
	    if $self->has_issuer && $self->{frontend} eq $self->file('frontend');
}

# Files for the pool and the issuer.
sub _configure ($self) {
	my ($dir, $user, $group) = @$self{qw(dir user group)};
	my $secret = $self->chosen('BETTER_AUTH_SECRET');
	$secret ne '' ? $self->put('etc/secret', $secret) : $self->made_up('secret');
	my ($password, $issuer) = map { $self->made_up("$_-password") } qw(todo issuer);
	Stage::Database::options($self, $password);
	$self->put('etc/settings.env', join '',
		assignment(BETTER_AUTH_SECRET_FILE => "$dir/etc/secret"),
		assignment(BETTER_AUTH_URL => $self->{url}),
		assignment(TODO_DB_DEFAULTS_FILE => "$dir/etc/todo.cnf"),
		assignment(ISSUER_SOCKET => "$dir/run/better-auth.sock"),
		assignment(ISSUER_DATABASE => "mysql://better_auth:$issuer\@localhost/better_auth"
			. "?socketPath=$dir/run/mariadb.sock"),
		assignment(ISSUER_RATE_LIMIT => 'off'),
		map { $_ ne 'BETTER_AUTH_SECRET' && $self->chosen($_) ne ''
			? assignment($_, $self->chosen($_)) : () } @SETTINGS);
	my $pool = Stage::Nginx::replaced('spawn-fcgi.conf', slurp("$TOP/spawn-fcgi.conf"),
		'FCGI_SOCKET=/run/todo-fcgi/' => "FCGI_SOCKET=$dir/pool/",
		'FCGI_SOCKET_USER=www-data' => "FCGI_SOCKET_USER=$user",
		'FCGI_SOCKET_GROUP=www-data' => "FCGI_SOCKET_GROUP=$group",
		'FCGI_USER=todo' => "FCGI_USER=$user", 'FCGI_GROUP=todo' => "FCGI_GROUP=$group");
	my $workers = $self->chosen('STAGING_WORKERS', 8);
	$self->put('etc/spawn-fcgi.conf', $pool =~ s/^FCGI_WORKERS=.*/FCGI_WORKERS=$workers/mr);
}

# How a test suite or another client reaches it: in this order, as name => value.
sub environment ($self) {
	die "nothing was ever up in $self->{dir}\n" if !-e $self->file('etc/settings.env');
	$self->recall;
	my %set = $self->assignments('etc/settings.env');
	my $all = $set{BETTER_AUTH_SECRETS};
	# Of several secrets the first is the one that signs.
	my ($secret) = $all ? $all =~ /\A(?:[^:,]*:)?\s*([^,]*?)\s*(?:,|\z)/
	    : $self->read('etc/secret');
	return ($all ? (BETTER_AUTH_SECRETS => $all) : (), STAGING_URL => $self->{url},
		STAGING_CA => $self->file('etc/ca.pem'), BETTER_AUTH_SECRET => $secret,
		BETTER_AUTH_URL => $set{BETTER_AUTH_URL},
		JWT_ISSUER => $set{JWT_ISSUER} || $set{BETTER_AUTH_URL},
		JWT_AUDIENCE => $set{JWT_AUDIENCE} || $set{BETTER_AUTH_URL},
		STAGING_DIR => $self->dir, STAGING_BUILD => $self->{build},
		STAGING_FRONTEND => $self->{frontend});
}

# --- MariaDB ----------------------------------------------------------------

sub start_mariadb ($self) { Stage::Database::start($self, '--innodb-buffer-pool-size=64M') }

# Each of the two accounts has a password, and the issuer's a database of its own.
sub _accounts ($self) {
	my ($todo, $issuer) = map { $self->made_up("$_-password") } qw(todo issuer);
	return slurp("$TOP/sql/grants.sql") . <<~END;
		ALTER USER todo\@localhost IDENTIFIED BY '$todo';
		CREATE DATABASE IF NOT EXISTS better_auth
			CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
		CREATE OR REPLACE USER better_auth\@localhost IDENTIFIED BY '$issuer';
		GRANT ALL ON better_auth.* TO better_auth\@localhost;
		END
}

# --- nginx ------------------------------------------------------------------

sub _port ($self) { $self->{url} =~ s/.*://r }

sub _configure_nginx ($self) {
	my ($dir, $etc) = ($self->dir, $self->file('etc'));
	my %place = (pool => "$dir/pool", issuer => "$dir/run", port => $self->_port,
		certificate => $etc, log => "$dir/log/nginx-access.log",
		page => "$self->{frontend}/dist");
	my $limit = $self->chosen('STAGING_RATE_LIMIT', 'off') eq 'off' ? '""' : '$todo_client';
	my ($limited, $origins) = map { "\$todo_$_ {\n\tdefault " } qw(limit_key cors_origins);
	my %chosen = ('todo-settings.conf' => [qq($limited"") => "$limited$limit",
		qq($origins") => qq($origins") . $self->chosen('STAGING_CORS')]);
	-d "$etc/todo" || mkdir "$etc/todo", 0700 or die "$etc/todo: $!\n";
	$self->show("$etc/todo");
	for my $name (Stage::Nginx::names()) {
		$self->put("etc/todo/$name", Stage::Nginx::replaced($name,
			Stage::Nginx::product($name), Stage::Nginx::operator($name, %place),
			Stage::Nginx::moved($name, %place), ($chosen{$name} // [])->@*));
	}
	$self->put('etc/nginx.conf', Stage::Nginx::main_file(run => "$dir/run", workers => 2,
		log => "$dir/log/nginx-error.log",
		http => "\tinclude todo/todo-settings.conf;\n\tinclude todo/todo-site.conf;"));
}

sub _nginx ($self) {
	return Stage::Nginx::command($self->dir, map { $self->file($_) }
	    qw(log/nginx-error.log etc/nginx.conf));
}
sub _parts_of_nginx ($self) { glob $self->file('etc/{nginx.conf,cert.pem,todo/*}') }

sub start_nginx ($self) {
	my $log = 'log/nginx-error.log';
	if ($self->alive('nginx')) {
		$self->_configure_nginx;
		return $self->reload_nginx;
	}
	$self->stop('nginx');
	for my $try (1 .. 10) {
		# The port it had before, or another if that is taken.
		$self->{url} = 'https://127.0.0.1:' . Stage::Nginx::free_port()
		    if $self->{url} eq '' || Stage::Nginx::listens($self->_port);
		$self->_configure_nginx;
		$self->progress("Starting nginx at $self->{url}");
		$self->launch('nginx', [$self->_nginx], log => $log);
		my $deadline = time + 60;
		while ($self->alive('nginx')) {
			$self->fail($log, 'nginx does not answer') if time > $deadline;
			if ($self->_is_our_nginx) {
				$self->put('etc/url', $self->{url});
				return $self->remember_parts('nginx', $self->_parts_of_nginx);
			}
			pause(0.02);
		}
		last if !grep { /Address already in use/ } $self->tail($log, 5);
		$self->{url} = '';
	}
	$self->fail($log, 'nginx did not start');
}

# Another stage's nginx may have taken the port meanwhile, but it has another
# certificate.
sub _is_our_nginx ($self) {
	return run([qw(timeout 10 openssl s_client -brief -verify_return_error -CAfile),
		$self->file('etc/ca.pem'), '-connect', '127.0.0.1:' . $self->_port],
		out => '/dev/null') == 0;
}

# Returns once there are new workers, if what nginx reads has changed.
sub reload_nginx ($self) {
	my @parts = $self->_parts_of_nginx;
	return if $self->current('nginx', @parts);
	$self->progress('Reloading nginx');
	# It opens the logs, one of which may be a FIFO by now.
	run(['timeout', 10, $self->_nginx, '-t', '-q'], as => $self->services, session => 1) == 0
	    or die "nginx does not take that configuration\n";
	my ($pid) = $self->pids_of_running('nginx');
	my %old = map { $_ => 1 } children($pid);
	kill HUP => $pid;
	my $deadline = time + 10;
	until (grep { !$old{$_} } children($pid)) {
		$self->fail('log/nginx-error.log', 'nginx does not reload') if time > $deadline;
		pause(0.02);
	}
	$self->remember_parts('nginx', @parts);
}

# --- the pool and the issuer ------------------------------------------------

sub _settings ($self) {
	return ($self->assignments('etc/settings.env'),
		Stage::Pool::sanitizers($self->file('log/asan')));
}

sub _parts_of_pool ($self) {
	return (glob($self->file('etc/{settings.env,spawn-fcgi.conf,todo.cnf,secret}')),
		"$self->{build}/todo-fcgi", \$self->chosen('STAGING_SPAWN'));
}

sub start_pool ($self) {
	my @parts = $self->_parts_of_pool;
	return if $self->current('pool', @parts);
	$self->stop('pool');
	my %conf = $self->assignments('etc/spawn-fcgi.conf');
	my $workers = $conf{FCGI_WORKERS};
	my @program = "$self->{build}/todo-fcgi";
	my ($pids, $log) = map { $self->file($_) } qw(stage/pool.own-pid log/todo.log);
	my $fork = $self->chosen('STAGING_SPAWN') eq 'fork';
	$self->progress("Starting the pool of $workers workers");
	my @command = $fork ? Stage::Pool::command(\%conf, \@program, pids => $pids)
	    : Stage::Pool::command(\%conf, [@program, '-w', $workers]);
	# The standard error of what spawn-fcgi forks would be /dev/null.
	my $pid = $self->launch('pool', \@command, log => 'log/todo.log', as_root => 1,
		env => { $fork ? (TODO_LOG => $log) : (), $self->_settings });
	if ($fork) {
		waitpid $pid, 0;
		$self->fail('log/todo.log', 'the pool did not start') if $?;
		$self->remember('pool', split ' ', slurp($pids));
	}
	$self->remember_parts('pool', @parts);
}

sub start_issuer ($self) {
	my $frontend = $self->{frontend};
	my @parts = (glob($self->file('etc/{settings.env,secret}')),
		glob "$frontend/package-lock.json $frontend/issuer/*");
	return if $self->current('issuer', @parts);
	$self->stop('issuer');
	$self->progress('Starting the issuer of tokens');
	$self->launch('issuer', ["$frontend/node", "$frontend/issuer/main.js"],
		env => { $self->_settings });
	$self->remember_parts('issuer', @parts);
}

# A curl that trusts our certificate, with these arguments.
sub curl ($self, @arguments) {
	return (qw(curl -q -sS --noproxy * --max-time 10 --cacert), $self->file('etc/ca.pem'),
		@arguments);
}

# Waits until a service answers there with 2xx.
sub _answers ($self, $name, $path) {
	my @command = $self->curl('-f', "$self->{url}$path");
	$self->until_ready($name, sub { run(\@command, out => '/dev/null') == 0 },
		log => $name eq 'pool' ? 'log/todo.log' : "log/$name.log");
}

# --- parts of it, for tests that break things -------------------------------

# verb => what it does, with what was chosen at the last "up"
our %PARTS = (
	'db-stop' => sub ($self) { $self->stop('mariadb') },
	'db-start' => \&start_mariadb,
	'pool-stop' => sub ($self) { $self->stop('pool') },
	'pool-start' => sub ($self) { $self->start_pool; $self->_answers('pool', '/healthz') },
	'pool-hup' => sub ($self) {
		kill HUP => $self->pids_of_running('pool');
		$self->remember_parts('pool', $self->_parts_of_pool);
	},
	'pool-pid' => sub ($self) { print map { "$_\n" } $self->pids_of_running('pool') },
	'issuer-stop' => sub ($self) { $self->stop('issuer') },
	'issuer-start' => sub ($self) {
		$self->start_issuer;
		$self->_answers('issuer', '/api/auth/ok');
	},
	'nginx-reload' => \&reload_nginx,
	status => sub ($self) {
		for my $name (qw(mariadb issuer pool nginx)) {
			my @pids = $self->alive($name) ? $self->pids($name) : ();
			printf "%-8s %s\n", $name, @pids ? "runs as @pids" : 'is down';
		}
	},
);

sub part ($self, $verb) {
	$self->lock;
	$self->recall;
	$PARTS{$verb}->($self);
}

1;
