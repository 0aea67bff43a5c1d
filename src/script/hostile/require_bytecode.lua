-- load: error: it is compiled Lua
local cr = require "cr"
require "module.bytecode"
