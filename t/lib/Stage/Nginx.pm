package Stage::Nginx;

# The product's nginx files with a stage's values in place of the samples, and the
# nginx.conf that includes them.

use v5.36;
use Cwd ();
use File::Basename qw(dirname);
use IO::Socket::INET;
use Stage::Folder qw(slurp);

my $FILES = Cwd::abs_path(dirname(__FILE__) . '/../../../nginx');

sub names () { map { s{.*/}{}r } glob "$FILES/*.conf" }
sub product ($name) { slurp("$FILES/$name") }

# Replaces sample values, each of which must be there.
sub replaced ($name, $text, @replace) {
	while (my ($sample, $value) = splice @replace, 0, 2) {
		$text =~ s/\Q$sample\E/$value/g or die "$name: where is \"$sample\"?\n";
	}
	return $text;
}

# What an operator has to set in a file, as sample => value. pool, issuer: the folders
# of their sockets; port; certificate: its folder
sub operator ($name, %o) {
	return ('unix:/run/todo-fcgi/' => "unix:$o{pool}/",
		'unix:/run/todo-issuer/' => "unix:$o{issuer}/") if $name eq 'todo-settings.conf';
	return ('listen 443 ' => "listen 127.0.0.1:$o{port} ",
		"\ttodo.example 1;" => "\t127.0.0.1 1;\n\tlocalhost 1;",
		'server_name todo.example;' => 'server_name 127.0.0.1 localhost;',
		'/etc/ssl/todo/' => "$o{certificate}/") if $name eq 'todo-site.conf';
	return;
}

# What else a stage has to: where the log and the page are.
sub moved ($name, %o) {
	return if $name ne 'todo-server.conf';
	return ('/var/log/nginx/todo-access.log' => $o{log},
		'/usr/share/todo-fcgi/page' => $o{page});
}

# run: the folder of what nginx makes; log; workers; main, http: more lines
sub main_file (%o) {
	my @temp = map { "\t${_}_temp_path $o{run}/$_;\n" }
	    qw(client_body proxy fastcgi uwsgi scgi);
	return <<~"END" . join '', @temp, $o{http}, "\n}\n";
		@{[$o{main} // '']}
		worker_processes $o{workers};
		daemon off;
		pid $o{run}/nginx.conf-pid;
		error_log $o{log};
		events { worker_connections 1024; }
		http {
			include /etc/nginx/mime.types;
		END
}

sub command ($dir, $log, $config) { ('nginx', '-p', "$dir/", '-e', $log, '-c', $config) }

sub listens ($port) { !!IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port) }

# A port that nobody listens on, below those that the kernel gives to clients.
sub free_port () {
	while (1) {
		my $port = 20_000 + int rand 10_000;
		return $port if !listens($port);
	}
}

1;
