-- load: error: requires itself
local cr = require "cr"
require "module.mutual_a"
