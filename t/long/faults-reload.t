# Goal: no request is lost and no answer is cut short while the pool is renewed under load
# (HUP to the master, TERM to each worker in turn, a new binary), or while nginx reloads.

use v5.36;
use FindBin;
use lib "$FindBin::Bin/../lib";
use File::Copy qw(copy);
use Test::More;
use Time::HiRes qw(time sleep);
use Facts;
use Faults;
use Stack;

my $CLIENTS = 3;
my $WORKERS = 3;
my $shared = Stack->new(inside => 1);
my $dir = File::Temp->newdir('todo-binary-XXXXXX', TMPDIR => 1);
chmod 0755, $dir;
copy("$shared->{build}/todo-fcgi", "$dir/todo-fcgi") or die $!;
chmod 0755, "$dir/todo-fcgi";
my $stack = Stack->new(private => 1, env => { STAGING_WORKERS => $WORKERS });
my $pool = $stack->program; # a private pool, from a binary that can be replaced
$pool->{path} = "$dir/todo-fcgi";
$pool = $pool->pool(master => $WORKERS);
my $user = $stack->user(client => $stack->fastcgi($pool));
poll { my @w = $pool->workers; @w == $WORKERS && $user->get('/tasks')->status == 200 }
    'the pool answers';
$stack->expect_log(qr/./);

# Sends `requests` requests while `disturb` runs again and again.
sub under ($name, $requests, $client_of, $disturb) {
	my $stop = "$dir/stop" . int rand 1e9;
	my $each = int $requests / $CLIENTS;
	my @seen = in_parallel($stack, $CLIENTS + 1, sub ($i) {
		if ($i == $CLIENTS) {
			my $rounds = 0;
			while (grep { !-e "$stop.$_" } 0 .. $CLIENTS - 1) {
				$disturb->();
				$rounds++
			}
			return { rounds => $rounds };
		}
		my $me = $user->with(client => $client_of->());
		my %seen;
		for my $n (1 .. $each) {
			my @kinds = (
				sub { $me->post('/tasks', { title => "$name $i $n" }) },
				sub { $me->get('/tasks?limit=20') },
				sub { $me->head('/tasks') },
				sub { $me->get('/api/me', { Connection => 'close' }) },
			);
			my $answer = eval { $kinds[$n % 4]->() };
			$seen{ $answer ? $answer->status : "none: $@" }++;
		}
		open my $f, '>', "$stop.$i" or die $!;
		return \%seen;
	});
	my %all;
	for my $seen (@seen) { $all{$_} += $seen->{$_} for keys %$seen }
	my $rounds = delete $all{rounds};
	my ($made) = $stack->sql("SELECT COUNT(*) FROM todo.tasks
	    WHERE user_id = '@{[$user->id]}' AND title LIKE '$name %'");
	my $asked = $each * $CLIENTS;
	my $good = ($all{200} // 0) + ($all{201} // 0);
	is_deeply([grep { !/\A20[01]\z/ } keys %all], [],
		"$name, $rounds times under $asked requests: each is answered whole")
	    or diag(explain(\%all));
	is($made->[0], $all{201} // 0, "$name: each POST was done once");
	cmp_ok($rounds, '>=', 1, "$name: it happened at least once");
	my $bad = $asked - $good;
	figure($name, "$rounds times under $asked requests: $bad failed or cut short");
}

my $requests = long(900, 10_000);
my $direct = sub { $stack->fastcgi($pool) };
sub renewed ($signal) {
	my @old = $pool->workers;
	$signal->();
	poll { replaced($pool, $WORKERS, @old) } 'all workers are new', 30;
	sleep 0.05;
}
under('HUP to the master', $requests, $direct, sub {
	renewed(sub { $pool->signal('HUP') });
});
under('TERM to each worker in turn', $requests, $direct, sub {
	for my $worker ($pool->workers) {
		kill TERM => $worker;
		poll { replaced($pool, $WORKERS, $worker) } 'the worker is replaced', 30;
		sleep 0.02;
	}
});
my $binary = 0;
under('a new binary', $requests, $direct, sub {
	copy("$shared->{build}/todo-fcgi", "$dir/new") or die $!;
	open my $f, '>>', "$dir/new" or die $!;
	print {$f} 'another' . ++$binary; # after the end: it runs the same
	close $f;
	# "make install" does the same, which is not atomic.
	system('install', '-m', '755', "$dir/new", "$dir/todo-fcgi") == 0 or die 'install';
	my $inode = (stat "$dir/todo-fcgi")[1];
	renewed(sub { $pool->signal('HUP') });
	my @inodes = map { (stat "/proc/$_/exe")[1] // $inode } $pool->workers;
	die 'an old binary runs' if grep { $_ != $inode } @inodes;
});
undef $pool;

# nginx finishes the answers that it has begun. Each request has a connection of its own,
# since nginx closes idle connections at any time.
$user = bless { $stack->user->%* }, 'User::Closing';
under('nginx -s reload', long(300, 10_000), sub { $stack->new_client },
	sub { $stack->staging('nginx-reload'); sleep 0.3 });

$stack->done;

package User::Closing;
use parent -norequire, 'User';
sub _request ($self, $method, $path, $headers = {}, $body = undef) {
	return $self->SUPER::_request($method, $path, { %$headers, Connection => 'close' }, $body);
}
