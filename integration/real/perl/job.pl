# A forked child with a pipe, hashes, sorting, an alarm handler, and a long regular expression job.
use strict;
use warnings;

my $alarms = 0;
$SIG{ALRM} = sub { $alarms++; alarm 1 if $alarms < 2 };
alarm 1;
pipe(my $from, my $to) or die "pipe: $!";
my $child = fork // die "fork: $!";
if (!$child) {
    close $from;
    $to->autoflush(1);
    for my $n (1 .. 200) {
        print $to "word$n ", $n * $n, "\n";
        select undef, undef, undef, 0.005;
    }
    exit 7;
}
close $to;
my %square;
while (<$from>) {
    my ($word, $value) = split;
    $square{$word} = $value;
}
waitpid $child, 0;
my $status = $? >> 8;
my $text = join ' ', map { $_ * 7919 % 10007 } 1 .. 60000;
my $matches = 0;
for my $digit (0 .. 9) { $matches++ while $text =~ /\b\d*$digit\d\b/g }
select undef, undef, undef, 0.05 while $alarms < 2;
open my $result, '>', 'result' or die "result: $!";
print $result "$_ $square{$_}\n" for sort keys %square;
print $result "status $status, $matches matches, $alarms alarms\n";
