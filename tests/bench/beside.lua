-- wrk ... -- CALLBACKS_FILE HOST keep-alive|close RUN
-- Sends the callbacks of the file in turn, as WeChat's server would, each message with a MsgId of its own:
-- the number of this run (8 digits) and the number of the request in it (9 digits).
-- The file holds, for each callback: its target, a line feed, its body, a zero byte.

local before, after, next_one, sent, run = {}, {}, 1, 0, ""

function init(args)
  local file = assert(io.open(args[1], "rb"))
  local headers = {
    ["Host"] = args[2],
    ["User-Agent"] = "Mozilla/4.0",
    ["Accept"] = "*/*",
    ["Content-Type"] = "text/xml",
    ["Pragma"] = "no-cache",
    ["Connection"] = args[3] == "close" and "close" or "Keep-Alive",
  }
  run = args[4]
  for target, body in file:read("*a"):gmatch("([^\n]*)\n([^%z]*)%z") do
    local request = wrk.format("POST", target, headers, body)
    local from, to = request:find("<MsgId>%d+</MsgId>")
    before[#before + 1] = from and request:sub(1, from + 6) or request
    after[#before] = from and request:sub(to - 7) or false
  end
  file:close()
end

function request()
  local at = next_one
  next_one = at % #before + 1
  sent = sent + 1
  return after[at] and before[at] .. run .. string.format("%09d", sent) .. after[at] or before[at]
end

function done(summary, latency)
  local failed = summary.errors
  io.write(string.format(
    'RESULT {"answered": %d, "seconds": %.6f, "failed": %d, "not_2xx": %d}\n',
    summary.requests,
    summary.duration / 1e6,
    failed.connect + failed.read + failed.write + failed.timeout,
    failed.status
  ))
end
