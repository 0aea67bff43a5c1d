# Niceness, processor affinity and limits, as set before and as asked for after some work.
ulimit -S -n 321
ulimit -S -c 0
ulimit -S -s 4096
umask 027
exec nice -n 7 taskset -c 0 sh -c '
n=0
while [ $n -lt 500000 ]; do n=$((n + 1)); done
{ nice; umask; ulimit -S -n; ulimit -S -s; ulimit -S -c; grep Cpus_allowed_list /proc/self/status; } >result'
