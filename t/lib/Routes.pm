package Routes;

# The program's own table of routes, as `todo-fcgi -R` prints it.

use v5.36;

sub new ($class, $program) {
	open my $pipe, '-|', $program, '-R' or die "$program: $!";
	my @rows;
	while (my $line = <$pipe>) {
		chomp $line;
		my ($method, $pattern, $access, $statuses) = split /\t/, $line;
		push @rows, { method => $method, pattern => $pattern, access => $access,
		    statuses => [split ' ', $statuses] };
	}
	close $pipe or die "$program -R failed";
	die "$program -R is empty" if !@rows;
	return bless { rows => \@rows }, $class;
}

sub rows ($self) { $self->{rows}->@* }
sub patterns ($self) { my %p; return grep { !$p{$_}++ } map { $_->{pattern} } $self->rows }

sub fill ($self, $pattern, %value) { $pattern =~ s/\{(\w+)\}/$value{$1}/gr }

# The methods of a pattern, HEAD and OPTIONS among them, sorted.
sub allow ($self, $pattern) {
	my @m = map { $_->{method} } grep { $_->{pattern} eq $pattern } $self->rows;
	return sort @m, 'OPTIONS', (grep { $_ eq 'GET' } @m) ? 'HEAD' : ();
}

sub _matches ($pattern, $path) {
	my $re = join '/', map { /\A\{/ ? '[^/]+' : quotemeta } split m{/}, $pattern, -1;
	return $path =~ /\A$re\z/;
}

# The statuses that a method may have on a raw target; empty: no such route.
sub statuses ($self, $method, $target) {
	my ($path) = split /\?/, $target, 2;
	my @p = grep { _matches($_, $path // '') } $self->patterns;
	return if !@p;
	return 204 if $method eq 'OPTIONS';
	my $as = $method eq 'HEAD' ? 'GET' : $method;
	for my $p (@p) {
		my ($row) = grep { $_->{pattern} eq $p && $_->{method} eq $as } $self->rows;
		return $row->{statuses}->@* if $row;
	}
	return 405;
}

1;
