# A parent sends numbers by a message queue, children add them up in shared memory, each under a semaphore that is given back should it die.
use strict;
use warnings;
use IPC::SysV qw(IPC_PRIVATE IPC_CREAT IPC_RMID SEM_UNDO S_IRUSR S_IWUSR);

my $mode = S_IRUSR | S_IWUSR;
my $queue = msgget(IPC_PRIVATE, IPC_CREAT | $mode) // die "msgget: $!";
my $memory = shmget(IPC_PRIVATE, 4096, IPC_CREAT | $mode) // die "shmget: $!";
my $lock = semget(IPC_PRIVATE, 1, IPC_CREAT | $mode) // die "semget: $!";
sub change { semop($lock, pack('s!3', 0, $_[0], SEM_UNDO)) or die "semop: $!" }
change(1);
shmwrite($memory, pack('q2', 0, 0), 0, 16) or die "shmwrite: $!";

my @children;
for my $kind (1 .. 3) {
    my $pid = fork // die "fork: $!";
    if (!$pid) {
        while (1) {
            msgrcv($queue, my $message, 100, $kind, 0) or die "msgrcv: $!";
            my (undef, $number) = unpack('l! a*', $message);
            last if $number eq 'end';
            change(-1);
            shmread($memory, my $sums, 0, 16) or die "shmread: $!";
            my ($sum, $count) = unpack('q2', $sums);
            shmwrite($memory, pack('q2', ($sum + $kind * $number * $number) % 1000000007, $count + 1), 0, 16) or die "shmwrite: $!";
            change(1);
        }
        exit 0;
    }
    push @children, $pid;
}
for my $number (1 .. 20000) {
    msgsnd($queue, pack('l! a*', 1 + $number % 3, $number), 0) or die "msgsnd: $!";
}
msgsnd($queue, pack('l! a*', $_, 'end'), 0) or die "msgsnd: $!" for 1 .. 3;
my @status = map { waitpid($_, 0); $? } @children;
shmread($memory, my $sums, 0, 16) or die "shmread: $!";
my $value = semctl($lock, 0, 12, 0);
msgctl($queue, IPC_RMID, 0);
shmctl($memory, IPC_RMID, 0);
semctl($lock, 0, IPC_RMID, 0);
open my $result, '>', 'result' or die "result: $!";
print $result join(' ', unpack('q2', $sums), $value, @status), "\n";
