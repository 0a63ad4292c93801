package Bench;

# The stage of the benchmark: the database with its tenants, their tokens, nginx
# with the product's own files and a server for each contestant, and what each
# service uses of the machine.

use v5.36;
use parent 'Stage::Services';
use Digest::MD5 qw(md5_hex);
use File::Path ();
use File::Temp ();
use HTTP::Tiny;
use POSIX ();
use Stage;
use Stage::Process qw(output stat_of);
use Token;

use constant { HOST => '127.0.0.1', ISSUER => 'https://bench.example' };
my $TICKS = POSIX::sysconf(POSIX::_SC_CLK_TCK());

# dir: the folder, which is kept; without it one that is removed at the end;
# pool_size: of InnoDB's buffer; lax: writes need not reach the disk, which others
# may be keeping busy; tell: as of Stage::Folder
sub new ($class, %o) {
	my $made = !$o{dir};
	$o{dir} ||= File::Temp::tempdir('todo-bench-XXXXXX', TMPDIR => 1);
	my $self = $class->SUPER::new(%o, made => $made, owner => $$, ports => {},
		secret => Stage::Folder::random(32), password => Stage::Folder::random(32),
		processors => 0 + output('nproc'));
	umask 0022;
	$self->make;
	$self->stop($_) for $self->running;
	unlink glob $self->file('{log/*,stage/*.log}');
	return $self;
}

sub socket ($self, $name) { $self->file("run/$name.sock") }
sub password ($self) { $self->{password} }

# Stops all there is, and leaves nothing that was not asked for.
sub end ($self) {
	return if $$ != $self->{owner};
	local ($?, $@);
	# The database last: the others would complain in its absence.
	$self->stop($_) for sort { ($a eq 'mariadb') <=> ($b eq 'mariadb') } $self->running;
	File::Path::remove_tree($self->dir) if $self->{made};
}

# Builds a program of one source file with what pkg-config says of libraries.
sub compile ($self, $name, $source, @libraries) {
	my @flags = map { split ' ', output('pkg-config', $_, @libraries) } '--cflags', '--libs';
	$self->must("stage/$name-build.log", "$source does not build", ['cc', qw(-std=c11
		-D_GNU_SOURCE -O2 -Wall -Wextra -o), $self->file($name), $source, @flags]);
}

# --- what a service uses ----------------------------------------------------

# Microseconds of processor time so far.
sub cpu ($self, $name) {
	my $ticks = 0;
	for my $pid ($self->members($name)) {
		my %stat = stat_of($pid) or next;
		$ticks += $stat{ticks};
	}
	return $ticks * 1e6 / $TICKS;
}

# Proportional set size in KiB.
sub memory ($self, $name) {
	my $sum = 0;
	for my $pid ($self->members($name)) {
		open my $f, '<', "/proc/$pid/smaps_rollup" or next;
		while (my $line = <$f>) { $sum += $1 if $line =~ /\APss:\s+(\d+)/ }
	}
	return $sum;
}

# --- database ---------------------------------------------------------------

sub start_database ($self) {
	Stage::Database::start($self, "--innodb-buffer-pool-size=$self->{pool_size}",
		'--innodb-log-file-size=512M', $self->{lax} ? '--innodb-flush-method=nosync' : ());
}

# Runs SQL; returns rows of columns.
sub sql ($self, $sql, $database = 'mysql') {
	return Stage::Database::query($sql, Stage::Database::admin($self), $database);
}

# The schema, and the account that all contestants use.
sub migrate ($self, $database = 'todo') {
	Stage::Database::migrate($self, $Stage::TOP, <<~END, $database);
		CREATE USER IF NOT EXISTS todo\@localhost;
		ALTER USER todo\@localhost IDENTIFIED BY '$self->{password}';
		GRANT SELECT, INSERT, UPDATE, DELETE ON $database.* TO todo\@localhost;
		END
	Stage::Database::options($self, $self->{password}, $database);
}

# The id of tenant number n: 32 characters, as Better Auth's are.
sub tenant ($self, $n) { md5_hex("tenant $n") }

# Gives tenants `first` to `last` `tasks` tasks each, a second apart, of which
# every third is completed and every other has a description; or, with
# `pending`, all are completed but that many of the oldest.
sub fill ($self, %o) {
	my $completed = defined $o{pending} ? "k.seq > $o{pending}" : 'k.seq % 3 = 0';
	$self->sql(qq{
		INSERT INTO tasks (user_id, id, title, description, completed,
			revision, created_at, updated_at)
		WITH clock AS (
			SELECT u.seq AS tenant, k.seq AS k,
				1760000000000000 + k.seq * 1000000 + u.seq * 7 AS us
			FROM seq_$o{first}_to_$o{last} AS u, seq_1_to_$o{tasks} AS k)
		SELECT MD5(CONCAT('tenant ', tenant)),
			UNHEX(CONCAT(
				LPAD(HEX(us DIV 1000), 12, '0'),
				'7', LPAD(HEX((us MOD 1000) * 4096 DIV 1000), 3, '0'),
				'8', LEFT(MD5(CONCAT(tenant, ' ', k)), 15))),
			CONCAT('Task ', LPAD(k * 7919 MOD 1000003, 7, '0'),
				' – café "au lait"'),
			IF(k MOD 2 = 0, CONCAT('Beans, milk,\\nand number ',
				LPAD(k, 7, '0'), ' of what there is to be bought'), NULL),
			@{[$completed =~ s/k\.seq/k/gr]}, 1,
			TIMESTAMP'1970-01-01 00:00:00' + INTERVAL us MICROSECOND,
			TIMESTAMP'1970-01-01 00:00:00' + INTERVAL us MICROSECOND
		FROM clock ORDER BY 1, 2;
	}, $o{database} // 'todo');
}

# The id of the newest task of each of these tenants, as in a URL.
sub task_ids ($self, @tenants) {
	my $users = join ',', map { "'" . $self->tenant($_) . "'" } @tenants;
	my %id = map { @$_ } $self->sql("SELECT user_id, LOWER(HEX(MAX(id))) FROM tasks
		WHERE user_id IN ($users) GROUP BY user_id", 'todo');
	return map { $id{$self->tenant($_)}
		=~ s/\A(.{8})(.{4})(.{4})(.{4})(.{12})\z/$1-$2-$3-$4-$5/r } @tenants;
}

# --- tokens -----------------------------------------------------------------

# The token of tenant number n. wrong: 'expired', 'signature' or 'rs256'.
sub token ($self, $n, $wrong = '') {
	my $iat = time - ($wrong eq 'expired' ? 7200 : 0);
	my @claims = Token::claims($self->tenant($n), ISSUER, ISSUER, iat => $iat,
		exp => $iat + ($wrong eq 'expired' ? 3600 : 43200),
		jti => '"' . md5_hex("jti $n") . '"', user_email => qq("$n\@bench.example"));
	my $header = $wrong eq 'rs256' ? '{"alg":"RS256","typ":"JWT"}' : $Token::HEADER;
	my $key = $wrong eq 'signature' ? 'another secret' : $self->{secret};
	my $token = Token::sign(Token::b64u($header), Token::b64u(Token::payload(@claims)), $key);
	# As long as a signature of RSA.
	my $rsa = Token::b64u(join '', map { chr int rand 256 } 1 .. 256);
	return $wrong eq 'rs256' ? $token =~ s/[^.]*\z/$rsa/r : $token;
}

# What every contestant is told.
sub settings ($self) {
	return (
		BETTER_AUTH_SECRET => $self->{secret}, BETTER_AUTH_URL => ISSUER,
		JWT_ISSUER => ISSUER, JWT_AUDIENCE => ISSUER,
	);
}

# --- nginx ------------------------------------------------------------------

# A port for a contestant, which may not have it yet.
sub free_port ($self) {
	while (1) {
		my $port = Stage::Nginx::free_port();
		return $port if !$self->{chosen}{$port}++;
	}
}

# backends: [name, how nginx reaches it] of each contestant; a FastCGI pool is
# 'fastcgi', reached as the product has it, or else a URL of proxy_pass.
sub start_nginx ($self, @backends) {
	my ($dir, $etc, $run) = ($self->dir, map { $self->file($_) } qw(etc run));
	Stage::Certificate::make($self);
	File::Path::make_path("$etc/todo");
	$self->show("$etc/todo");
	my %place = (pool => $run, issuer => $run, certificate => $etc,
		log => "$dir/log/access.log", page => "$dir/page");
	my $product = sub ($name, @more) {
		return Stage::Nginx::replaced($name, Stage::Nginx::product($name),
			Stage::Nginx::operator($name, %place), Stage::Nginx::moved($name, %place),
			@more);
	};
	$self->put("etc/todo/$_", $product->($_))
	    for grep { !/-(?:settings|server|site)\.conf\z/ } Stage::Nginx::names();
	# All clients have one address here: each connection counts as one.
	$self->put('etc/todo/todo-settings.conf', $product->('todo-settings.conf',
		"\$todo_connection_key {\n\tdefault \$todo_client"
			=> "\$todo_connection_key {\n\tdefault \$connection"));

	my $http = "include todo/todo-settings.conf;\n";
	for (@backends) {
		my ($name, $kind) = @$_;
		$place{port} = $self->{ports}{$name} = $self->free_port;
		my $server = $product->('todo-server.conf',
			'shared:todo_tls:2m' => "shared:${name}_tls:2m");
		if ($kind ne 'fastcgi') {
			# The same server, but what it passes on to is a proxy.
			$server =~ s/^include todo\/todo-locations\.conf;.*\z//ms
			    or die 'nginx/todo-server.conf: where are the locations?';
			$server =~ s/^error_page .*$//mg;
			$server .= "location / { proxy_pass http://$name; }\n";
			$http .= "upstream $name { server $kind max_fails=0; keepalive 64; }\n";
		} elsif ($name ne 'todo') {
			# Another pool behind the same locations.
			my $locations = $product->('todo-locations.conf');
			for ($locations, $server) {
				s/\$todo_pool/\$${name}_pool/g;
				s/todo-locations/$name-locations/g;
			}
			$self->put("etc/todo/$name-locations.conf", $locations);
			$http .= "upstream ${name}_once { server unix:$run/$name.sock max_fails=0; }
				upstream ${name}_twice { server unix:$run/$name.sock max_fails=0;
					server unix:$run/$name.sock max_fails=0; }
				map \$request_method \$${name}_pool { default ${name}_once;
					GET ${name}_twice; HEAD ${name}_twice; }\n";
		}
		$self->put("etc/todo/$name-server.conf", $server);
		$http .= $product->('todo-site.conf',
			'todo/todo-server.conf' => "todo/$name-server.conf");
	}
	$http .= <<~'END';
		proxy_http_version 1.1;
		proxy_set_header Connection "";
		proxy_set_header Host $http_host;
		proxy_set_header X-Request-Id $request_id;
		proxy_buffer_size 16k;
		proxy_buffers 64 8k;
		END
	my ($log, $main) = ("$dir/log/nginx-error.log", "$etc/nginx.conf");
	$self->put('etc/nginx.conf', Stage::Nginx::main_file(run => $run, log => $log,
		workers => $self->{processors}, http => $http));
	$self->launch('nginx', [Stage::Nginx::command($dir, $log, $main)]);
	my ($port) = values $self->{ports}->%*;
	$self->until_ready('nginx', sub { Stage::Nginx::listens($port) });
}

sub port ($self, $name) { $self->{ports}{$name} }

# --- a client for looking, not for timing -----------------------------------

sub ask ($self, $name, $method, $target, $token, $body = undef) {
	$self->{client} //= HTTP::Tiny->new(verify_SSL => 1, timeout => 10,
		SSL_options => { SSL_ca_file => $self->file('etc/ca.pem') });
	return $self->{client}->request($method,
		'https://' . HOST . ':' . $self->port($name) . $target, {
			headers => {
				Authorization => "Bearer $token",
				defined $body ? ('Content-Type' => 'application/json') : (),
			},
			defined $body ? (content => $body) : (),
		});
}

1;
