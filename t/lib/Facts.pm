package Facts;

# Assertions of one line each.

use v5.36;
use Exporter qw(import);
use JSON::PP ();
use POSIX ();
use Test::More;
use Time::HiRes ();
use Answer;

our @EXPORT = qw(answers refuses is_task same_answer in_parallel poll replaced true false);

sub true () { JSON::PP::true }
sub false () { JSON::PP::false }

sub _fail ($name, $answer, @why) {
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	fail($name);
	diag(@why, "\n", $answer->dump);
	return 0;
}

# Status and, if given, the whole decoded body.
sub answers ($answer, $status, $name, @body) {
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return _fail($name, $answer, "want $status") if $answer->status != $status;
	return pass($name) if !@body;
	return is_deeply($answer->json, $body[0], $name) || (diag($answer->dump), 0)[1];
}

# The whole problem body of `code`. detail: what it begins with, or a pattern.
# errors: the members that are named, in order.
sub refuses ($answer, $code, $name, %o) {
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my ($status, $detail) = $Answer::CODE{$code}->@* or die "no code $code";
	$detail = $o{detail} // $detail;
	return _fail($name, $answer, "want $status $code") if $answer->status != $status;
	return pass($name) if $answer->{method} eq 'HEAD';
	my $got = $answer->json;
	my $begins = ref $detail ? $got->{detail} =~ $detail
	    : index($got->{detail}, $detail) == 0;
	return _fail($name, $answer, "want detail $detail") if !$begins;
	my %want = (type => 'about:blank', title => $Answer::PHRASE{$status},
	    status => $status, code => $code, detail => $got->{detail},
	    request_id => $answer->id);
	if ($code eq 'invalid') {
		$want{errors} = [map { { member => $_, detail => undef } } ($o{errors} // [])->@*];
		my @errors = ($got->{errors} // [])->@*;
		$got = { %$got, errors => [map { { %$_, detail => undef } } @errors] };
		$want{errors} = $got->{errors} if !$o{errors};
	}
	return is_deeply($got, \%want, $name) || (diag($answer->dump), 0)[1];
}

# A task with exactly the seven members, each of its type, and those given as given.
sub is_task ($got, $want, $name) {
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	$got = $got->json if ref $got eq 'Answer';
	my $time = qr/\A\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z\z/;
	my $ok = ref $got eq 'HASH'
	    && join(' ', sort keys %$got) eq
	    'completed created_at description id title updated_at user_id'
	    && $got->{id} =~
	    /\A[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}\z/
	    && $got->{created_at} =~ $time
	    && $got->{updated_at} =~ $time
	    && $got->{created_at} le $got->{updated_at}
	    && JSON::PP::is_bool($got->{completed});
	if (!$ok) { fail($name); diag(explain($got)); return 0 }
	my %want = map { $_ => $want->{$_} } grep { $_ ne 'etag' } keys %$want;
	return is_deeply({ map { $_ => $got->{$_} } keys %want }, \%want, $name);
}

# Both answers are equal, except for the request id and the time.
sub same_answer ($one, $two, $name) {
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my ($a, $b) = map {
		my ($answer, $id) = ($_, $_->id);
		join "\n", $answer->status,
		    (map { "$_->[0]: $_->[1]" } grep { $_->[0] !~ /\A(?:Date|X-Request-Id)\z/i }
			$answer->{headers}->@*),
		    '', $answer->body =~ s/\Q$id\E/ID/r;
	} $one, $two;
	return is($a, $b, $name);
}

# A process of in_parallel() cannot report a fact: it dies instead.
my $child = 0;

# Waits until the block is true, and returns its value. Fails after `seconds`.
sub poll :prototype(&$;$) ($block, $what, $seconds = 15) {
	my $until = Time::HiRes::time() + $seconds;
	while (1) {
		my $value = eval { $block->() };
		return $value if $value;
		last if Time::HiRes::time() > $until;
		select undef, undef, undef, 0.02;
	}
	die "not in time: $what\n" if $child;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	fail("in time: $what");
	return;
}

# Has `pool` `count` workers, and none of `gone`? (pool: a Stack or a Program::Running.)
sub replaced ($pool, $count, @gone) {
	my @now = $pool->workers;
	my %gone = map { $_ => 1 } @gone;
	return @now == $count && !grep { $gone{$_} } @now;
}

# Runs code->(0), code->(1)... in `n` processes that begin together. Returns the list
# of their results (data). Checks the answers that their clients have seen.
sub in_parallel ($stack, $n, $code) {
	pipe(my $gate_read, my $gate_write) or die $!;
	my @child;
	for my $i (0 .. $n - 1) {
		pipe(my $read, my $write) or die $!;
		my $pid = fork // die $!;
		if (!$pid) {
			$child = 1;
			close $gate_write;
			$stack->forked;
			sysread $gate_read, my $byte, 1;
			my $result = eval { { result => $code->($i) } } // { died => "$@" };
			print {$write} JSON::PP->new->utf8->encode({ %$result, $stack->seen });
			close $write;
			POSIX::_exit(0);
		}
		push @child, [$pid, $read];
	}
	close $gate_read;
	close $gate_write;
	my @result;
	for my $i (0 .. $#child) {
		my ($pid, $read) = $child[$i]->@*;
		my $text = do { local $/; <$read> };
		waitpid $pid, 0;
		my $got = length $text ? JSON::PP->new->utf8->decode($text) : { died => 'no word' };
		$stack->absorb($got);
		die "child $i: $got->{died}" if exists $got->{died};
		push @result, $got->{result};
	}
	return @result;
}

1;
