package Contestant;

# Who runs the work: how each is built and started. All have the same number of
# database connections; those that divide them over processes have a process
# for each processor.

use v5.36;
use Time::HiRes qw(sleep time);

my @ORDER = qw(todo floor fastapi fastapi_raw fastify ulfius);

my @PYTHON = qw(python3-fastapi python3-jwt python3-aiomysql uvicorn python3-uvloop
    python3-httptools);

my %KINDS = (
	todo => { title => 'todo-fcgi', kind => 'fastcgi' },
	floor => { title => 'the floor', kind => 'fastcgi' },
	fastapi => { title => 'FastAPI', packages => \@PYTHON },
	fastapi_raw => { title => 'FastAPI raw', packages => \@PYTHON },
	fastify => { title => 'Fastify', packages => [] },
	ulfius => {
		title => 'Ulfius',
		packages => [qw(libulfius-dev librhonabwy-dev libhoel-dev libyder-dev)],
	},
);

sub names ($class) { @ORDER }
sub packages ($class, @names) { map { ($KINDS{$_}{packages} // [])->@* } @names }

# name; stage; bench: the folder bench/; workers: pool and connections. There can
# be several of one kind, `of`, under names of their own; each uses the database
# that has its name, or else `todo`.
sub new ($class, %o) {
	my $of = $o{of} // $o{name};
	return bless { %o, of => $of, $KINDS{$of}->%* }, $class;
}

sub name ($self) { $self->{name} }
sub of ($self) { $self->{of} }
sub title ($self) { $self->{title} }
sub machine ($self) { $self->{stage}->machine }

# How nginx reaches it.
sub backend ($self) {
	my $name = $self->name;
	return [$name, 'fastcgi'] if ($self->{kind} // '') eq 'fastcgi';
	return [$name, '127.0.0.1:' . ($self->{port} //= $self->machine->free_port)]
	    if $self->of eq 'ulfius'; # which does not listen on Unix sockets
	return [$name, 'unix:' . $self->{stage}->socket($name)];
}

sub build ($self) {
	my $m = $self->machine;
	my $name = $self->of;
	if ($name eq 'todo') {
		$self->{program} = $self->_build_product;
	} elsif ($name eq 'floor') {
		$m->compile('floor', "$self->{bench}/floor.c", qw(fcgi libmariadb));
	} elsif ($name eq 'ulfius') {
		$m->compile('ulfius', "$self->{bench}/ulfius/peer.c",
			qw(libulfius librhonabwy libhoel libyder jansson));
	} elsif ($name =~ /\Afastapi/) {
		$m->do('fastapi.log', 'cp', "$self->{bench}/fastapi/app.py", $m->dir);
	} elsif ($name eq 'fastify') {
		my $dir = $m->file('fastify');
		mkdir $dir;
		$m->do('fastify.log', 'cp', (map { "$self->{bench}/fastify/$_" }
			qw(app.js package.json package-lock.json .npmrc)), $dir);
		return if -e "$dir/node_modules/.package-lock.json";
		$m->say('Installing with npm: what bench/fastify/package-lock.json names');
		$m->do('npm.log', { in => $dir }, qw(npm ci --ignore-scripts --no-audit
			--no-fund --no-update-notifier));
	}
}

# A finished build tree, or a build of our own from a copy of the sources.
sub _build_product ($self) {
	my $m = $self->machine;
	return "$ENV{STAGING_BUILD}/todo-fcgi" if $ENV{STAGING_BUILD};
	my ($src, $build) = ($m->file('src'), $m->file('build'));
	$m->say('Building todo-fcgi');
	$m->do('build.log', 'sh', '-c', <<'END', 'sh', $self->{top}, $src, $build);
		set -e
		mkdir -p "$2" "$3"
		cd "$1"
		{
			find app include t/unit -name '*.[ch]' -print0
			find . -maxdepth 1 -type f ! -name '.*' -print0
			find nginx sql -type f -print0
		} | tar --null -T - --exclude=./config.status --exclude=./Makefile \
			--exclude=./configure -cf - | tar -C "$2" -xf -
		cd "$2" && autoreconf -i
		cd "$3" && "$2/configure"
		make -j"$(nproc)" todo-fcgi
END
	return "$build/todo-fcgi";
}

# lengths: bytes of the answers to the three kinds of work, for the floor.
sub start ($self, $lengths) {
	my $m = $self->machine;
	my $stage = $self->{stage};
	my $name = $self->name;
	my $workers = $self->{workers};
	my $processes = $stage->{processors} < $workers ? $stage->{processors} : $workers;
	my $socket = $stage->socket($name);
	my @spawn = ('spawn-fcgi', '-n', '-s', $socket, '-M', '0660', '-b', '1024', '--');
	my %db = (
		DB_SOCKET => $stage->socket('mariadb'), DB_USER => 'todo',
		DB_PASSWORD => $stage->password, DB_NAME => 'todo',
		DB_CONNECTIONS => int($workers / $processes), PROCESSES => $processes,
		LISTEN => $socket,
	);
	my $of = $self->of;
	my $cnf = $m->file($of eq $name ? 'etc/todo.cnf' : "etc/$name.cnf");
	unlink $socket;
	if ($of eq 'todo') {
		$m->start($name, run => [@spawn, $self->{program}, '-w', $workers], env => {
			$stage->settings, TODO_DB_DEFAULTS_FILE => $cnf,
			TODO_LOG => $m->file('log/requests.log'),
		});
	} elsif ($of eq 'floor') {
		$m->start($name, run => [@spawn, $m->file('floor'), $workers,
			@$lengths{qw(list one create)}], env => { TODO_DB_DEFAULTS_FILE => $cnf });
	} elsif ($of =~ /\Afastapi/) {
		$m->start($name, run => [qw(/usr/bin/python3 -m uvicorn app:app --uds), $socket,
			'--workers', $processes, qw(--loop uvloop --http httptools
			--no-access-log --log-level warning)],
			env => { $stage->settings, %db, RAW => $of eq 'fastapi_raw' ? 1 : 0 });
	} elsif ($of eq 'fastify') {
		my ($node) = glob $m->file('fastify/node_modules/node-linux-*/bin/node');
		$m->start($name, in => $m->file('fastify'), run => [$node // 'node', 'app.js'],
			env => { $stage->settings, %db, NODE_ENV => 'production' });
	} elsif ($of eq 'ulfius') {
		$m->start($name, run => [$m->file('ulfius')], env => { $stage->settings, %db,
			PORT => $self->{port}, DB_CONNECTIONS => $workers });
	}
}

sub stop ($self) { $self->machine->stop($self->name) }

# Starts it and returns how many milliseconds passed until `ready` said so.
sub time_to_first_answer ($self, $lengths, $ready) {
	my $began = time;
	$self->start($lengths);
	$self->machine->until($self->name, $ready, 0.0005);
	return (time - $began) * 1000;
}

1;
