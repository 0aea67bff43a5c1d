-- Closes connections that cannot be restored, instead of refusing the checkpoint. The job finds the descriptors closed (EBADF) after the restart.
--
-- For programs that connect again by themselves when a connection is lost. At the checkpoint the job that runs on keeps its connections.
--
-- Arguments:
--   peers=PATTERN   only connections to these addresses (default: all), for example '10.1.*:27000'
--
-- Example:
--   cr_checkpoint --hook close_sockets.lua --hook-arg 'peers=*:27000' 4711

local cr = require "cr"

cr.on("object-disposition", { kind = "socket", restorable = false, peer = cr.args.peers }, function(socket)
  local what = socket.state == "listening" and "the socket that listens at " .. (socket["local"] or "no address")
    or "the connection to " .. (socket.peer or "an unknown address")
  cr.log.warn(("process %d: %s will be closed at the restart"):format(socket.pid, what))
  return "close"
end)
