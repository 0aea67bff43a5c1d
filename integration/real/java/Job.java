// Threads of a pool, a concurrent map, garbage for the collector, and code that gets compiled while it runs.
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;

public class Job {
    static long compute(long seed) {
        List<Long> kept = new ArrayList<>();
        long x = seed;
        for (int i = 0; i < 600_000; i++) {
            x = x * 6364136223846793005L + 1442695040888963407L;
            if (i % 64 == 0) kept.add(x >>> 33);
        }
        return kept.stream().mapToLong(Long::longValue).reduce(0, (a, b) -> a * 31 + b);
    }

    public static void main(String[] arguments) throws Exception {
        Map<Integer, Long> results = new ConcurrentHashMap<>();
        var pool = Executors.newFixedThreadPool(3);
        for (int n = 0; n < 120; n++) {
            final int task = n;
            pool.submit(() -> results.put(task, compute(task)));
        }
        pool.shutdown();
        while (!pool.awaitTermination(20, TimeUnit.MILLISECONDS)) { }
        Files.writeString(Path.of("result"), new TreeMap<>(results) + "\n");
    }
}
