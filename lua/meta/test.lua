---@meta cr.test
--- The library for tests of hook scripts, in files NAME_test.lua that `cr_hooks test` runs.
---
--- A script under test runs in a Lua state of its own, with the limits it has in a real run, and what it answers is checked the same way. No process is
--- touched: `cr.exec`, `cr.write_file` and other effects are errors until the test puts something in their place.

---@class cr.test
---@field json cr.Json As `cr.json`, for reading what a script wrote.
local test = {}

--- Names a group of tests. Groups may stand inside each other.
---@param name string What is tested.
---@param body fun() Calls `t.it`.
function test.describe(name, body) end

--- One test. It fails if `body` raises an error; what it stubbed is put back afterwards.
---@param name string What must hold, as a sentence.
---@param body fun() Does something and expects something.
function test.it(name, body) end

--- What is expected of a value.
---@param value any The value.
---@return cr.test.Expectation expectation
function test.expect(value) end

--- Loads a script, as `--hook` does.
---@param path string The script, relative to the test file.
---@param args? table<string, string|number|boolean> What `--hook-arg` gives; values become strings.
---@param options? cr.test.Options How it runs.
---@return cr.test.Hook hook
function test.load(path, args, options) end

--- Puts something in the place of a function of `cr`, for all scripts of this test: `exec`, `write_file`, `append_file`, `mkdir`, `rename`, `read_file`, `stat`, `lstat`,
--- `list_dir`, `exists`, `readlink`, `env`, `hostname` or `now`.
---@param name string Which one.
---@param instead any A function that is called with the same arguments, or the value to return.
---@return any[] calls The first argument of each call so far.
function test.stub(name, instead) end

--- How a script runs.
---@class cr.test.Options
---@field dry_run? boolean As with `--dry-run`.
---@field pure? boolean As with `--hook-pure`.
---@field state? table What `cr.state` holds, as a restart finds it.

--- A loaded script.
---@class cr.test.Hook
---@field log cr.test.LogLine[] What it logged so far.
---@field annotations table<string, string> What it noted so far with `cr.annotate`.
---@field state table What is in `cr.state`, as the context file would keep it.
local Hook = {}

--- A line of the log.
---@class cr.test.LogLine
---@field level "debug"|"info"|"warn"|"error" How much it matters.
---@field text string The text.

--- Lets an event happen. Fields that are not given are 0, false, empty or nil; unknown ones are errors. An error of the script is an error of the test.
---@param event cr.EventName Which event.
---@param data? table Fields of its argument.
---@return any verdict A word, a table or a number, as a handler returns them; `{ fail = class, message = message, remedy = …, exit = … }` after `cr.fail`; nil for no opinion.
function Hook:fire(event, data) end

--- What is expected of a value. Each function raises an error if it is not so.
---@class cr.test.Expectation
local Expectation = {}

--- The same value; tables are equal if all their fields are.
---@param expected any The value it must have.
function Expectation:equals(expected) end

--- No value.
function Expectation:is_nil() end

--- A text with a part that matches.
---@param pattern string A pattern of Lua.
function Expectation:matches(pattern) end

--- A function that raises an error whose message matches.
---@param pattern string A pattern of Lua.
function Expectation:errors(pattern) end

--- A verdict that came from `cr.fail`.
---@param class cr.Class The class it gave.
---@param pattern? string A pattern of Lua for the message.
function Expectation:fails(class, pattern) end

return test
