-- The library `cr.test`: groups of tests, expectations, scripts under test, stubs. Described in `lua/meta/test.lua`.
-- Runs once in the state of a test file. Gets `native`, functions of the program whose first result is a message to raise, or nil: `load` makes a script
-- under test, `report` takes the result of one test, `encode` and `decode` are JSON.

local native = ...
local concat, sort, pack, unpack = table.concat, table.sort, table.pack, table.unpack

local test = {}
local groups, is_testing = {}, false
-- What stands in the place of functions of `cr`, by name.
local stubs = {}
local STUBBED = {}
for _, name in ipairs(native.names) do
  STUBBED[name] = true
end

-- A value as Lua text, keys in order.
local function show(value, depth)
  depth = depth or 0
  if type(value) == "string" then
    return ("%q"):format(value):gsub("\\\n", "\\n")
  elseif type(value) ~= "table" then
    return tostring(value)
  elseif depth > 8 then
    return "{…}"
  end
  local parts, keys = {}, {}
  for index = 1, #value do
    parts[index] = show(value[index], depth + 1)
  end
  for key in pairs(value) do
    if math.type(key) ~= "integer" or key < 1 or key > #value then
      keys[#keys + 1] = key
    end
  end
  sort(keys, function(a, b) return tostring(a) < tostring(b) end)
  for _, key in ipairs(keys) do
    local name = type(key) == "string" and key:match("^[%a_][%w_]*$") or "[" .. show(key, depth + 1) .. "]"
    parts[#parts + 1] = name .. " = " .. show(value[key], depth + 1)
  end
  return #parts == 0 and "{}" or "{ " .. concat(parts, ", ") .. " }"
end

local function same(a, b)
  if type(a) ~= "table" or type(b) ~= "table" then
    return a == b
  end
  for key, value in pairs(a) do
    if not same(value, b[key]) then
      return false
    end
  end
  for key in pairs(b) do
    if a[key] == nil then
      return false
    end
  end
  return true
end

local function copy(value)
  if type(value) ~= "table" then
    return value
  end
  local copied = {}
  for key, inner in pairs(value) do
    copied[key] = copy(inner)
  end
  return copied
end

-- Runs a body; what it stubs is put back afterwards.
local function within(name, body)
  if type(name) ~= "string" or type(body) ~= "function" then
    error("a name and a function are needed, not " .. show(name) .. " and a " .. type(body), 3)
  end
  local before = {}
  for key, value in pairs(stubs) do
    before[key] = value
  end
  groups[#groups + 1] = name
  local ok, problem = xpcall(body, function(problem) return type(problem) == "string" and problem or show(problem) end)
  local path = concat(groups, ": ")
  groups[#groups] = nil
  stubs = before
  return path, ok, problem
end

function test.describe(name, body)
  if is_testing then
    error("t.describe stands outside of t.it", 2)
  end
  local path, ok, problem = within(name, body)
  if not ok then
    native.report(path, problem)
  end
end

function test.it(name, body)
  if is_testing then
    error("t.it does not stand inside another t.it", 2)
  end
  is_testing = true
  local path, ok, problem = within(name, body)
  is_testing = false
  native.report(path, not ok and problem or nil)
end

local Expectation = {}
Expectation.__index = Expectation

function test.expect(value)
  return setmetatable({ value = value }, Expectation)
end

function Expectation:equals(expected)
  if not same(self.value, expected) then
    error("expected " .. show(expected) .. ", got " .. show(self.value), 2)
  end
end

function Expectation:is_nil()
  if self.value ~= nil then
    error("expected nil, got " .. show(self.value), 2)
  end
end

function Expectation:matches(pattern)
  if type(self.value) ~= "string" or not self.value:find(pattern) then
    error("expected a text that matches " .. show(pattern) .. ", got " .. show(self.value), 2)
  end
end

function Expectation:errors(pattern)
  if type(self.value) ~= "function" then
    error("expected a function to call, got " .. show(self.value), 2)
  end
  local ok, problem = pcall(self.value)
  if ok then
    error("expected an error that matches " .. show(pattern) .. ", got none", 2)
  end
  if not tostring(problem):find(pattern) then
    error("expected an error that matches " .. show(pattern) .. ", got " .. show(tostring(problem)), 2)
  end
end

function Expectation:fails(class, pattern)
  local value = self.value
  if type(value) ~= "table" or value.fail ~= class or not value.message:find(pattern or "") then
    local wanted = "expected a refusal of class " .. show(class)
    error(wanted .. (pattern and " that matches " .. show(pattern) or "") .. ", got " .. show(value), 2)
  end
end

function test.stub(name, instead)
  if not STUBBED[name] then
    error("cr." .. tostring(name) .. " cannot be stubbed; these can: " .. concat(native.names, ", "), 2)
  end
  local calls = {}
  stubs[name] = function(...)
    calls[#calls + 1] = copy((...))
    if type(instead) == "function" then
      return instead(...)
    end
    return copy(instead)
  end
  return calls
end

-- Called by a script under test: whether the function is stubbed, then a message or nil, then what the stub returned.
local function dispatch(name, ...)
  local stub = stubs[name]
  if not stub then
    return false
  end
  local results = pack(pcall(stub, ...))
  if not results[1] then
    return true, tostring(results[2])
  end
  return true, nil, unpack(results, 2, results.n)
end

local Hook = {}
Hook.__index = Hook

function test.load(path, args, options)
  local texts = {}
  for key, value in pairs(args or {}) do
    texts[key] = tostring(value)
  end
  local problem, handle = native.load(path, texts, options or {}, dispatch)
  if problem then
    error(problem, 2)
  end
  local hook = setmetatable({ handle = handle, log = {}, annotations = {}, state = {} }, Hook)
  hook:take()
  return hook
end

-- Takes over what the script said since the last time.
function Hook:take()
  local said = self.handle:take()
  for _, line in ipairs(said.log) do
    self.log[#self.log + 1] = line
  end
  for key, value in pairs(said.annotations) do
    self.annotations[key] = value
  end
  self.state = said.state
end

function Hook:fire(event, data)
  local problem, verdict = self.handle:fire(event, data or {})
  self:take()
  if problem then
    error(problem, 2)
  end
  return verdict
end

-- A function of the program whose problem is raised with the place in the test file.
local function wrapped(call)
  return function(value)
    local problem, result = call(value)
    if problem then
      error(problem, 2)
    end
    return result
  end
end

test.json = { encode = wrapped(native.encode), decode = wrapped(native.decode) }

return test
