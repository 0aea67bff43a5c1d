# Threads, a queue, a fibre, a child process with a pipe.
queue, results = SizedQueue.new(4), Queue.new
workers = 3.times.map do
  Thread.new do
    while (n = queue.pop)
      value = n
      20_000.times { |i| value = (value * 31 + i) % 1_000_003 }
      results << [n, value]
    end
  end
end
fibre = Fiber.new { 100.times { |i| Fiber.yield i * i }; nil }
squares = []
60.times do |n|
  queue << n
  squares << fibre.resume
end
workers.size.times { queue << nil }
workers.each(&:join)
echoed = IO.popen(%w[sh -c] + ["for i in 1 2 3 4 5; do echo $i; sleep 0.1; done"], &:read)
File.write("result", "#{results.size.times.map { results.pop }.sort.inspect}\n#{squares.sum}\n#{echoed}")
