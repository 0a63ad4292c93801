package Stage::Packages;

# The packages that a stage, its tests and the benchmark need, and their
# installation from Debian and from npm.

use v5.36;
use Stage::Process qw(run);

my %NEEDED = (
	build => [qw(autoconf automake gcc libc6-dev libfcgi-dev libjson-c-dev libjwt-dev
		libmariadb-dev libssl-dev make pkg-config)],
	serve => [qw(mariadb-client-core mariadb-server-core nginx openssl perl spawn-fcgi)],
	issuer => [qw(ca-certificates curl nodejs npm)],
	tests => [qw(ca-certificates chromium fonts-dejavu-core libcrypt-jwt-perl
		libio-socket-ssl-perl mariadb-client-core nodejs npm perl valgrind)],
	# What t/style, t/static and .ci/run want besides.
	tools => [qw(clang clang-format clang-tidy clang-tools cppcheck git libperl-critic-perl
		shellcheck)],
	bench => ['libio-socket-ssl-perl'],
	# The contestants of the benchmark.
	(map { $_ => [qw(python3-fastapi python3-jwt python3-aiomysql uvicorn python3-uvloop
		python3-httptools)] } qw(fastapi fastapi_raw)),
	fastify => ['npm'],
	ulfius => [qw(libulfius-dev librhonabwy-dev libhoel-dev libyder-dev)],
);

# The program or the file that shows a package to be there, wherever it came from,
# where that is not a program of the same name.
my %SIGN = (
	'ca-certificates' => '/etc/ssl/certs/ca-certificates.crt',
	'clang-tools' => 'scan-build',
	'fonts-dejavu-core' => '/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf',
	'libc6-dev' => '/usr/include/stdio.h',
	'libcrypt-jwt-perl' => '/usr/share/perl5/Crypt/JWT.pm',
	'libfcgi-dev' => '/usr/include/fcgiapp.h',
	'libio-socket-ssl-perl' => '/usr/share/perl5/IO/Socket/SSL.pm',
	'libjson-c-dev' => '/usr/include/json-c/json.h',
	'libmariadb-dev' => '/usr/include/mariadb/mysql.h',
	'libperl-critic-perl' => 'perlcritic',
	'libssl-dev' => '/usr/include/openssl/evp.h',
	'mariadb-client-core' => 'mariadb',
	'mariadb-server-core' => 'mariadbd',
	nodejs => 'node',
	perl => 'prove', # perl-base has none
	(map { ("lib$_-dev" => "/usr/include/$_.h") } qw(jwt ulfius rhonabwy hoel yder)),
	(map { ("python3-$_" => "/usr/lib/python3/dist-packages/$_") }
		qw(fastapi jwt aiomysql uvloop httptools)),
);

# Run by root, perhaps through sudo. What is installed must neither start services
# nor restart those that run: policy-rc.d is Debian's way to say so.
my $AS_ROOT = <<'END';
	set -e
	exec 9>/run/todo-fcgi-staging.lock
	flock 9
	policy=/usr/sbin/policy-rc.d
	mark="# for the time of an installation by t/staging"
	if [ ! -e $policy ] || grep -qxF "$mark" $policy; then
		trap "rm -f $policy" EXIT
		trap "exit 1" HUP INT TERM
		printf "#!/bin/sh\n%s\nexit 101\n" "$mark" >$policy
		chmod 755 $policy
	fi
	export DEBIAN_FRONTEND=noninteractive
	# Not every source has to answer, as long as the packages are found.
	apt-get -q -o DPkg::Lock::Timeout=600 update || :
	apt-get -q -y -o DPkg::Lock::Timeout=600 \
		install --no-install-recommends "$@"
	# Nor start it at the next boot.
	case " $* " in *" nginx "*) update-rc.d nginx disable ;; esac
END

sub _is_there ($sign) {
	return $sign =~ m{\A/} ? -e $sign : scalar grep { -x "$_/$sign" } split /:/, $ENV{PATH};
}

# Those missing of what these (build, serve...) need.
sub missing (@purposes) {
	my %wanted = map { $_ => 1 } map { ($NEEDED{$_} // [])->@* } @purposes;
	return grep { !_is_there($SIGN{$_} // $_) } sort keys %wanted;
}

sub install ($folder, @purposes) {
	my @missing = missing(@purposes) or return;
	print STDERR "Installing with apt, no service of theirs is started: @missing\n";
	_is_there('apt-get') or die "there is no apt-get here\n";
	my @sudo = $> == 0 ? () : qw(sudo -n);
	$folder->must('stage/apt.log', 'the packages could not be installed (by hand: apt-get '
		. "install @missing)", [@sudo, 'sh', '-c', $AS_ROOT, 'sh', @missing]);
}

# Exactly what the lock file of a folder names. None of their scripts is run.
sub npm ($folder, $in) {
	my ($done, $lock) = ("$in/node_modules/.package-lock.json", "$in/package-lock.json");
	return if -e $done && (stat $done)[9] > (stat $lock)[9];
	print STDERR "Installing with npm: what $lock names\n" =~ s{ \Q$folder->{dir}\E/}{ }r;
	$folder->must('stage/npm.log', 'npm could not install them', [qw(npm ci --ignore-scripts
		--no-audit --no-fund --no-update-notifier)], cwd => $in);
	utime undef, undef, $done;
}

1;
