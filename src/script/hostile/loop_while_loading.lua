-- load: error: for loading
local cr = require "cr"
while true do end
