# Goal: the lines about nginx in the README do what they say. The installation works;
# an upgrade keeps the operator's settings and replaces everything else; and the line
# for /readyz works on this machine.

use v5.36;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Test::More;
use Facts;
use Faults;
use Files;
use Nginx;
use Stack;

my $stack = Stack->new(inside => 1);
plan skip_all => 'no build tree to install from' if !-e "$stack->{build}/Makefile";
my $readme = slurp(Stack->root . '/README.md');
my $root = File::Temp->newdir('todo-install-XXXXXX', TMPDIR => 1);
my $share = "$root/usr/local/share/todo-fcgi";
my $page = 'https://app.example';

# The lines of code below a heading of the README.
sub code ($heading) {
	my ($part) = $readme =~ /^#+ \Q$heading\E\n(.*?)(?=^#)/ms or die "no heading $heading";
	return $part =~ /^    (\S.*)\n/mg;
}

# Runs the lines below `heading` that have `command` and /etc/nginx, on the folders of
# the test alone. Returns their output.
sub follow ($heading, $command, $etc, %o) {
	my @lines = grep { m{\A\Q$command\E .*/etc/nginx} } code($heading)
	    or die "no $command in $heading";
	my $out = '';
	for my $line (@lines) {
		$line =~ s{/usr/local/share}{$root/usr/local/share}g;
		$line =~ s{/etc/nginx}{$etc}g;
		$line =~ /\A[a-z]+(?: -\w+)?(?: (?:\Q$root\E|\Q$etc\E)\S*)+\z/
		    or die "unexpected line in the README: $line";
		$out .= qx{$line 2>&1};
		ok($? == 0 || $o{any_status}, "$heading: $line") or diag($out);
	}
	return $out;
}
sub tree ($dir) {
	return { map { (s{\A\Q$dir\E/}{}r => -d $_ ? 'folder' : slurp($_)) }
		    glob "$dir/* $dir/*/*" };
}
# The options of a make that runs this test are not for the make below.
delete @ENV{qw(MAKEFLAGS MFLAGS MAKELEVEL)};
sub install () {
	my $command = "make -s -C '$stack->{build}' install DESTDIR='$root'";
	is(system("$command >/dev/null 2>&1"), 0, 'make install');
}

# A certificate for todo.example, the name in the README.
sub certify ($dir) {
	system("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 "
	    . '-subj /CN=todo.example -addext subjectAltName=DNS:todo.example '
	    . "-keyout '$dir/key.pem' -out '$dir/cert.pem' 2>/dev/null") == 0 or die;
}

# Installed, then set as an operator would: in conf.d alone.
install();
my %yours;
my $nginx = Nginx->new(stack => $stack, install => sub ($self) {
	my $etc = $self->dir;
	rmdir "$etc/todo" or die $!;
	follow('5. nginx', 'cp', $etc);
	follow('A server of its own', 'cp', $etc);
	is_deeply([sort keys tree("$etc/conf.d")->%*], ['todo-settings.conf', 'todo-site.conf'],
	    'conf.d has the two files of the operator');
	is_deeply(tree("$etc/todo"), tree("$share/nginx"), 'todo/ has all other files');
	certify($etc);
	$self->edit('conf.d/todo-settings.conf',
	    'unix:/run/todo-fcgi/todo.sock' => 'unix:' . $stack->pool_socket,
	    "\$todo_cors_origins {\n\tdefault \"\"" => "\$todo_cors_origins {\n\tdefault \"$page\"",
	    "\t127.0.0.1 1;\n" => "\t127.0.0.1 1;\n\t127.0.0.3 1;\n");
	$self->edit('conf.d/todo-site.conf',
	    'listen 443 ' => "listen 127.0.0.1:$self->{port} ", '/etc/ssl/todo/' => "$etc/");
	%yours = tree("$etc/conf.d")->%*;
	$self->fit;
});

# The settings, as a client sees them.
sub in_force ($when) {
	local $ENV{CURL_CA_BUNDLE} = $nginx->dir . '/cert.pem';
	local $ENV{no_proxy} = '*';
	my $curl = "curl -qsS --resolve todo.example:@{[$nginx->port]}:127.0.0.1";
	my $url = "https://todo.example:@{[$nginx->port]}";
	is(qx($curl $url/healthz), '{"status":"ok"}',
		"$when: the name and the certificate are in force");
	my $cors = qr/^access-control-allow-origin: \Q$page\E\r$/mi;
	like(qx($curl -i -H 'Origin: $page' $url/api/me), $cors,
		"$when: the allowed origin is in force");
	my $ready = qx($curl --interface 127.0.0.3 $url/readyz);
	is($ready, '{"status":"ok"}', "$when: the address of the monitoring may ask /readyz");
	$ready = qx($curl --interface 127.0.0.4 $url/readyz);
	like($ready, qr/"code":"forbidden"/, "$when: no other address may ask /readyz");
}
in_force('installed');

# /readyz by the README's line, although todo.example has no address.
{
	local $ENV{CURL_CA_BUNDLE} = $nginx->dir . '/cert.pem';
	local $ENV{no_proxy} = '*';
	my ($line) = grep { m{/readyz} } code('7. See that it works');
	$line =~ s/:443:/:@{[$nginx->port]}:/;
	$line =~ s{https://todo\.example}{$&:@{[$nginx->port]}};
	is(qx{$line 2>/dev/null}, '{"status":"ok"}', "this machine may ask /readyz: $line");
}

# The next release: changed files, and one more setting.
install();
for my $name ('nginx/todo-problem.conf', 'conf.d/todo-settings.conf') {
	open my $f, '>>', "$share/$name" or die $!;
	print {$f} "# new in the next release\n";
}
my $etc = $nginx->dir;
$nginx->stop;
follow('Upgrading', 'cp', $etc);
my $said = follow('Upgrading', 'diff', $etc, any_status => 1);
like($said, qr/^< # new in the next release$/m, 'diff shows the new setting');
like($said, qr/^> \tdefault "\Q$page\E";$/m, "diff shows the operator's setting");
is_deeply(tree("$etc/todo"), tree("$share/nginx"),
	'upgraded: todo/ has the new files and no other');
is_deeply(tree("$etc/conf.d"), \%yours, "upgraded: the operator's files are unchanged");
# Installing once more instead of upgrading loses nothing.
follow('5. nginx', 'cp', $etc);
follow('A server of its own', 'cp', $etc);
is_deeply(tree("$etc/todo"), tree("$share/nginx"),
	'installed once more: todo/ has the new files and no other');
is_deeply(tree("$etc/conf.d"), \%yours, "installed once more: the operator's files are unchanged");
$nginx->fit;
$nginx->start;
in_force('upgraded');

$stack->done;
