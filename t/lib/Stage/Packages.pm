package Stage::Packages;

# The packages that a stage, its tests and the benchmark need, and their
# installation from Debian and from npm.

use v5.36;
use Stage::Process qw(run);

# Each package, a program or a file that shows it is there wherever it came from,
# and who needs it: stage, tests, bench, or one contestant of the benchmark.
my $PYTHON = '/usr/lib/python3/dist-packages';
my @LIST = map { [split] } split /\n/, <<"END";
autoconf               autoconf                               stage bench
automake               automake                               stage bench
ca-certificates        /etc/ssl/certs/ca-certificates.crt     stage tests
chromium               chromium                               tests
curl                   curl                                   stage
fonts-dejavu-core      /usr/share/fonts/truetype/dejavu/DejaVuSans.ttf  tests
gcc                    gcc                                    stage bench
libc6-dev              /usr/include/stdio.h                   stage bench
libcrypt-jwt-perl      /usr/share/perl5/Crypt/JWT.pm          tests
libfcgi-dev            /usr/include/fcgiapp.h                 stage bench
libio-socket-ssl-perl  /usr/share/perl5/IO/Socket/SSL.pm      tests bench
libjson-c-dev          /usr/include/json-c/json.h             stage bench
libjwt-dev             /usr/include/jwt.h                     stage bench
libmariadb-dev         /usr/include/mariadb/mysql.h           stage bench
libssl-dev             /usr/include/openssl/evp.h             stage bench
make                   make                                   stage bench
mariadb-client-core    mariadb                                stage tests bench
mariadb-server-core    mariadbd                               stage bench
nginx                  nginx                                  stage bench
nodejs                 node                                   stage tests
npm                    npm                                    stage tests fastify
openssl                openssl                                stage bench
perl                   prove                                  stage tests bench
pkg-config             pkg-config                             stage bench
spawn-fcgi             spawn-fcgi                             stage bench
valgrind               valgrind                               tests
python3-fastapi        $PYTHON/fastapi                        fastapi fastapi_raw
python3-jwt            $PYTHON/jwt                            fastapi fastapi_raw
python3-aiomysql       $PYTHON/aiomysql                       fastapi fastapi_raw
python3-httptools      $PYTHON/httptools                      fastapi fastapi_raw
python3-uvloop         $PYTHON/uvloop                         fastapi fastapi_raw
uvicorn                uvicorn                                fastapi fastapi_raw
libulfius-dev          /usr/include/ulfius.h                  ulfius
librhonabwy-dev        /usr/include/rhonabwy.h                ulfius
libhoel-dev            /usr/include/hoel.h                    ulfius
libyder-dev            /usr/include/yder.h                    ulfius
END

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
	return -e $sign if $sign =~ m{\A/};
	return scalar grep { -x "$_/$sign" } split /:/, $ENV{PATH};
}

# Those missing of what these (stage, tests...) need.
sub missing (@needed_by) {
	my %wanted = map { $_ => 1 } @needed_by;
	return map { $_->[0] } grep {
		my (undef, $sign, @by) = @$_;
		grep({ $wanted{$_} } @by) && !_is_there($sign);
	} @LIST;
}

sub install ($folder, @needed_by) {
	my @missing = missing(@needed_by) or return;
	print STDERR "Installing with apt, no service of theirs is started: @missing\n";
	_is_there('apt-get') or die "there is no apt-get here\n";
	my @sudo = $> == 0 ? () : qw(sudo -n);
	$folder->must('stage/apt.log', 'the packages could not be installed '
		. "(by hand: apt-get install @missing)",
		[@sudo, 'sh', '-c', $AS_ROOT, 'sh', @missing]);
}

# Exactly what the lock file of a folder names. None of their scripts is run.
sub npm ($folder, $in) {
	my ($done, $lock) = ("$in/node_modules/.package-lock.json", "$in/package-lock.json");
	return if -e $done && (stat $done)[9] > (stat $lock)[9];
	print STDERR "Installing with npm: what ", $lock =~ s{\A\Q$folder->{dir}\E/}{}r, " names\n";
	$folder->must('stage/npm.log', 'npm could not install them', [qw(npm ci --ignore-scripts
		--no-audit --no-fund --no-update-notifier)], cwd => $in);
	utime undef, undef, $done;
}

1;
