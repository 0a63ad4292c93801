package Stage::Certificate;

# A certificate for the loopback address, by an authority of which the key is
# thrown away at once.

use v5.36;
use File::Temp ();
use Stage::Process qw(run);

my @KEY = qw(-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes);
my @SIGNS = (-addext => 'keyUsage=critical,keyCertSign');

# Makes etc/ca.pem, key.pem and cert.pem, unless they are good for another month.
sub make ($folder) {
	my $cert = $folder->file('etc/cert.pem');
	return if -e $cert && run([qw(openssl x509 -noout -checkend 2592000 -in), $cert],
		out => $folder->null) == 0;
	my $tmp = File::Temp->newdir;
	open my $f, '>', "$tmp/extensions" or die "$tmp: $!\n";
	print {$f} <<~'END';
		subjectAltName=DNS:localhost,IP:127.0.0.1
		basicConstraints=critical,CA:FALSE
		keyUsage=critical,digitalSignature
		extendedKeyUsage=serverAuth
		END
	close $f or die "$tmp: $!\n";
	for my $command (
		[qw(req -x509), @KEY, @SIGNS, qw(-days 398 -keyout ca.key -out ca.pem -subj),
		    '/CN=todo-fcgi staging'],
		[qw(req), @KEY, qw(-subj /CN=localhost -keyout key.pem -out cert.csr)],
		[qw(x509 -req -in cert.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 397
		    -extfile extensions -out cert.pem)]) {
		$folder->must('stage/openssl.log', 'no certificate could be made',
			['openssl', @$command], cwd => "$tmp");
	}
	$folder->put("etc/$_", Stage::Folder::slurp("$tmp/$_")) for qw(ca.pem key.pem cert.pem);
}

1;
