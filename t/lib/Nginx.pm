package Nginx;

# An nginx that a script has for itself, in front of the pool of the script's
# stack. Its folder is like /etc/nginx, with our files in todo/ and conf.d/. It ends
# with the script, or with the last reference to it.

use v5.36;
use File::Path ();
use File::Temp ();
use Client;
use Facts;
use Stage;
use Stage::Process qw(children);

# The two files of conf.d, which are the operator's; see also settled().
my @YOURS = qw(todo-settings.conf todo-site.conf);

# stack; http: what stands in http { }, or a sub that returns it; install: what
# puts our files there instead of install().
sub new ($class, %o) {
	my $dir = File::Temp->newdir('todo-nginx-XXXXXX', TMPDIR => 1);
	my $self = bless { stack => $o{stack}, dir => $dir, port => Stage::Nginx::free_port(),
		owner => $$ }, $class;
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
	return Stage::Folder::slurp($path);
}

# Changes one of the files; what is to be changed must be there.
sub edit ($self, $name, @replace) {
	$self->text($name, Stage::Nginx::replaced($name, $self->text($name), @replace));
}

# Our files, from the checkout.
sub install ($self) {
	my %yours = map { $_ => 1 } @YOURS;
	for my $name (Stage::Nginx::names()) {
		my $folder = $yours{$name} ? 'conf.d' : 'todo';
		$self->text("$folder/$name", Stage::Nginx::product($name));
	}
	$self->settled;
}

# What an operator would set: the sockets, the name and the certificate.
sub settled ($self) {
	my $stack = $self->{stack};
	$self->edit("conf.d/$_", Stage::Nginx::operator($_, pool => $stack->file('pool'),
		issuer => $stack->file('run'), port => $self->{port},
		certificate => $stack->file('etc'))) for @YOURS;
	$self->fit;
}

# What a test has to set beyond an operator: where the log and the page are.
sub fit ($self) {
	my ($name, $dir) = ('todo-server.conf', $self->dir);
	$self->edit("todo/$name",
	    Stage::Nginx::moved($name, log => "$dir/access.log", page => "$dir/page"));
}

sub start ($self) {
	my $dir = $self->{dir};
	$self->text('nginx.conf', Stage::Nginx::main_file(run => $dir, workers => 1,
		main => $> == 0 ? 'user root;' : '', log => "$dir/error.log info",
		http => "\taccess_log off;\n\t$self->{http}"));
	open my $out, '>', "$dir/stderr" or die "$dir/stderr: $!";
	my @command = Stage::Nginx::command($dir, "$dir/error.log", "$dir/nginx.conf");
	$self->{pid} = Stage::Process::start(\@command, out => $out);
	poll { Stage::Nginx::listens($self->{port}) } 'nginx listens'
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

sub workers ($self) { children($self->{pid}) }

sub DESTROY ($self) {
	return if $self->{owner} != $$;
	local ($?, $!, $@);
	$self->stop;
}

1;
