-- Requires its neighbor, which requires this one.
return require "mutual_a"
