package Stage;

# What all contestants share: the database with its tenants, the tokens, and
# nginx, which is set up by the product's own files.

use v5.36;
use Digest::MD5 qw(md5_hex);
use Digest::SHA qw(hmac_sha256 sha256_hex);
use HTTP::Tiny;
use IO::Socket::SSL;
use MIME::Base64 qw(encode_base64url);

use constant { HOST => '127.0.0.1', ISSUER => 'https://bench.example' };

# top: the checkout; machine; pool_size: of InnoDB's buffer; lax: what is written
# need not reach the disk, which others may be keeping busy.
sub new ($class, %o) {
	return bless {
		%o, secret => sha256_hex(rand . $$ . time),
		password => sha256_hex(rand . $$ . 'todo'), ports => {},
	}, $class;
}

sub machine ($self) { $self->{machine} }
sub socket ($self, $name) { $self->machine->file("run/$name.sock") }
sub secret ($self) { $self->{secret} }
sub password ($self) { $self->{password} }

# --- database ---------------------------------------------------------------

sub start_database ($self) {
	my $m = $self->machine;
	my $data = $m->file('data');
	if (!-d "$data/mysql") {
		$m->say('Making a database');
		$m->do('mariadb.log', $m->as_user, 'mariadb-install-db', '--no-defaults',
			"--datadir=$data", '--tmpdir=' . $m->file('run'),
			'--skip-test-db',
			'--auth-root-authentication-method=normal');
	}
	$m->start('mariadb', run => ['mariadbd', '--no-defaults', "--datadir=$data",
		'--socket=' . $self->socket('mariadb'), '--skip-networking',
		$self->{lax} ? '--innodb-flush-method=nosync' : (),
		'--skip-name-resolve', '--innodb-buffer-pool-size=' . $self->{pool_size},
		'--innodb-log-file-size=512M', '--tmpdir=' . $m->file('run'),
		'--pid-file=' . $m->file('run/mariadb.pid')]);
	$m->put('etc/admin.cnf', "[client]\nsocket=" . $self->socket('mariadb')
		. "\nuser=root\n");
	my $admin = $m->file('etc/admin.cnf');
	$m->until('mariadb', sub {
		system("mariadb --defaults-file='$admin' --execute='DO 0' >/dev/null 2>&1") == 0
	});
}

# Runs SQL; returns the rows, tabs between columns.
sub sql ($self, $sql, $database = 'mysql') {
	my $m = $self->machine;
	my $script = $m->put('etc/script.sql', $sql);
	my $admin = $m->file('etc/admin.cnf');
	my $log = $m->file('state/sql.log');
	my @rows = qx{mariadb --defaults-file='$admin' --batch --skip-column-names \\
		--default-character-set=utf8mb4 $database <'$script' 2>>'$log'};
	die "SQL failed:\n" . $m->tail('state/sql.log') if $?;
	chomp @rows;
	return @rows;
}

# The schema, and the account that all contestants use.
sub migrate ($self, $database = 'todo') {
	my $m = $self->machine;
	$m->do('migrate.log', "$self->{top}/sql/migrate",
		'--defaults-file=' . $m->file('etc/admin.cnf'), "--database=$database");
	$self->sql("CREATE USER IF NOT EXISTS todo\@localhost;
		ALTER USER todo\@localhost IDENTIFIED BY '$self->{password}';
		GRANT SELECT, INSERT, UPDATE, DELETE ON $database.* TO todo\@localhost;");
	$m->put("etc/$database.cnf", "[todo]\nsocket=" . $self->socket('mariadb')
		. "\nuser=todo\npassword=$self->{password}\ndatabase=$database\n");
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
	my %id;
	for ($self->sql("SELECT user_id, LOWER(HEX(MAX(id))) FROM tasks
		WHERE user_id IN ($users) GROUP BY user_id", 'todo')) {
		my ($user, $hex) = split /\t/;
		$id{$user} = $hex =~ s/\A(.{8})(.{4})(.{4})(.{4})(.{12})\z/$1-$2-$3-$4-$5/r;
	}
	return @id{map { $self->tenant($_) } @tenants};
}

# --- tokens -----------------------------------------------------------------

# The token of tenant number n. wrong: 'expired', 'signature' or 'rs256'.
sub token ($self, $n, $wrong = '') {
	my $user = $self->tenant($n);
	my $iat = time - ($wrong eq 'expired' ? 7200 : 0);
	my $exp = $iat + ($wrong eq 'expired' ? 3600 : 43200);
	my $alg = $wrong eq 'rs256' ? 'RS256' : 'HS256';
	my $input = join '.', map { encode_base64url($_) }
	    qq({"alg":"$alg","typ":"JWT"}),
	    qq({"iss":"@{[ISSUER]}","sub":"$user","aud":"@{[ISSUER]}","exp":$exp,)
	    . qq("iat":$iat,"jti":"@{[md5_hex("jti $n")]}","user_id":"$user",)
	    . qq("user_email":"$n\@bench.example"});
	my $signature = $wrong eq 'rs256' ? join '', map { chr int rand 256 } 1 .. 256
	    : $wrong eq 'signature' ? hmac_sha256($input, 'another secret')
	    : hmac_sha256($input, $self->{secret});
	return "$input." . encode_base64url($signature);
}

# What every contestant is told.
sub settings ($self) {
	return (
		BETTER_AUTH_SECRET => $self->{secret}, BETTER_AUTH_URL => ISSUER,
		JWT_ISSUER => ISSUER, JWT_AUDIENCE => ISSUER,
	);
}

# --- nginx ------------------------------------------------------------------

sub _certificate ($self) {
	my $m = $self->machine;
	my @key = (-newkey => 'ec', -pkeyopt => 'ec_paramgen_curve:P-256', '-nodes');
	my $etc = $m->file('etc');
	$m->put('etc/leaf', "subjectAltName=IP:127.0.0.1\nbasicConstraints=CA:FALSE\n");
	$m->do('openssl.log', qw(openssl req -x509), @key, qw(-days 30 -subj /CN=bench),
		-addext => 'keyUsage=critical,keyCertSign',
		-keyout => "$etc/ca.key", -out => "$etc/ca.pem");
	$m->do('openssl.log', qw(openssl req), @key, qw(-subj /CN=127.0.0.1),
		-keyout => "$etc/key.pem", -out => "$etc/cert.csr");
	$m->do('openssl.log', qw(openssl x509 -req), -in => "$etc/cert.csr",
		-CA => "$etc/ca.pem", -CAkey => "$etc/ca.key", '-CAcreateserial',
		qw(-days 30), -extfile => "$etc/leaf", -out => "$etc/cert.pem");
	$m->show("$etc/key.pem", "$etc/cert.pem");
}

# A file of the product, with sample values replaced.
sub _product ($self, $name, @replace) {
	open my $f, '<', "$self->{top}/nginx/$name" or die "nginx/$name: $!\n";
	local $/;
	my $text = <$f>;
	while (my ($what, $by) = splice @replace, 0, 2) {
		$text =~ s/\Q$what\E/$by/g or die "nginx/$name: where is \"$what\"?\n";
	}
	return $text;
}

# backends: [name, how nginx reaches it] of each contestant; a FastCGI pool is
# 'fastcgi', reached as the product has it, or else a URL of proxy_pass.
sub start_nginx ($self, @backends) {
	my $m = $self->machine;
	my ($etc, $run, $log) = map { $m->file($_) } qw(etc run log);
	$self->_certificate;
	File::Path::make_path("$etc/todo");
	$m->show("$etc/todo");

	my $servers = "include todo/todo-settings.conf;\n";
	# All clients have one address here: each connection counts as one.
	$m->put('etc/todo/todo-settings.conf', $self->_product('todo-settings.conf',
		'unix:/run/todo-fcgi/' => "unix:$run/",
		"\$todo_connection_key {\n\tdefault \$todo_client"
			=> "\$todo_connection_key {\n\tdefault \$connection"));
	for (@backends) {
		my ($name, $kind) = @$_;
		my $port = $self->{ports}{$name} = $m->free_port;
		my $server = $self->_product('todo-server.conf',
			'shared:todo_tls:2m' => "shared:${name}_tls:2m",
			'/var/log/nginx/todo-access.log' => "$log/access.log");
		my $site = $self->_product('todo-site.conf',
			'listen 443 ' => 'listen ' . HOST . ":$port ",
			'todo.example' => HOST,
			'/etc/ssl/todo/' => "$etc/",
			'todo/todo-server.conf' => "todo/$name-server.conf");
		if ($kind ne 'fastcgi') {
			# The same server, but what it passes on to is a proxy.
			$server =~ s/^include todo\/todo-locations\.conf;.*\z//ms
			    or die 'nginx/todo-server.conf: where are the locations?';
			$server =~ s/^error_page .*$//mg;
			$server .= "location / { proxy_pass http://$name; }\n";
			$servers .= "upstream $name { server $kind max_fails=0; keepalive 64; }\n";
		} elsif ($name ne 'todo') {
			# Another pool behind the same locations.
			for my $file (qw(todo-locations.conf todo-server.conf)) {
				my $text = $file eq 'todo-server.conf' ? $server
				    : $self->_product($file);
				$text =~ s/\$todo_pool/\$${name}_pool/g;
				$text =~ s/todo-locations/$name-locations/g;
				$file eq 'todo-server.conf' ? $server = $text
				    : $m->put("etc/todo/$name-locations.conf", $text);
			}
			$servers .= "upstream ${name}_once { server unix:$run/$name.sock max_fails=0; }
				upstream ${name}_twice { server unix:$run/$name.sock max_fails=0;
					server unix:$run/$name.sock max_fails=0; }
				map \$request_method \$${name}_pool { default ${name}_once;
					GET ${name}_twice; HEAD ${name}_twice; }\n";
		}
		$m->put("etc/todo/$name-server.conf", $server);
		$servers .= $site;
	}
	$m->ports_chosen;
	for (qw(better-auth cors errors fastcgi-params locations problem upstreams)) {
		$m->put("etc/todo/todo-$_.conf", $self->_product("todo-$_.conf"));
	}
	$m->put('etc/nginx.conf', <<END);
worker_processes $self->{processors};
daemon off;
pid $run/nginx.pid;
error_log $log/nginx-error.log;
events { worker_connections 1024; }
http {
	include /etc/nginx/mime.types;
	client_body_temp_path $run/body;
	proxy_temp_path $run/proxy;
	fastcgi_temp_path $run/fastcgi;
	uwsgi_temp_path $run/uwsgi;
	scgi_temp_path $run/scgi;
	proxy_http_version 1.1;
	proxy_set_header Connection "";
	proxy_set_header Host \$http_host;
	proxy_set_header X-Request-Id \$request_id;
	proxy_buffer_size 16k;
	proxy_buffers 64 8k;
$servers
}
END
	$m->start('nginx', run => ['nginx', '-p', $m->dir, '-e', "$log/nginx-error.log",
		'-c', "$etc/nginx.conf"]);
	my ($port) = values $self->{ports}->%*;
	$m->until('nginx', sub {
		IO::Socket::INET->new(PeerAddr => HOST, PeerPort => $port) });
}

sub port ($self, $name) { $self->{ports}{$name} }

# --- a client for looking, not for timing -----------------------------------

sub ask ($self, $name, $method, $target, $token, $body = undef) {
	$self->{client} //= HTTP::Tiny->new(verify_SSL => 1, timeout => 10,
		SSL_options => { SSL_ca_file => $self->machine->file('etc/ca.pem') });
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
