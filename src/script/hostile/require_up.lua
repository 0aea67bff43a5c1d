-- load: error: is not the name of a module
local cr = require "cr"
require "..mod"
