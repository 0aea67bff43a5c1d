"""Threads with a queue and a condition, a timer, and subprocesses with pipes."""
import hashlib
import queue
import subprocess
import threading

jobs, results, done = queue.Queue(maxsize=4), {}, threading.Condition()
ticks = []


def worker():
    while (n := jobs.get()) is not None:
        digest = b""
        for i in range(3000):
            digest = hashlib.sha256(digest + bytes([n, i % 256])).digest()
        with done:
            results[n] = digest.hex()
            done.notify_all()


def tick():
    ticks.append(len(ticks))
    if len(ticks) < 10:
        threading.Timer(0.05, tick).start()


threads = [threading.Thread(target=worker) for _ in range(4)]
for thread in threads:
    thread.start()
tick()
cat = subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
for n in range(100):
    jobs.put(n)
    cat.stdin.write(b"line %d\n" % n)
    cat.stdin.flush()
with done:
    done.wait_for(lambda: len(results) == 100)
for _ in threads:
    jobs.put(None)
for thread in threads:
    thread.join()
sleeper = subprocess.run(["sh", "-c", "sleep 0.5; echo slept; exit 3"], capture_output=True)
while len(ticks) < 10:
    threading.Event().wait(0.02)
echoed, _ = cat.communicate()
with open("result", "w") as result:
    for n in sorted(results):
        print(n, results[n], file=result)
    print(hashlib.sha256(echoed).hexdigest(), cat.returncode, file=result)
    print(sleeper.stdout, sleeper.returncode, ticks, file=result)
