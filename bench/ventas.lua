-- Five hundred sales per request, for wrk. Sales per second are 500 times the requests per second.
--   wrk -t1 -c16 -d20s --latency -s bench/ventas.lua http://127.0.0.1:8080/ventas
local categories = { "Electronica", "Ropa", "Hogar", "Belleza" }
local per_request = 500
local bodies = {}
math.randomseed(17)
for b = 1, 20 do
  local items = {}
  for i = 1, per_request do
    items[i] = string.format(
      '{"categoria":"%s","producto_id":"P-%d","precio":%.2f,"cantidad_vendida":%d}',
      categories[i % 4 + 1], math.random(200), math.random(100, 99999) / 100, math.random(5))
  end
  bodies[b] = "[" .. table.concat(items, ",") .. "]"
end

wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
local at = 0

function request()
  at = at % #bodies + 1
  return wrk.format(nil, nil, nil, bodies[at])
end

function done(summary, latency)
  local answered = summary.requests - summary.errors.status
  io.write(string.format("sales accepted per second %.0f, requests refused %d, p99 %.2f ms\n",
    answered * per_request / (summary.duration / 1e6), summary.errors.status, latency:percentile(99) / 1000))
end
