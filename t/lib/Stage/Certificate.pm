package Stage::Certificate;

# A certificate for the loopback address, by an authority of which the key is
# thrown away at once.

use v5.36;
use File::Temp ();
use Stage::Folder qw(slurp);
use Stage::Process qw(run);

# Makes etc/ca.pem, key.pem and cert.pem, unless they are good for another month.
sub make ($folder) {
	my $cert = $folder->file('etc/cert.pem');
	return if -e $cert && run([qw(openssl x509 -noout -checkend 2592000 -in), $cert],
		out => '/dev/null') == 0;
	my $tmp = File::Temp->newdir;
	open my $f, '>', "$tmp/extensions" or die "$tmp: $!\n";
	print {$f} "subjectAltName=DNS:localhost,IP:127.0.0.1\n",
	    "basicConstraints=critical,CA:FALSE\n", "keyUsage=critical,digitalSignature\n",
	    "extendedKeyUsage=serverAuth\n";
	close $f or die "$tmp: $!\n";
	my @key = qw(-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes);
	for my $command (
		[qw(req -x509), @key, qw(-days 398 -keyout ca.key -out ca.pem -subj),
		    '/CN=todo-fcgi staging', '-addext', 'keyUsage=critical,keyCertSign'],
		[qw(req), @key, qw(-subj /CN=localhost -keyout key.pem -out cert.csr)],
		[qw(x509 -req -in cert.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 397
		    -extfile extensions -out cert.pem)]) {
		$folder->must('stage/openssl.log', 'no certificate could be made',
			['openssl', @$command], cwd => "$tmp");
	}
	$folder->put("etc/$_", slurp("$tmp/$_")) for qw(ca.pem key.pem cert.pem);
}

1;
