wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.body = '{"model":"m","temperature":0.7,"max_tokens":64,"messages":[{"role":"system","content":"'
  .. string.rep("You are helpful. ", 10) .. '"},{"role":"user","content":"What is a millrace?"}]}'

function done(summary, latency, requests)
  io.write(string.format("RESULT %.1f %.1f %.1f %d\n", latency:percentile(50), latency:percentile(99),
    summary.requests / summary.duration * 1e6, summary.errors.status + summary.errors.read + summary.errors.timeout))
end
