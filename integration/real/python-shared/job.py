# Workers share a field by name and compute a wave in it, step by step; a lock counts, a barrier keeps them together.
import multiprocessing as mp
from multiprocessing import shared_memory
import struct

CELLS, WORKERS, STEPS = 1200, 3, 260


def work(name, rank, barrier, lock, count):
    memory = shared_memory.SharedMemory(name=name)
    fields = [memory.buf[:8 * CELLS].cast('q'), memory.buf[8 * CELLS:].cast('q')]
    size = CELLS // WORKERS
    for step in range(STEPS):
        old, new = fields[step % 2], fields[1 - step % 2]
        for i in range(rank * size, (rank + 1) * size):
            new[i] = (old[i - 1] + 2 * old[i] + old[(i + 1) % CELLS] + step) % 1000003
        with lock:
            count.value += 1
        barrier.wait()
    for field in fields:
        field.release()
    memory.close()


if __name__ == '__main__':
    memory = shared_memory.SharedMemory(create=True, size=16 * CELLS)
    for i in range(CELLS):
        struct.pack_into('q', memory.buf, 8 * i, i * i % 977)
    barrier, lock, count = mp.Barrier(WORKERS), mp.Lock(), mp.Value('i', 0)
    workers = [mp.Process(target=work, args=(memory.name, rank, barrier, lock, count)) for rank in range(WORKERS)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    status = [worker.exitcode for worker in workers]
    with open('result', 'w') as result:
        print(count.value, status, [struct.unpack_from('q', memory.buf, 8 * i)[0] for i in range(CELLS)], file=result)
    memory.close()
    memory.unlink()
