-- Coroutines, tables, closures, string building and a process at the other end of a pipe.
local function primes(limit)
  return coroutine.wrap(function()
    local sieve = {}
    for n = 2, limit do
      if not sieve[n] then
        coroutine.yield(n)
        for multiple = n * n, limit, n do sieve[multiple] = true end
      end
    end
  end)
end

local count, sum = 0, 0
for prime in primes(1200000) do
  count, sum = count + 1, (sum * 31 + prime) % 1000000007
end
local pipe = assert(io.popen("for i in 1 2 3 4 5; do echo $((i * i)); sleep 0.1; done", "r"))
local squares = {}
for line in pipe:lines() do squares[#squares + 1] = line end
pipe:close()
local parts = {}
for i = 1, 200000 do parts[#parts + 1] = tostring(i % 97) end
local text = table.concat(parts, ",")
local result = assert(io.open("result", "w"))
result:write(count, " ", sum, " ", table.concat(squares, "-"), " ", #text, " ", select(2, text:gsub("9", "x")), "\n")
result:close()
