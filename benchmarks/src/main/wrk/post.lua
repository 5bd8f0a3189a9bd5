-- Posts one file again and again:  wrk … -s post.lua URL -- FILE [NAME:VALUE]…
-- Ends with one line for the script: requests, microseconds, failures, and latencies in microseconds.

function init(args)
  local file = assert(io.open(args[1], "rb"))
  local body = file:read("*a")
  file:close()
  local headers = {}
  for i = 2, #args do
    local name, value = args[i]:match("^([^:]+):(.*)$")
    headers[name] = value
  end
  -- Formatted once: what is left to do for each request is to send it.
  request_bytes = wrk.format("POST", nil, headers, body)
end

function request()
  return request_bytes
end

function done(summary, latency)
  local e = summary.errors
  local failures = e.connect + e.read + e.write + e.status + e.timeout
  io.write(string.format("RESULT %d %d %d %d %d\n",
    summary.requests, summary.duration, failures,
    latency:percentile(50), latency:percentile(99)))
end
