# Inside script(1): a shell with job control, a job of its own in the background, and a loop that writes to the terminal.
set -m
stty rows 33 columns 77
sh -c 'i=0; while [ $i -lt 100 ]; do i=$((i + 1)); sleep 0.01; done; echo background' >background &
i=0
x=1
while [ $i -lt 100 ]; do
    i=$((i + 1))
    x=$((x * 5 % 999983))
    echo "$i $x" >/dev/tty
    sleep 0.005
done
wait
stty size
cat background
test -t 0 && test -t 1 && echo terminal
exit 5
