-- The Lua half of the sandbox: read-only tables, the base library that scripts get, `require`, and the table `cr`.
-- Runs once in a new state, before any script, with the full base library. Gets `native`, functions of the program, and `contents`, a weak table
-- from every read-only table to what is in it. Whatever is shared between scripts is read-only; what a script may do to the world is in `cr`.

local native, contents = ...
local error, next, pairs, pcall, rawget, rawlen, rawset = error, next, pairs, pcall, rawget, rawlen, rawset
local getmetatable, setmetatable, tostring, type, xpcall = getmetatable, setmetatable, tostring, type, xpcall
local concat, pack = table.concat, table.pack

-- Raises a message with the place in the script that caused it.
local function raise(message)
  error(native.where() .. message, 0)
end

-- Metatable of read-only tables. `what` names them in messages; with `known`, a text with the names of all fields, other fields are errors.
local function guard(what, known)
  local names = known and {}
  for name in (known or ""):gmatch("%S+") do
    names[name] = true
  end
  local function step(view, key)
    return next(contents[view], key)
  end
  return {
    __name = what,
    __metatable = false,
    __index = function(view, key)
      local value = contents[view][key]
      if value == nil and names and not names[key] then
        raise(native.unknown(what, key, known))
      end
      return value
    end,
    __newindex = function(_, key)
      raise(what .. " is read-only: " .. native.brief(key) .. " cannot be assigned")
    end,
    __len = function(view)
      return #contents[view]
    end,
    __pairs = function(view)
      return step, view, nil
    end,
  }
end

local function sealed(what, inner, known)
  local view = setmetatable({}, guard(what, known))
  contents[view] = inner
  return view
end

local function names_of(inner)
  local names = {}
  for name in pairs(inner) do
    names[#names + 1] = name
  end
  table.sort(names)
  return concat(names, " ")
end

-- A function of the program: its first result is a message to raise, or nil.
local function settle(problem, ...)
  if problem then
    raise(problem)
  end
  return ...
end

local cr

local function wrapped(call, name)
  return function(...)
    if name and cr ~= nil and (...) == cr then
      raise("write cr." .. name .. "(…) with a dot, not cr:" .. name .. "(…)")
    end
    return settle(call(...))
  end
end

-- Values as one line of text.
local function line(separator, ...)
  local parts = pack(...)
  for index = 1, parts.n do
    parts[index] = tostring(parts[index])
  end
  return concat(parts, separator, 1, parts.n)
end

local function logger(level)
  return function(...)
    native.log(level, line(" ", ...))
  end
end

local base = { _VERSION = _VERSION, getmetatable = getmetatable, warn = logger("warn") }
for name in ("assert error ipairs pairs pcall rawequal select tonumber tostring type xpcall"):gmatch("%S+") do
  base[name] = _G[name]
end
for _, name in pairs { "table", "string", "math", "utf8", "coroutine" } do
  local inner = {}
  for key, value in pairs(_G[name]) do
    inner[key] = value
  end
  inner.dump = nil
  base[name] = sealed(name, inner)
end
getmetatable("").__index = contents[base.string]
getmetatable("").__metatable = false

function base.print(...)
  native.log("info", line("\t", ...))
end

-- Read-only tables look like plain ones to the functions that do not ask metatables.
function base.next(table, key)
  local inner = contents[table]
  return next(inner or table, key)
end

function base.rawget(table, key)
  local inner = contents[table]
  return rawget(inner or table, key)
end

function base.rawlen(table)
  local inner = contents[table]
  return rawlen(inner or table)
end

function base.rawset(table, key, value)
  if contents[table] then
    raise("a read-only table cannot be changed with rawset")
  end
  return rawset(table, key, value)
end

function base.setmetatable(table, metatable)
  if type(metatable) == "table" and rawget(metatable, "__gc") ~= nil then
    raise("setmetatable: __gc is not available to scripts; use a variable with __close")
  end
  return setmetatable(table, metatable)
end

-- Modules by key: their value, or `loading` while their chunk runs.
local modules, loading = {}, {}
local environment

local function require(directory, name)
  if name == "cr" then
    return cr
  end
  local key, beside = settle(native.locate(directory, name))
  local module = modules[key]
  if module == loading then
    raise("the module '" .. name .. "' requires itself, directly or through others")
  elseif module ~= nil then
    return module
  end
  local chunk = settle(native.compile(key, environment(beside)))
  modules[key] = loading
  local ok, value = pcall(chunk, name)
  modules[key] = ok and (value == nil or value) or nil
  if not ok then
    error(value, 0)
  end
  return modules[key]
end

local globals = { __index = base, __metatable = false }

-- A new global environment for a chunk of this directory.
function environment(directory)
  local env = {}
  env._G = env
  env.require = function(name)
    return require(directory, name)
  end
  return setmetatable(env, globals)
end

local inner = { args = sealed("cr.args", native.args), state = native.state, version = native.version }
inner.dry_run, inner.pure = native.dry_run, native.pure
inner.STOP = sealed("cr.STOP", {}, "")
for name in ("on annotate stat lstat readlink exists list_dir read_file write_file append_file mkdir rename env hostname now date exec glob"):gmatch("%S+") do
  inner[name] = wrapped(native[name], name)
end

-- A value as a line of Lua, keys in order; for messages.
local function inspect(value, depth)
  if type(value) == "string" then
    return ("%q"):format(value):gsub("\\\n", "\\n")
  elseif type(value) ~= "table" then
    return tostring(value)
  elseif depth > 8 then
    return "{…}"
  end
  local inside = contents[value] or value
  local parts, keys, length = {}, {}, rawlen(inside)
  for index = 1, length do
    parts[index] = (inspect(rawget(inside, index), depth + 1))
  end
  for key in next, inside do
    if math.type(key) ~= "integer" or key < 1 or key > length then
      keys[#keys + 1] = key
    end
  end
  table.sort(keys, function(a, b)
    return tostring(a) < tostring(b)
  end)
  for _, key in pairs(keys) do
    local name = type(key) == "string" and key:match("^[%a_][%w_]*$") or "[" .. inspect(key, depth + 1) .. "]"
    parts[#parts + 1] = name .. " = " .. inspect(rawget(inside, key), depth + 1)
  end
  return #parts == 0 and "{}" or "{ " .. concat(parts, ", ") .. " }"
end

function inner.inspect(value)
  return (inspect(value, 0))
end
inner.json = { encode = wrapped(native.encode), decode = wrapped(native.decode) }
inner.json = sealed("cr.json", inner.json, names_of(inner.json))
inner.log = { debug = logger("debug"), info = logger("info"), warn = logger("warn"), error = logger("error") }
inner.log = sealed("cr.log", inner.log, names_of(inner.log))

local refusal = {
  __name = "refusal",
  __metatable = false,
  __tostring = function(refused)
    return refused.message
  end,
}

function inner.fail(class, ...)
  if class == cr then
    raise("write cr.fail(…) with a dot, not cr:fail(…)")
  end
  error(setmetatable(settle(native.fail(class, ...)), refusal), 0)
end

cr = sealed("cr", inner, names_of(inner))

-- What to use instead of what other hosts of Lua have.
local instead = {
  os = "cr.now, cr.date, cr.env, cr.rename and cr.exec",
  io = "cr.read_file, cr.write_file, cr.append_file, cr.list_dir and cr.exec",
  package = "require, which finds modules beside the script",
  debug = "cr.inspect, and -v for where an error came from",
  load = "require", loadstring = "require", loadfile = "require", dofile = "require",
}

local function hinted(problem)
  local name = problem:match("^.*attempt to %a+ a nil value %(global '(%a+)'%)$")
  return name and instead[name] and problem .. ": there is no " .. name .. " here; use " .. instead[name] or problem
end

-- An error as the program reports it: a text with its place, or what cr.fail raised.
local function describe(problem)
  if native.is_refusal(problem) then
    return problem
  end
  native.trace()
  if type(problem) == "string" then
    problem = hinted(problem)
  end
  local is_text = type(problem) == "string"
  if is_text and native.has_place(problem) then
    return problem
  end
  if not is_text then
    local ok, text = pcall(tostring, problem)
    if type(problem) == "userdata" and ok then
      problem = text
    else
      local value = "an error that is not a text (a " .. type(problem) .. " value)"
      problem = ok and type(problem) ~= "nil" and value .. ": " .. text or value
    end
  end
  return native.where() .. problem
end

return {
  guard = guard,
  environment = environment,
  stop = inner.STOP,
  -- Runs a chunk or a handler; false and a description when it errs.
  run = function(call, argument)
    return xpcall(call, describe, argument)
  end,
}
