package Nginx;

# An nginx of a script's own, in a folder like /etc/nginx that has our files in
# todo/ and conf.d/, before the pool of the script's stack. It ends with the
# script, or with the last reference to it.

use v5.36;
use File::Path ();
use File::Temp ();
use IO::Socket::INET;
use POSIX ();
use Client;
use Facts;

my $NGINX = -x '/usr/sbin/nginx' ? '/usr/sbin/nginx' : 'nginx';
# What an operator has in the two files of conf.d; see also settled().
my @YOURS = qw(todo-settings.conf todo-site.conf);

# stack; http: what stands in http { }, or a sub that returns it; install: what
# puts our files there instead of install().
sub new ($class, %o) {
	my $dir = File::Temp->newdir('todo-nginx-XXXXXX', TMPDIR => 1);
	my $listen = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 1) or die $!;
	my $self = bless { stack => $o{stack}, dir => $dir, port => $listen->sockport, owner => $$ },
	    $class;
	$listen->close;
	mkdir "$dir/$_" or die $! for qw(todo conf.d);
	($o{install} // \&install)->($self);
	$self->{http} = ref $o{http} ? $o{http}->($self) : $o{http} // 'include conf.d/*.conf;';
	$self->start;
	return $self;
}

sub dir ($self) { "$self->{dir}" }
sub port ($self) { $self->{port} }
sub url ($self) { "https://127.0.0.1:$self->{port}" }
sub certificate ($self) {
	my ($cert, $key) = map { $self->{stack}->file("etc/$_.pem") } qw(cert key);
	return "ssl_certificate $cert;\n\t\tssl_certificate_key $key;";
}

sub text ($self, $name, $new = undef) {
	my $path = "$self->{dir}/$name";
	if (defined $new) {
		open my $out, '>', $path or die "$path: $!";
		print {$out} $new;
		close $out;
		return $new;
	}
	open my $in, '<', $path or die "$path: $!";
	local $/;
	return <$in>;
}

# Changes one of the files; what is to be changed must be there.
sub edit ($self, $name, @replace) {
	my $text = $self->text($name);
	while (my ($what, $by) = splice @replace, 0, 2) {
		$text =~ s/\Q$what\E/$by/g or die "$name: where is \"$what\"?\n";
	}
	$self->text($name, $text);
}

# Our files, from the checkout.
sub install ($self) {
	my %yours = map { $_ => 1 } @YOURS;
	for my $path (glob Stack->root . '/nginx/*.conf') {
		my ($name) = $path =~ m{([^/]+)\z};
		open my $in, '<', $path or die $!;
		$self->text(($yours{$name} ? 'conf.d' : 'todo') . "/$name", do { local $/; <$in> });
	}
	$self->settled;
}

# What an operator would set: the sockets, the name and the certificate.
sub settled ($self) {
	my $stack = $self->{stack};
	$self->edit('conf.d/todo-settings.conf',
	    'unix:/run/todo-fcgi/todo.sock' => 'unix:' . $stack->pool_socket,
	    'unix:/run/todo-issuer/' => 'unix:' . $stack->file('run/'));
	$self->edit('conf.d/todo-site.conf', 'listen 443 ' => "listen 127.0.0.1:$self->{port} ",
	    "\ttodo.example 1;" => "\t127.0.0.1 1;\n\tlocalhost 1;",
	    'server_name todo.example;' => 'server_name 127.0.0.1 localhost;',
	    '/etc/ssl/todo/' => $stack->file('etc/'));
	$self->fit;
}

# What a test has to have otherwise than an operator: where the log and the page are.
sub fit ($self) {
	$self->edit('todo/todo-server.conf', '/var/log/nginx/todo-access.log' => "$self->{dir}/access.log",
	    '/usr/share/todo-fcgi/page' => "$self->{dir}/page");
}

sub start ($self) {
	my $dir = $self->{dir};
	my $user = $> == 0 ? 'user root;' : '';
	$self->text('nginx.conf', <<~END);
	daemon off;
	$user
	worker_processes 1;
	pid $dir/pid;
	error_log $dir/error.log info;
	events { worker_connections 1024; }
	http {
		access_log off;
		@{[map { "${_}_temp_path $dir/$_;" } qw(client_body fastcgi proxy uwsgi scgi)]}
		$self->{http}
	}
	END
	my $pid = fork // die $!;
	if (!$pid) {
		open STDERR, '>', "$dir/stderr";
		{ exec $NGINX, '-p', "$dir/", '-e', "$dir/error.log", '-c', "$dir/nginx.conf" }
		POSIX::_exit(127);
	}
	$self->{pid} = $pid;
	poll { IO::Socket::INET->new(PeerAddr => "127.0.0.1:$self->{port}") } 'nginx listens'
	    or die $self->text('stderr');
}

sub stop ($self) {
	my $pid = delete $self->{pid} // return;
	kill TERM => $pid;
	waitpid $pid, 0;
}

sub client ($self, %o) {
	return Client->new(url => $self->url, ca => $self->{stack}{env}{STAGING_CA},
	    on_answer => sub ($answer) { $self->{stack}->_on_answer($answer) }, %o);
}

# Its worker processes, as the kernel has them.
sub workers ($self) {
	open my $f, '<', "/proc/$self->{pid}/task/$self->{pid}/children" or die $!;
	return split ' ', <$f> // '';
}

sub DESTROY ($self) {
	return if $self->{owner} != $$;
	local ($?, $!, $@);
	$self->stop;
}

1;
