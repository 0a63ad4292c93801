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
	my $dir = $o{dir} // $ENV{STAGING_DIR};
	$dir = _default_dir() if ($dir // '') eq '';
	return $class->SUPER::new(%o, dir => $dir);
}

sub _default_dir () {
	my $state = $ENV{XDG_STATE_HOME} || ($> == 0 ? '/var/lib'
	    : ($ENV{HOME} || (getpwuid $>)[7]) . '/.local/state');
	return "$state/todo-fcgi/staging-" . substr Stage::Folder::digest("$TOP\n"), 0, 8;
}

# What was chosen now or at an earlier "up": the environment wins, and an empty
# value is the default again.
sub recall ($self) {
	my $dir = $self->dir;
	my %chosen = -e "$dir/etc/chosen" ? $self->assignments('etc/chosen') : ();
	defined $ENV{$_} and $chosen{$_} = $ENV{$_} for @SETTINGS, @KNOBS;
	my $url = $self->{url} = -e "$dir/etc/url" ? $self->read('etc/url') : '';
	# What "env" printed, handed back, is not a choice.
	for (qw(JWT_ISSUER JWT_AUDIENCE)) {
		delete $chosen{$_} if ($chosen{$_} // '') eq $url;
	}
	delete $chosen{STAGING_BUILD} if ($chosen{STAGING_BUILD} // '') =~ m{\A\Q$dir\E/};
	for (keys %chosen) {
		die "$_: has a line feed in it\n" if $chosen{$_} =~ /\n/;
		delete $chosen{$_} if $chosen{$_} eq '';
	}
	$self->{chosen} = \%chosen;
	my $flags = $chosen{STAGING_CONFIGURE} // '';
	$self->{build} = $chosen{STAGING_BUILD}
	    // "$dir/build" . ($flags ne '' && '-' . substr Stage::Folder::digest($flags), 0, 8);
	# A build tree of another folder has its issuer beside it.
	my $beside = dirname($self->{build}) . '/frontend';
	$self->{frontend} = -d "$beside/node_modules" ? $beside : "$dir/frontend";
}

sub _keep_chosen ($self) {
	my $chosen = $self->{chosen};
	# The secret has a file of its own.
	$self->put('etc/chosen', join '', map { Stage::Folder::assignment($_, $chosen->{$_}) }
	    grep { defined $chosen->{$_} && $_ ne 'BETTER_AUTH_SECRET' } @SETTINGS, @KNOBS);
}

sub chosen ($self, $name, $default = '') { $self->{chosen}{$name} // $default }
sub url ($self) { $self->{url} }
sub build ($self) { $self->{build} }
sub has_issuer ($self) { $self->chosen('STAGING_ISSUER') ne '0' }

# --- all of it --------------------------------------------------------------

sub up ($self) {
	$self->make;
	$self->recall;
	$self->_keep_chosen;
	Stage::Packages::install($self, 'stage');
	$self->_build;
	Stage::Certificate::make($self);
	$self->start_nginx;
	$self->_configure;
	$self->start_mariadb;
	Stage::Database::migrate($self, $TOP, $self->_accounts);
	$self->start_pool;
	$self->start_issuer if $self->has_issuer;
	$self->_pool_ready('/healthz');
	$self->_issuer_ready if $self->has_issuer;
	$self->_pool_ready('/readyz');
}

sub down ($self) {
	$self->lock;
	$self->stop($_) for qw(pool issuer nginx mariadb);
}

sub _build ($self) {
	if ($self->chosen('STAGING_BUILD') ne '') {
		run(['test', '-x', "$self->{build}/todo-fcgi"], as => $self->services) == 0
		    or die "$self->{build}/todo-fcgi: not there, or not for $self->{user}\n";
	} else {
		Stage::Build::program($self, $TOP, $self->{build}, $self->chosen('STAGING_CONFIGURE'));
	}
	Stage::Build::frontend($self, $TOP, $self->{frontend})
	    if $self->has_issuer && $self->{frontend} eq $self->file('frontend');
}

# Files for the pool and the issuer.
sub _configure ($self) {
	my ($dir, $url, $user, $group) = @$self{qw(dir url user group)};
	$self->put('etc/secret', $self->chosen('BETTER_AUTH_SECRET'))
	    if $self->chosen('BETTER_AUTH_SECRET') ne '';
	$self->made_up('secret');
	Stage::Database::options($self, $self->made_up('todo-password'));
	my $database = 'mysql://better_auth:' . $self->made_up('issuer-password')
	    . "\@localhost/better_auth?socketPath=$dir/run/mariadb.sock";
	my @settings = (BETTER_AUTH_SECRET_FILE => "$dir/etc/secret", BETTER_AUTH_URL => $url,
		TODO_DB_DEFAULTS_FILE => "$dir/etc/todo.cnf",
		ISSUER_SOCKET => "$dir/run/better-auth.sock", ISSUER_DATABASE => $database,
		ISSUER_RATE_LIMIT => 'off');
	for (grep { $_ ne 'BETTER_AUTH_SECRET' } @SETTINGS) {
		push @settings, $_ => $self->chosen($_) if $self->chosen($_) ne '';
	}
	my $text = '';
	while (my ($name, $value) = splice @settings, 0, 2) {
		$text .= Stage::Folder::assignment($name, $value);
	}
	$self->put('etc/settings.env', $text);
	$self->put('etc/spawn-fcgi.conf', Stage::Pool::configuration($TOP, socket => "$dir/pool",
		user => $user, group => $group, workers => $self->chosen('STAGING_WORKERS', 8)));
}

# How a test suite or another client reaches it: in this order, as name => value.
sub environment ($self) {
	die "nothing was ever up in $self->{dir}\n" if !-e $self->file('etc/settings.env');
	$self->recall;
	my %set = $self->assignments('etc/settings.env');
	my $secret = $self->read('etc/secret');
	my @secrets;
	if (my $all = $set{BETTER_AUTH_SECRETS}) {
		# Of several the first is the one that signs.
		($secret) = $all =~ /\A(?:[^:,]*:)?\s*([^,]*?)\s*(?:,|\z)/;
		@secrets = (BETTER_AUTH_SECRETS => $all);
	}
	return (@secrets, STAGING_URL => $self->{url}, STAGING_CA => $self->file('etc/ca.pem'),
		BETTER_AUTH_SECRET => $secret, BETTER_AUTH_URL => $set{BETTER_AUTH_URL},
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
	return Stage::Folder::slurp("$TOP/sql/grants.sql") . <<~END;
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
	my $cors = $self->chosen('STAGING_CORS');
	my %chosen = ('todo-settings.conf' => [
		"\$todo_limit_key {\n\tdefault \"\"" => "\$todo_limit_key {\n\tdefault $limit",
		"\$todo_cors_origins {\n\tdefault \"" => "\$todo_cors_origins {\n\tdefault \"$cors"]);
	-d "$etc/todo" || mkdir "$etc/todo", 0750 or die "$etc/todo: $!\n";
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

sub _nginx ($self, @options) {
	return [Stage::Nginx::command($self->dir, $self->file('log/nginx-error.log'),
		$self->file('etc/nginx.conf')), @options];
}

sub _spec_of_nginx ($self) {
	return $self->spec((map { $self->file("etc/$_") } qw(nginx.conf cert.pem)),
		glob $self->file('etc/todo/*'));
}

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
		$self->launch('nginx', $self->_nginx, log => $log);
		my $deadline = time + 60;
		while ($self->alive('nginx')) {
			$self->fail($log, 'nginx does not answer') if time > $deadline;
			if ($self->_is_our_nginx) {
				$self->put('etc/url', $self->{url});
				return $self->specified('nginx', $self->_spec_of_nginx);
			}
			pause(0.02);
		}
		last if !grep { /Address already in use/ } $self->tail($log, 5);
		$self->{url} = '';
	}
	$self->fail($log, 'nginx did not start ' . $self->read('stage/nginx.launch') =~ s/\n\z//r);
}

# Another stage's nginx may have taken the port meanwhile, but it has another
# certificate.
sub _is_our_nginx ($self) {
	return run([qw(timeout 10 openssl s_client -brief -verify_return_error -CAfile),
		$self->file('etc/ca.pem'), '-connect', $self->{url} =~ s{.*/}{}r],
		out => $self->null) == 0;
}

# Returns once there are new workers, if what it reads has changed.
sub reload_nginx ($self) {
	my $spec = $self->_spec_of_nginx;
	return if $self->current('nginx', $spec);
	$self->progress('Reloading nginx');
	# It opens the logs, one of which may be a FIFO by now.
	run(['timeout', 10, $self->_nginx('-t', '-q')->@*], as => $self->services, session => 1) == 0
	    or die "nginx does not take that configuration\n";
	my ($pid) = $self->pids('nginx');
	my %old = map { $_ => 1 } children($pid);
	kill HUP => $pid;
	my $deadline = time + 10;
	until (grep { !$old{$_} } children($pid)) {
		$self->fail('log/nginx-error.log', 'nginx does not reload') if time > $deadline;
		pause(0.02);
	}
	$self->specified('nginx', $spec);
}

# --- the pool and the issuer ------------------------------------------------

sub _settings ($self) {
	return ($self->assignments('etc/settings.env'),
		Stage::Pool::sanitizers($self->file('log/asan')));
}

sub _spec_of_pool ($self) {
	return $self->spec((map { $self->file("etc/$_") } qw(settings.env spawn-fcgi.conf todo.cnf
	    secret)), "$self->{build}/todo-fcgi", \$self->chosen('STAGING_SPAWN'));
}

sub start_pool ($self) {
	my $spec = $self->_spec_of_pool;
	return if $self->current('pool', $spec);
	$self->stop('pool');
	my %conf = $self->assignments('etc/spawn-fcgi.conf');
	$self->progress("Starting the pool of $conf{FCGI_WORKERS} workers");
	my $fork = $self->chosen('STAGING_SPAWN') eq 'fork';
	my $pids = $self->file('stage/pool.own-pid');
	my @program = ("$self->{build}/todo-fcgi", $fork ? () : ('-w', $conf{FCGI_WORKERS}));
	my @command = Stage::Pool::command(\%conf, \@program, $fork ? (pids => $pids) : ());
	my $pid = $self->launch('pool', \@command, log => 'log/todo.log', as_root => 1, forks => $fork,
		# The standard error of what spawn-fcgi forks would be /dev/null.
		env => { $fork ? (TODO_LOG => $self->file('log/todo.log')) : (), $self->_settings });
	if ($fork) {
		waitpid $pid, 0;
		$self->fail('log/todo.log', 'the pool did not start') if $?;
		$self->remember('pool', split ' ', $self->read('stage/pool.own-pid'));
	}
	$self->specified('pool', $spec);
}

# The master reads its files anew.
sub reload_pool ($self) {
	kill HUP => $self->pids('pool');
	$self->specified('pool', $self->_spec_of_pool);
}

sub start_issuer ($self) {
	my $frontend = $self->{frontend};
	my $spec = $self->spec((map { $self->file("etc/$_") } qw(settings.env secret)),
		"$frontend/package-lock.json", glob "$frontend/issuer/*");
	return if $self->current('issuer', $spec);
	$self->stop('issuer');
	$self->progress('Starting the issuer of tokens');
	$self->launch('issuer', ["$frontend/node", "$frontend/issuer/main.js"],
		env => { $self->_settings });
	$self->specified('issuer', $spec);
}

# A curl of our own certificate authority, with these arguments.
sub curl ($self, @arguments) {
	return (qw(curl -q -sS --noproxy * --max-time 10 --cacert), $self->file('etc/ca.pem'),
		@arguments);
}

sub _answers ($self, $path) {
	return run([$self->curl('-f', "$self->{url}$path")], out => $self->null) == 0;
}
sub _pool_ready ($self, $path) {
	$self->until_ready('pool', sub { $self->_answers($path) }, log => 'log/todo.log');
}
sub _issuer_ready ($self) {
	$self->until_ready('issuer', sub { $self->_answers('/api/auth/ok') });
}

# --- parts of it, for tests that break things -------------------------------

# verb => what it does, with what was chosen at the last "up"
our %PARTS = (
	'db-stop' => sub ($self) { $self->stop('mariadb') },
	'db-start' => \&start_mariadb,
	'pool-stop' => sub ($self) { $self->stop('pool') },
	'pool-start' => sub ($self) { $self->start_pool; $self->_pool_ready('/healthz') },
	'pool-hup' => \&reload_pool,
	'pool-pid' => sub ($self) { print map { "$_\n" } $self->pids('pool') },
	'issuer-stop' => sub ($self) { $self->stop('issuer') },
	'issuer-start' => sub ($self) { $self->start_issuer; $self->_issuer_ready },
	'nginx-reload' => \&reload_nginx,
	status => sub ($self) {
		for my $name (qw(mariadb issuer pool nginx)) {
			my @pids = $self->pids($name);
			printf "%-8s %s\n", $name, $self->alive($name) ? "runs as @pids" : 'is down';
		}
	},
);

sub part ($self, $verb) {
	$self->lock;
	$self->recall;
	$PARTS{$verb}->($self);
}

1;
