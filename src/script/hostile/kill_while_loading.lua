-- load: killed: loading
local cr = require "cr"
local _ = (("a"):rep(100000)):find((".-"):rep(20) .. "b")
