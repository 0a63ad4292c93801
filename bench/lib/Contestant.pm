package Contestant;

# Who runs the work: how each is built and started. All have the same number of
# database connections; those that divide them over processes have a process
# for each processor.

use v5.36;
use Time::HiRes qw(sleep time);

my @ORDER = qw(todo floor fastapi fastapi_raw fastify ulfius);

my %KINDS = (
	todo => { title => 'todo-fcgi', kind => 'fastcgi' },
	floor => { title => 'the floor', kind => 'fastcgi' },
	fastapi => { title => 'FastAPI' },
	fastapi_raw => { title => 'FastAPI raw' },
	fastify => { title => 'Fastify' },
	ulfius => { title => 'Ulfius' },
);

sub names ($class) { @ORDER }

# name; stage: a Bench; workers: of the pool, and connections. There can be several
# of one kind, `of`, under names of their own; each uses the database that has its
# name, or else `todo`.
sub new ($class, %o) {
	my $of = $o{of} // $o{name};
	return bless { %o, of => $of, $KINDS{$of}->%* }, $class;
}

sub name ($self) { $self->{name} }
sub of ($self) { $self->{of} }
sub title ($self) { $self->{title} }

# How nginx reaches it.
sub backend ($self) {
	my $name = $self->name;
	return [$name, 'fastcgi'] if ($self->{kind} // '') eq 'fastcgi';
	return [$name, '127.0.0.1:' . ($self->{port} //= $self->{stage}->free_port)]
	    if $self->of eq 'ulfius'; # which does not listen on Unix sockets
	return [$name, 'unix:' . $self->{stage}->socket($name)];
}

sub build ($self) {
	my $stage = $self->{stage};
	my $name = $self->of;
	my $bench = "$Stage::TOP/bench";
	my $copy = sub ($to, @files) {
		$stage->must('stage/copy.log', "bench/$name could not be copied",
			['cp', (map { "$bench/$_" } @files), $to]);
	};
	if ($name eq 'todo') {
		$self->{program} = $ENV{STAGING_BUILD} || $stage->file('build');
		Stage::Build::program($stage, $Stage::TOP, $self->{program}, '', 'todo-fcgi')
		    if !$ENV{STAGING_BUILD};
		$self->{program} .= '/todo-fcgi';
	} elsif ($name eq 'floor') {
		$stage->compile('floor', "$bench/floor.c", qw(fcgi libmariadb));
	} elsif ($name eq 'ulfius') {
		$stage->compile('ulfius', "$bench/ulfius/peer.c",
			qw(libulfius librhonabwy libhoel libyder jansson));
	} elsif ($name =~ /\Afastapi/) {
		$copy->($stage->dir, 'fastapi/app.py');
	} elsif ($name eq 'fastify') {
		my $dir = $stage->file('fastify');
		mkdir $dir;
		$copy->($dir, map { "fastify/$_" }
			qw(app.js package.json package-lock.json .npmrc));
		Stage::Packages::npm($stage, $dir);
	}
}

# lengths: bytes of the answers to the three kinds of work, for the floor.
sub start ($self, $lengths) {
	my $stage = $self->{stage};
	my $name = $self->name;
	my $workers = $self->{workers};
	my $processes = $stage->{processors} < $workers ? $stage->{processors} : $workers;
	my $socket = $stage->socket($name);
	my $spawn = sub (@program) {
		return [Stage::Pool::command({ FCGI_SOCKET => $socket, FCGI_SOCKET_MODE => '0660',
			FCGI_BACKLOG => 1024 }, \@program)];
	};
	my %db = (
		DB_SOCKET => $stage->socket('mariadb'), DB_USER => 'todo',
		DB_PASSWORD => $stage->password, DB_NAME => 'todo',
		DB_CONNECTIONS => int($workers / $processes), PROCESSES => $processes,
		LISTEN => $socket,
	);
	my $of = $self->of;
	my $cnf = $stage->file($of eq $name ? 'etc/todo.cnf' : "etc/$name.cnf");
	unlink $socket;
	if ($of eq 'todo') {
		$stage->launch($name, $spawn->($self->{program}, '-w', $workers), env => {
			$stage->settings, TODO_DB_DEFAULTS_FILE => $cnf,
			TODO_LOG => $stage->file('log/requests.log'),
		});
	} elsif ($of eq 'floor') {
		$stage->launch($name, $spawn->($stage->file('floor'), $workers,
			@$lengths{qw(list one create)}), env => { TODO_DB_DEFAULTS_FILE => $cnf });
	} elsif ($of =~ /\Afastapi/) {
		$stage->launch($name, [qw(/usr/bin/python3 -m uvicorn app:app --uds), $socket,
			'--workers', $processes, qw(--loop uvloop --http httptools
			--no-access-log --log-level warning)],
			env => { $stage->settings, %db, RAW => $of eq 'fastapi_raw' ? 1 : 0 });
	} elsif ($of eq 'fastify') {
		my ($node) = glob $stage->file('fastify/node_modules/node-linux-*/bin/node');
		$stage->launch($name, [$node // 'node', 'app.js'], cwd => $stage->file('fastify'),
			env => { $stage->settings, %db, NODE_ENV => 'production' });
	} elsif ($of eq 'ulfius') {
		$stage->launch($name, [$stage->file('ulfius')], env => { $stage->settings, %db,
			PORT => $self->{port}, DB_CONNECTIONS => $workers });
	}
}

sub stop ($self) { $self->{stage}->stop($self->name) }

# Starts it and returns how many milliseconds passed until `ready` said so.
sub time_to_first_answer ($self, $lengths, $ready) {
	my $began = time;
	$self->start($lengths);
	$self->{stage}->until_ready($self->name, $ready, pause => 0.0005);
	return (time - $began) * 1000;
}

1;
