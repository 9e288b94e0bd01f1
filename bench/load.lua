-- The requests that wrk sends, and the report that it prints. After `--`: METHOD BODY, then one path or a file of paths to take in turn:
--   wrk … -s load.lua URL -- GET "" /v1/runs           wrk … -s load.lua URL -- GET "" @paths.txt

local function headers(body)
  wrk.headers["Authorization"] = "Bearer zof_test_admin"
  if body ~= "" then
    wrk.headers["Content-Type"] = "application/json"
    wrk.body = body
  end
end

function init(args)
  wrk.method = args[1]
  headers(args[2])
  if args[3]:sub(1, 1) ~= "@" then
    wrk.path = args[3]
    return
  end
  local ready, n, at = {}, 0, 0
  for path in io.lines(args[3]:sub(2)) do
    n = n + 1
    ready[n] = wrk.format(nil, path)
  end
  request = function()
    at = at % n + 1
    return ready[at]
  end
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    '\n{"requests":%d,"seconds":%.6f,"refused":%d,"broken":%d,"p50_ms":%.3f,"p99_ms":%.3f}\n',
    summary.requests, summary.duration / 1e6, errors.status,
    errors.connect + errors.read + errors.write + errors.timeout,
    latency:percentile(50) / 1e3, latency:percentile(99) / 1e3))
end
