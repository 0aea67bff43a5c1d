# Processes that share a dictionary and a queue by a manager: connections to a listening Unix socket, with a name in /tmp.
import multiprocessing
import time


def work(number, table, queue):
    for turn in range(60):
        table[number] = table.get(number, 0) * 31 % 1000003 + turn
        queue.put(number)
        time.sleep(0.01)


if __name__ == "__main__":
    multiprocessing.set_start_method("fork")
    with multiprocessing.Manager() as manager:
        table, queue = manager.dict(), manager.Queue()
        workers = [multiprocessing.Process(target=work, args=(number, table, queue)) for number in range(3)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        total = sum(queue.get() for _ in range(queue.qsize()))
        with open("result", "w") as out:
            print(sorted(table.items()), total, [worker.exitcode for worker in workers], file=out)
