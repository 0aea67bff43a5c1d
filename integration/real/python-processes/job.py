"""A pool of forked workers, with the pipes, semaphores and shared memory of multiprocessing."""
import multiprocessing

context = multiprocessing.get_context("fork")
total = context.Value("q", 0)


def collatz(start):
    steps, n = 0, start
    while n != 1:
        n = n // 2 if n % 2 == 0 else 3 * n + 1
        steps += 1
    with total.get_lock():
        total.value += steps
    return start, steps


if __name__ == "__main__":
    with context.Pool(3) as pool:
        longest = max(pool.imap_unordered(collatz, range(1, 30000), chunksize=50), key=lambda pair: (pair[1], pair[0]))
        pool.close()
        pool.join()
    with open("result", "w") as result:
        print(longest, total.value, file=result)
