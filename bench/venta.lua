-- One sale per request, for wrk: a product and a price of its own for each.
--   wrk -t1 -c64 -d20s --latency -s bench/venta.lua http://127.0.0.1:8080/venta
local categories = { "Electronica", "Ropa", "Hogar", "Belleza" }
local bodies = {}
math.randomseed(17)
for i = 1, 1000 do
  bodies[i] = string.format(
    '{"categoria":"%s","producto_id":"P-%d","precio":%.2f,"cantidad_vendida":%d}',
    categories[i % 4 + 1], math.random(200), math.random(100, 99999) / 100, math.random(5))
end

wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
local at = 0

function request()
  at = at % #bodies + 1
  return wrk.format(nil, nil, nil, bodies[at])
end

function done(summary, latency)
  local refused = summary.errors.status + summary.errors.connect + summary.errors.read + summary.errors.timeout
  io.write(string.format("accepted %d, refused or failed %d, p99 %.2f ms\n",
    summary.requests - summary.errors.status, refused, latency:percentile(99) / 1000))
end
