package Stack;

# The running system that a script tests. `Stack->new` joins the stage that
# t/staging runs, and starts it if it is down; `Stack->new(private => 1)` makes a
# stage of its own, for scripts that break things. Every script ends with
# $stack->done, which also reports lines that no log should hold.

use v5.36;
use Fcntl qw(O_NOFOLLOW O_NONBLOCK O_RDONLY);
use File::Path ();
use File::Temp ();
use IO::Handle;
use POSIX ();
use Test::More;
use Client;
use Facts;
use FastCGI;
use Program;
use Routes;
use Stage;
use Stage::Process qw(children);
use Token;
use User;

my $ROOT = $Stage::TOP;
my @running;

# A warning of Perl fails the script.
my @warnings;
$SIG{__WARN__} = sub ($text) { push @warnings, $text; print STDERR $text };

sub root ($class) { $ROOT }

# private => 1: a stack of its own, taken down at the end; env: its settings
# inside => 1: needs the folders of the stack, not just its URL
# issuer => 1: needs the real issuer
sub new ($class, %o) {
	my %env = $o{private} ? _private(\%o) : _shared(\%o);
	my $dir = $env{STAGING_DIR};
	plan skip_all => 'looks inside the stack, and only its URL is known'
	    if $o{inside} && !defined $dir;
	my $self = bless {
		env => \%env, dir => $dir, url => $env{STAGING_URL},
		stage => defined $dir ? Stage->new(dir => $dir) : undef,
		build => $env{STAGING_BUILD} // (defined $dir ? "$dir/build" : undef),
		private => $o{private}, owner => $$,
		tag => 'T' . join('', map { ('A' .. 'Z', 'a' .. 'z', 0 .. 9)[rand 62] } 1 .. 9),
		users => 0, faults => [], ids => {}, expected => [], statuses => {},
	}, $class;
	push @running, $self;
	plan skip_all => 'Better Auth is not here' if $o{issuer} && !defined $self->frontend;
	if (defined $dir) {
		$self->{from}{$_} = -s "$dir/log/$_" // 0
		    for qw(todo.log nginx-error.log issuer.log);
		$self->{reports} = { map { $_ => 1 } $self->_reports };
	}
	note("users of this script: $self->{tag}...");
	return $self;
}

sub _staging (@verb) {
	my $out = qx{"$ROOT/t/staging" @verb};
	die "t/staging @verb failed: $out" if $?;
	return $out;
}

sub _shared ($o) {
	if ($ENV{STAGING_URL}) {
		return map { $_ => $ENV{$_} } grep { defined $ENV{$_} }
		    qw(STAGING_URL STAGING_CA STAGING_DIR STAGING_BUILD STAGING_FRONTEND
		    BETTER_AUTH_SECRET BETTER_AUTH_SECRETS BETTER_AUTH_URL JWT_ISSUER
		    JWT_AUDIENCE);
	}
	_staging('up', '--quiet', '>&2');
	return Stage->new->environment;
}

sub _private ($o) {
	my $build = $ENV{STAGING_BUILD};
	if (!defined $build) {
		plan skip_all => 'starts a stack of its own, and this one is elsewhere'
		    if $ENV{STAGING_URL} && !$ENV{STAGING_DIR};
		my %shared = _shared($o);
		$build = $shared{STAGING_BUILD};
	}
	my $dir = File::Temp->newdir('todo-stack-XXXXXX', TMPDIR => 1, CLEANUP => 0);
	delete @ENV{qw(STAGING_URL STAGING_CA BETTER_AUTH_SECRET BETTER_AUTH_SECRETS
	    BETTER_AUTH_URL JWT_ISSUER JWT_AUDIENCE)};
	$ENV{STAGING_DIR} = "$dir";
	$ENV{STAGING_BUILD} = $build if defined $build;
	$ENV{STAGING_ISSUER} = 0 if !$o->{issuer};
	$ENV{$_} = $o->{env}{$_} for keys(($o->{env} // {})->%*);
	# Where it cannot be set up, the folder with its logs stays.
	my $half = bless { private => 1, dir => "$dir", owner => $$, keep => 1 }, __PACKAGE__;
	push @running, $half;
	eval { _staging('up', '--quiet', '>&2'); 1 } or die "$@ (its folder is kept: $dir)\n";
	my %env = Stage->new->environment;
	pop @running;
	return %env;
}

# One of t/staging's verbs, on this stack.
sub staging ($self, @verb) {
	local $ENV{STAGING_DIR} = $self->{dir};
	return _staging(@verb);
}

# The same with another environment, where nginx is to be another after it.
sub anew ($self, $env, @verb) {
	local @ENV{keys %$env} = values %$env;
	my $children = sub { children($self->pid('nginx')) };
	my %old = map { $_ => 1 } $children->();
	$_->close for ($self->{clients} // [])->@*;
	$self->staging(@verb);
	poll { !grep { $old{$_} } $children->() } 'nginx is another';
}

# The workers of the pool now.
sub workers ($self) { children($self->pid('pool')) }

sub dir ($self) { $self->{dir} }
sub url ($self) { $self->{url} }
sub tag ($self) { $self->{tag} }
sub file ($self, $name) { "$self->{dir}/$name" }
sub read ($self, $name) { $self->{stage}->read($name) }

# The folder of the issuer and the page, with what npm brought for them, if it is here.
sub frontend ($self) {
	my $dir = $self->{env}{STAGING_FRONTEND};
	return defined $dir && -d "$dir/node_modules" ? $dir : undef;
}

sub pid ($self, $name) { ($self->{stage}->pids($name))[0] // die "no pid of $name" }

sub _settings ($self) {
	return $self->{settings} //= do {
		my %own = $self->{stage} ? $self->{stage}->assignments('etc/settings.env') : ();
		my %env = (%own, $self->{env}->%*);
		$env{BETTER_AUTH_SECRET} = ($env{BETTER_AUTH_SECRETS} =~ /\A\d+:([^,]*)/)[0]
		    if $env{BETTER_AUTH_SECRETS};
		my ($origin) = ($env{BETTER_AUTH_URL} // '') =~ m{\A(https?://[^/]+)};
		$env{JWT_ISSUER} ||= $origin;
		$env{JWT_AUDIENCE} ||= $origin;
		\%env;
	};
}

sub secret ($self) { $self->_settings->{BETTER_AUTH_SECRET} }
sub issuer ($self) { $self->_settings->{JWT_ISSUER} }
sub audience ($self) { $self->_settings->{JWT_AUDIENCE} }

# The program's settings, for starting it by oneself.
sub settings ($self) {
	my $s = $self->_settings;
	return map { $_ => $s->{$_} } grep { defined $s->{$_} } qw(BETTER_AUTH_SECRET
	    BETTER_AUTH_URL JWT_ISSUER JWT_AUDIENCE TODO_DB_DEFAULTS_FILE);
}

sub program ($self) {
	return $self->{program} //= Program->new(
		path => $ENV{TODO_FCGI} // "$self->{build}/todo-fcgi",
		env => { $self->settings, TODO_LOG => 'stderr' },
		asan => $self->file('log/asan'));
}

sub routes ($self) {
	return $self->{routes} //= Routes->new($ENV{TODO_FCGI} // "$self->{build}/todo-fcgi");
}

# What each client tells of each answer: general rules are checked here, for all.
sub _on_answer ($self, $answer) {
	my @fault = $self->{strict} // 1 ? $answer->faults : ();
	my $status = $answer->status;
	$self->{ids}{ $answer->id // '' } = $status;
	if ($self->{build} && -x "$self->{build}/todo-fcgi" && !$self->{any_status}) {
		my @may = $self->routes->statuses($answer->{method}, $answer->{target});
		my %may = map { $_ => 1 } @may ? @may : (400, 404), 400, 413,
		    keys $self->{statuses}->%*;
		push @fault, "$status is not in the table of routes" if !$may{$status};
	} elsif ($status >= 500 && !$self->{statuses}{$status}) {
		push @fault, "$status";
	}
	push $self->{faults}->@*, map { "$_\n" . $answer->dump } @fault;
}

# Statuses that a script brings about and the table of routes does not name.
sub allow_status ($self, @status) { $self->{statuses}{$_} = 1 for @status }

# The block's answers are somebody else's, who keeps other rules (Better Auth, the page).
sub of_others ($self, $block) {
	local $self->{strict} = 0;
	local $self->{any_status} = 1;
	return $block->();
}

sub client ($self, %o) {
	return $self->{client} //= $self->new_client;
}

sub new_client ($self, %o) {
	my $client = Client->new(url => $self->{url}, ca => $self->{env}{STAGING_CA},
	    on_answer => sub ($answer) { $self->_on_answer($answer) }, %o);
	push $self->{clients}->@*, $client;
	return $client;
}

# A FastCGI client: on the stack's own pool, or on a Program::Running.
sub fastcgi ($self, $running = undef) {
	return FastCGI->new(
		path => $running ? $running->socket : $self->pool_socket,
		on_answer => sub ($answer) { $self->_on_answer($answer) });
}

sub pool_socket ($self) {
	my ($conf) = $self->read('etc/spawn-fcgi.conf') =~ /^FCGI_SOCKET=["']?([^"'\n]+)/m;
	return $conf;
}

# A name nobody else has. Only what a user id may hold.
sub fresh_id ($self) { sprintf '%s%04d%018d', $self->{tag}, ++$self->{users}, rand 1e9 }

# claims => { name => JSON text }, header => text, payload => text, key => bytes
sub token_of ($self, $id, %o) {
	return Token::sign(
		Token::b64u($o{header} // $Token::HEADER),
		Token::b64u($o{payload} // Token::payload(
		    Token::claims($id, $self->issuer, $self->audience, ($o{claims} // {})->%*))),
		$o{key} // $self->secret);
}

sub user ($self, %o) {
	my $id = $o{id} // $self->fresh_id;
	return User->new(id => $id, client => $o{client} // $self->client,
	    token => $o{token} // $self->token_of($id, %o));
}

# In a forked child: connections of its own, and only what it saw itself.
sub forked ($self) {
	$_->forget for ($self->{clients} // [])->@*;
	$self->{faults} = [];
	$self->{ids} = {};
}
sub seen ($self) { (faults => $self->{faults}, ids => $self->{ids}) }
sub absorb ($self, $seen) {
	push $self->{faults}->@*, ($seen->{faults} // [])->@*;
	$self->{ids} = { $self->{ids}->%*, ($seen->{ids} // {})->%* };
}

# One statement as the server's administrator; rows of columns.
sub sql ($self, $statement) {
	return Stage::Database::query($statement, Stage::Database::admin($self->{stage}));
}

# A transaction that has run `statement` and stays open while what is returned lives.
sub holding ($self, $statement) {
	pipe(my $read, my $write) or die $!;
	my $pid = open(my $in, '|-') // die $!;
	if (!$pid) {
		open STDOUT, '>&', $write or POSIX::_exit(126);
		{ exec 'mariadb', Stage::Database::admin($self->{stage}),
		    qw(--batch --skip-column-names --unbuffered) };
		POSIX::_exit(127);
	}
	close $write;
	$in->autoflush(1);
	print {$in} "BEGIN; $statement; SELECT 'held';\n";
	while (my $line = <$read>) { last if $line =~ /held/ }
	return $in;
}

# The same as the account that the program uses. Dies of what it may not do.
sub sql_as_program ($self, $statement) {
	my %o = $self->{stage}->assignments('etc/todo.cnf');
	return Stage::Database::query($statement, '--no-defaults', map { "--$_=$o{$_}" }
	    grep { defined $o{$_} } qw(socket host port user password database));
}

# Since this script began. A line that is being written as we read is read again.
sub _tail ($self, $name) {
	# The services may write there: a link of theirs is not followed, nor a FIFO waited for.
	sysopen my $f, $self->file("log/$name"), O_RDONLY | O_NOFOLLOW | O_NONBLOCK or return;
	my @lines;
	poll {
		seek $f, $self->{from}{$name} // 0, 0;
		@lines = <$f>;
		!@lines || $lines[-1] =~ /\n\z/;
	} "the last line of $name ends";
	chomp @lines;
	return @lines;
}

# A line of todo.log as name => value.
sub fields ($class, $line) {
	my %f;
	while ($line =~ /(\S+?)=(?:"((?:[^"\\]|\\.)*)"|(\S*))(?:\s|\z)/g) {
		$f{$1} = $2 // $3;
	}
	return \%f;
}

# The line about one answer, as soon as it is there.
sub logged ($self, $answer) {
	my $id = $answer->id;
	return poll { (map { Stack->fields($_) } grep { /request_id=\Q$id\E/ }
		$self->_tail('todo.log'))[0] } "todo.log tells of $id";
}

sub log_lines ($self, $name = 'todo.log') { $self->_tail($name) }

# Lines that this script brings about and that are no fault.
sub expect_log ($self, @patterns) { push $self->{expected}->@*, @patterns }

sub _reports ($self) { glob $self->file('log/asan*') }

# Lines that speak of somebody else's request say nothing about this script.
sub _bad_lines ($self) {
	my @bad;
	for ($self->_tail('todo.log')) {
		my $f = Stack->fields($_);
		my $id = $f->{request_id};
		next if !$self->{private} && defined $id && !exists $self->{ids}{$id}
		    && ($f->{user} // '') !~ /\A\Q$self->{tag}\E/;
		push @bad, "todo.log: $_" if ($f->{level} // 'none') !~ /\Ainfo\z/;
		push @bad, "todo.log holds a token: $_" if /eyJ[\w-]*\./;
	}
	for ($self->_tail('nginx-error.log')) {
		next if !/\[(?:warn|error|crit|alert|emerg)\]/;
		next if !$self->{private} && /request: "/ && !/\Q$self->{tag}\E/;
		push @bad, "nginx-error.log: $_";
	}
	my @expected = $self->{expected}->@*;
	return grep { my $line = $_; !grep { $line =~ $_ } @expected } @bad;
}

# The last facts of a script: of all answers, and of the logs.
sub done ($self) {
	my @fault = $self->{faults}->@*;
	ok(!@fault, 'every answer keeps the rules for all of them');
	diag("and " . (@fault - 5) . " more") if @fault > 5;
	diag($_) for grep { defined } @fault[0 .. 4];
	if (defined $self->{dir}) {
		my @bad = $self->_bad_lines;
		ok(!@bad, 'the logs hold no unexpected line');
		diag($_) for grep { defined } @bad[0 .. 19];
		my @report = grep { !$self->{reports}{$_} } $self->_reports;
		ok(!@report, 'no sanitizer report');
		diag("$_\n", map { substr $_, 0, 4000 } Stage::Folder::slurp($_)) for @report;
	}
	ok(!@warnings, 'Perl warns of nothing');
	$_->close for ($self->{clients} // [])->@*;
	done_testing();
}

sub _down ($self) {
	return if !$self->{private} || $self->{owner} != $$;
	delete $self->{program};
	local $ENV{STAGING_DIR} = $self->{dir};
	system "$ROOT/t/staging down >/dev/null 2>&1";
	File::Path::remove_tree($self->{dir}) if !$ENV{STAGING_KEEP} && !$self->{keep};
}

END {
	my $status = $?;
	$_->_down for splice @running;
	$? = $status;
}

$SIG{INT} = $SIG{TERM} = sub { exit 130 };

1;
