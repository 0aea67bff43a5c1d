-- load: error: requires itself
local cr = require "cr"
require "require_itself"
