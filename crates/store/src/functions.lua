#!lua name=blackfriday_1

-- The atomic step of the pipeline: position and counters change together, or not at all.
--
-- A function's effects are not rolled back when it fails in the middle, so everything that could fail is checked before
-- the first write. Numbers that may pass 2^53 travel and are stored as decimal strings.

local CATEGORIES = { 'Electronica', 'Ropa', 'Hogar', 'Belleza' }
local EXACT = 9007199254740992 -- 2^53: up to here a sorted set's scores add up exactly

-- Adds two non-negative integers given as digits, in chunks of 14: the sum of two chunks stays below 2^53.
local function add(a, b)
  local sum, carry, i, j = {}, 0, #a, #b
  while i > 0 or j > 0 or carry > 0 do
    local x = i > 0 and tonumber(string.sub(a, math.max(1, i - 13), i)) or 0
    local y = j > 0 and tonumber(string.sub(b, math.max(1, j - 13), j)) or 0
    local chunk = x + y + carry
    carry = chunk >= 1e14 and 1 or 0
    table.insert(sum, 1, string.format('%014.0f', chunk - carry * 1e14))
    i, j = i - 14, j - 14
  end
  local digits = string.gsub(table.concat(sum), '^0+', '')
  return digits == '' and '0' or digits
end

-- Divides digits by a number below 4.5e14, rounded half up.
local function divide(digits, by)
  local doubled = add(add(digits, digits), string.format('%.0f', by))
  local quotient, rest = {}, 0
  for at = 1, #doubled do
    rest = rest * 10 + tonumber(string.sub(doubled, at, at))
    local digit = math.floor(rest / (2 * by))
    rest = rest - digit * 2 * by
    quotient[at] = string.format('%d', digit)
  end
  local result = string.gsub(table.concat(quotient), '^0+', '')
  return result == '' and '0' or result
end

-- '1234' is '12.34'.
local function with_point(digits)
  if #digits < 3 then digits = string.rep('0', 3 - #digits) .. digits end
  return string.sub(digits, 1, -3) .. '.' .. string.sub(digits, -2)
end

local function without_point(decimal)
  return (string.gsub(decimal, '%.', ''))
end

local function check_type(key, expected)
  local found = server.call('TYPE', key)['ok']
  if found ~= 'none' and found ~= expected then
    error({ err = 'WRONGTYPE ' .. key .. ' is a ' .. found .. ', not a ' .. expected })
  end
end

local function check_value(key, value, pattern)
  if value and not string.find(value, pattern) then
    error({ err = 'WRONGVALUE ' .. key .. ' holds ' .. value })
  end
  return value
end

-- What all applies begin with. Returns the stored position if it is not `from`, or nil.
local function refuse(position_key, keys_key, schema_key, partition, from, schema)
  check_type(position_key, 'hash')
  check_type(keys_key, 'zset')
  check_type(schema_key, 'string')
  local stored_schema = server.call('GET', schema_key)
  if stored_schema and stored_schema ~= schema then
    error({ err = 'SCHEMA the store holds "' .. stored_schema .. '", not "' .. schema .. '"' })
  end
  local stored = check_value(position_key, server.call('HGET', position_key, partition) or '0', '^%d+$')
  if stored ~= from then return stored end
  return nil
end

-- What all applies end with.
local function advance(position_key, keys_key, schema_key, partition, to, schema, tally)
  for at = 1, #tally.keys, 2 do
    server.call('ZADD', keys_key, tally.keys[at + 1], tally.keys[at])
  end
  if tally.keys_floor ~= '' then
    server.call('ZREMRANGEBYSCORE', keys_key, '-inf', '(' .. tally.keys_floor)
  end
  server.call('SET', schema_key, schema)
  server.call('HSET', position_key, partition, to)
end

local function check_sums(key, pattern)
  check_type(key, 'hash')
  for _, category in ipairs(CATEGORIES) do
    check_value(key, server.call('HGET', key, category), pattern)
  end
end

local function check_sales(keys)
  for _, key in ipairs({ keys.max, keys.min }) do
    check_type(key, 'string')
    check_value(key, server.call('GET', key), '^%d+%.%d%d$')
  end
  check_sums(keys.reports, '^%d+$')
  check_sums(keys.price_sum, '^%d+%.%d%d$')
  check_sums(keys.units_sum, '^%d+$')
  check_sums(keys.revenue_sum, '^%d+%.%d%d$')
  check_type(keys.price_mean, 'hash')
  check_type(keys.units_mean, 'hash')
  check_type(keys.ranking, 'zset')
  check_type(keys.series, 'zset')
  for at = 1, 4 do
    check_type(keys.reports_of[at], 'string')
    check_type(keys.ranking_of[at], 'zset')
    check_type(keys.history_of[at], 'zset')
  end
end

local function widen(keys, tally)
  local max, min = server.call('GET', keys.max), server.call('GET', keys.min)
  if not max or tonumber(tally.max) > tonumber(max) then server.call('SET', keys.max, tally.max) end
  if not min or tonumber(tally.min) < tonumber(min) then server.call('SET', keys.min, tally.min) end
end

local function rank(key, products)
  for at = 1, #products, 2 do
    local units = server.call('ZINCRBY', key, products[at + 1], products[at])
    if tonumber(units) > EXACT then server.call('ZADD', key, string.format('%.0f', EXACT), products[at]) end
  end
end

local function remember_prices(key, points, length)
  local arguments = {}
  for at = 1, #points do
    arguments[#arguments + 1] = points[at]
    if #arguments == 1000 or at == #points then
      server.call('ZADD', key, unpack(arguments))
      arguments = {}
    end
  end
  server.call('ZREMRANGEBYRANK', key, 0, -(length + 1))
end

local function sum_up(key, category, term, decimals)
  local stored = server.call('HGET', key, category) or '0'
  local sum = add(without_point(stored), term)
  server.call('HSET', key, category, decimals and with_point(sum) or sum)
  return sum
end

local function add_category(keys, at, of, history_length)
  local category = CATEGORIES[at]
  local sales = sum_up(keys.reports, category, of.sales, false)
  server.call('SET', keys.reports_of[at], sales)
  local prices = sum_up(keys.price_sum, category, of.price, true)
  local units = sum_up(keys.units_sum, category, of.units, false)
  sum_up(keys.revenue_sum, category, of.revenue, true)
  server.call('HSET', keys.price_mean, category, with_point(divide(prices, tonumber(sales))))
  server.call('HSET', keys.units_mean, category, with_point(divide(units .. '00', tonumber(sales))))
  rank(keys.ranking, of.products)
  rank(keys.ranking_of[at], of.products)
  remember_prices(keys.history_of[at], of.history, history_length)
end

-- Sales per second: score and first part of a member are the second, the second part is the count.
local function add_seconds(key, seconds, kept)
  local newest = tonumber(seconds[#seconds - 1])
  local stored = server.call('ZRANGE', key, -1, -1, 'WITHSCORES')
  if stored[2] then newest = math.max(newest, tonumber(stored[2])) end
  local floor = newest - kept + 1
  for at = 1, #seconds, 2 do
    local second, count = seconds[at], tonumber(seconds[at + 1])
    if tonumber(second) >= floor then
      local member = server.call('ZRANGE', key, second, second, 'BYSCORE')[1]
      if member then
        count = count + tonumber(string.match(member, ':(%d+)$'))
        server.call('ZREM', key, member)
      end
      server.call('ZADD', key, second, second .. ':' .. string.format('%.0f', count))
    end
  end
  server.call('ZREMRANGEBYSCORE', key, '-inf', '(' .. string.format('%.0f', floor))
end

local function expire(keys, seconds)
  if seconds == '0' then return end
  server.call('EXPIRE', keys.series, seconds)
  for at = 1, 4 do server.call('EXPIRE', keys.history_of[at], seconds) end
end

local function sale_keys(KEYS)
  local four = function(first) return { KEYS[first], KEYS[first + 1], KEYS[first + 2], KEYS[first + 3] } end
  return {
    max = KEYS[4], min = KEYS[5], reports = KEYS[6], ranking = KEYS[7],
    price_sum = KEYS[8], units_sum = KEYS[9], revenue_sum = KEYS[10],
    price_mean = KEYS[11], units_mean = KEYS[12], series = KEYS[13],
    reports_of = four(14), ranking_of = four(18), history_of = four(22),
  }
end

-- KEYS: position, idempotency keys, schema, then the counters in the order of `sale_keys`.
-- ARGV: partition, from, to, schema, history length, seconds of the series, seconds to live or 0, tally as JSON.
-- Returns {1, to} if it was applied, {0, stored position} if it was refused.
local function apply_sales(KEYS, ARGV)
  local stored = refuse(KEYS[1], KEYS[2], KEYS[3], ARGV[1], ARGV[2], ARGV[4])
  if stored then return { 0, stored } end
  local tally, keys = cjson.decode(ARGV[8]), sale_keys(KEYS)
  check_sales(keys)
  if tally.max ~= '' then
    widen(keys, tally)
    for at = 1, 4 do
      if tally.categories[at].sales ~= '0' then
        add_category(keys, at, tally.categories[at], tonumber(ARGV[5]))
      end
    end
    add_seconds(keys.series, tally.seconds, tonumber(ARGV[6]))
    expire(keys, ARGV[7])
  end
  advance(KEYS[1], KEYS[2], KEYS[3], ARGV[1], ARGV[3], ARGV[4], tally)
  return { 1, ARGV[3] }
end

-- KEYS: position, idempotency keys, schema, reports by country, total of reports, then one per report.
-- ARGV: partition, from, to, schema, milliseconds to live of a report, tally as JSON.
local function apply_weather(KEYS, ARGV)
  local stored = refuse(KEYS[1], KEYS[2], KEYS[3], ARGV[1], ARGV[2], ARGV[4])
  if stored then return { 0, stored } end
  local tally = cjson.decode(ARGV[6])
  check_type(KEYS[4], 'hash')
  check_type(KEYS[5], 'string')
  check_value(KEYS[5], server.call('GET', KEYS[5]), '^%d+$')
  for at = 1, #tally.countries, 2 do
    check_value(KEYS[4], server.call('HGET', KEYS[4], tally.countries[at]), '^%d+$')
  end
  for at = 6, #KEYS do check_type(KEYS[at], 'hash') end
  for at = 1, #tally.countries, 2 do
    local country, count = tally.countries[at], tally.countries[at + 1]
    server.call('HSET', KEYS[4], country, add(server.call('HGET', KEYS[4], country) or '0', count))
    server.call('SET', KEYS[5], add(server.call('GET', KEYS[5]) or '0', count))
  end
  for at, report in ipairs(tally.reports) do
    local key = KEYS[5 + at]
    server.call('HSET', key, 'description', report[2], 'country', report[3], 'weather', report[4], 'timestamp', report[1])
    server.call('PEXPIREAT', key, string.format('%.0f', tonumber(report[1]) + tonumber(ARGV[5])))
  end
  advance(KEYS[1], KEYS[2], KEYS[3], ARGV[1], ARGV[3], ARGV[4], tally)
  return { 1, ARGV[3] }
end

server.register_function('blackfriday_1_apply_sales', apply_sales)
server.register_function('blackfriday_1_apply_weather', apply_weather)
