"""Two programs at pseudo-terminals of their own: one is typed at all the time, the other writes all the time."""
import hashlib
import os
import pty
import select
import signal
import time
import tty


def spawn(*command):
    pid, master = pty.fork()
    if pid == 0:
        os.execvp(command[0], command)
    return pid, master


def read_until(master, end):
    text = b""
    while not text.endswith(end):
        ready, _, _ = select.select([master], [], [], 60)
        if not ready:
            raise SystemExit("nothing comes after %r" % text)
        text += os.read(master, 1000)
    return text


upper, upper_master = spawn("sh", "-c", "stty -echo; echo ready; while read -r line; do echo \"<$line>\"; done; echo end")
read_until(upper_master, b"ready\r\n")
writer, writer_master = spawn("sh", "-c", "stty -opost; i=0; while [ $i -lt 20000 ]; do i=$((i + 1)); echo $i; done")
sums = hashlib.sha256()
with open("result", "w") as result:
    for i in range(150):
        os.write(upper_master, b"line %d\n" % i)
        result.write(read_until(upper_master, b">\r\n").decode())
        try:
            sums.update(os.read(writer_master, 300))
        except OSError:
            pass
        time.sleep(0.005)
    while True:
        try:
            chunk = os.read(writer_master, 10000)
        except OSError:
            break
        sums.update(chunk)
    result.write("%s\n" % sums.hexdigest())
    os.write(upper_master, b"\x04")
    result.write(read_until(upper_master, b"end\r\n").decode())
    for pid in upper, writer:
        result.write("%d\n" % os.waitpid(pid, 0)[1])
