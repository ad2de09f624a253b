#!lua name=blackfriday_DIGEST

-- The atomic step of the pipeline: position and counters change together, or not at all.
--
-- A function's effects are not rolled back when it fails in the middle, so everything that could fail is checked before
-- the first write: the types of all keys, the form of all values that are read, and the caller's permissions. Numbers
-- that may pass 2^53 travel and are stored as decimal strings.

local CATEGORIES = { 'Electronica', 'Ropa', 'Hogar', 'Belleza' }
local EXACT = 9007199254740992 -- 2^53: up to here a sorted set's scores add up exactly
local WRITES = {
  string = { 'SET' },
  hash = { 'HSET' },
  zset = { 'ZADD', 'ZINCRBY', 'ZREM', 'ZREMRANGEBYRANK', 'ZREMRANGEBYSCORE' },
}

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

local function permit(command, ...)
  if not server.acl_check_cmd(command, ...) then
    error({ err = 'NOPERM apply needs the permission for ' .. command .. ' on ' .. select(1, ...) })
  end
end

local function check_type(key, expected)
  local found = server.call('TYPE', key)['ok']
  if found ~= 'none' and found ~= expected then
    error({ err = 'WRONGTYPE ' .. key .. ' is a ' .. found .. ', not a ' .. expected })
  end
end

local function check_key(key, expected)
  check_type(key, expected)
  for _, command in ipairs(WRITES[expected]) do permit(command, key, '0', 'x') end
end

local function check_value(key, value, pattern)
  if value and not string.find(value, pattern) then
    error({ err = 'WRONGVALUE ' .. key .. ' holds ' .. string.sub(value, 1, 60) })
  end
  return value
end

-- A number that is calculated with, not only added to.
local function check_count(key, value)
  if value and #value > 14 then error({ err = 'WRONGVALUE ' .. key .. ' holds ' .. string.sub(value, 1, 60) }) end
  return check_value(key, value, '^%d+$')
end

-- `schema` is names and values in turns. An empty store has none yet.
local function check_schema(key, schema)
  check_key(key, 'hash')
  if server.call('EXISTS', key) == 0 then return end
  for at = 1, #schema, 2 do
    local stored = server.call('HGET', key, schema[at])
    if stored ~= schema[at + 1] then
      error({ err = 'SCHEMA ' .. key .. ' has ' .. schema[at] .. ' ' .. (stored or 'unset') .. ', not ' .. schema[at + 1] })
    end
  end
end

-- What all applies begin with. Returns the stored position if it is not `from`, or nil.
local function refuse(KEYS, partition, from, schema)
  check_key(KEYS[1], 'hash')
  check_key(KEYS[2], 'zset')
  check_schema(KEYS[3], schema)
  local stored = check_value(KEYS[1], server.call('HGET', KEYS[1], partition) or '0', '^%d+$')
  if stored ~= from then return stored end
  return nil
end

-- Adds scores and members in turns.
local function add_members(key, pairs)
  for first = 1, #pairs, 1000 do
    server.call('ZADD', key, unpack(pairs, first, math.min(first + 999, #pairs)))
  end
end

-- What all applies end with.
local function advance(KEYS, partition, to, schema, tally)
  add_members(KEYS[2], tally.keys)
  if tally.keys_floor ~= '' then
    server.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', '(' .. tally.keys_floor)
  end
  server.call('HSET', KEYS[3], unpack(schema))
  server.call('HSET', KEYS[1], partition, to)
end

local function check_sums(key, pattern)
  check_key(key, 'hash')
  for _, category in ipairs(CATEGORIES) do
    check_value(key, server.call('HGET', key, category), pattern)
  end
end

-- The stored counts of these seconds, and the newest second of all.
local function read_seconds(key, seconds)
  check_key(key, 'zset')
  local counts = {}
  for at = 1, #seconds, 2 do
    local second = seconds[at]
    local members = server.call('ZRANGE', key, second, second, 'BYSCORE')
    local count = members[1] and string.match(members[1], '^' .. second .. ':(%d+)$')
    if #members > 1 or (members[1] and not count) then
      error({ err = 'WRONGVALUE ' .. key .. ' holds ' .. string.sub(table.concat(members, ' '), 1, 60) })
    end
    counts[at] = check_count(key, count)
  end
  return counts, tonumber(server.call('ZRANGE', key, -1, -1, 'WITHSCORES')[2] or '0')
end

local function check_sales(keys, expiring)
  for _, key in ipairs({ keys.max, keys.min }) do
    check_key(key, 'string')
    check_value(key, server.call('GET', key), '^%d+%.%d%d$')
  end
  check_sums(keys.reports, '^%d+$')
  check_sums(keys.price_sum, '^%d+%.%d%d$')
  check_sums(keys.units_sum, '^%d+$')
  check_sums(keys.revenue_sum, '^%d+%.%d%d$')
  check_key(keys.price_mean, 'hash')
  check_key(keys.units_mean, 'hash')
  check_key(keys.ranking, 'zset')
  for at = 1, 4 do
    check_count(keys.reports, server.call('HGET', keys.reports, CATEGORIES[at]))
    check_key(keys.reports_of[at], 'string')
    check_key(keys.ranking_of[at], 'zset')
    check_key(keys.history_of[at], 'zset')
    if expiring then permit('EXPIRE', keys.history_of[at], '1') end
  end
  if expiring then permit('EXPIRE', keys.series, '1') end
end

local function widen(keys, tally)
  local max, min = server.call('GET', keys.max), server.call('GET', keys.min)
  if not max or tonumber(tally.max) > tonumber(max) then server.call('SET', keys.max, tally.max) end
  if not min or tonumber(tally.min) < tonumber(min) then server.call('SET', keys.min, tally.min) end
end

-- Units by product, up to 2^53: min(2^53, sum) does not depend on order.
local function rank(key, products)
  for at = 1, #products, 2 do
    local units = server.call('ZINCRBY', key, products[at + 1], products[at])
    if tonumber(units) > EXACT then server.call('ZADD', key, string.format('%.0f', EXACT), products[at]) end
  end
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
  add_members(keys.history_of[at], of.history)
  server.call('ZREMRANGEBYRANK', keys.history_of[at], 0, -(history_length + 1))
end

-- Sales per second: score and first part of a member are the second, the second part is the count.
local function add_seconds(key, seconds, counts, newest, kept)
  local floor = math.max(newest, tonumber(seconds[#seconds - 1])) - kept + 1
  for at = 1, #seconds, 2 do
    local second, stored = seconds[at], counts[at]
    if tonumber(second) >= floor then
      if stored then server.call('ZREM', key, second .. ':' .. stored) end
      server.call('ZADD', key, second, second .. ':' .. add(stored or '0', seconds[at + 1]))
    end
  end
  server.call('ZREMRANGEBYSCORE', key, '-inf', '(' .. string.format('%.0f', floor))
end

local function expire(keys, seconds)
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
  local partition, from, to, schema = ARGV[1], ARGV[2], ARGV[3], cjson.decode(ARGV[4])
  local stored = refuse(KEYS, partition, from, schema)
  if stored then return { 0, stored } end
  local tally, keys, expiring = cjson.decode(ARGV[8]), sale_keys(KEYS), ARGV[7] ~= '0'
  check_sales(keys, expiring)
  local counts, newest = read_seconds(keys.series, tally.seconds)
  if tally.max ~= '' then
    widen(keys, tally)
    for at = 1, 4 do
      if tally.categories[at].sales ~= '0' then
        add_category(keys, at, tally.categories[at], tonumber(ARGV[5]))
      end
    end
    add_seconds(keys.series, tally.seconds, counts, newest, tonumber(ARGV[6]))
    if expiring then expire(keys, ARGV[7]) end
  end
  advance(KEYS, partition, to, schema, tally)
  return { 1, to }
end

local function check_weather(KEYS, tally)
  check_key(KEYS[4], 'hash')
  check_key(KEYS[5], 'string')
  check_value(KEYS[5], server.call('GET', KEYS[5]), '^%d+$')
  for at = 1, #tally.countries, 2 do
    check_value(KEYS[4], server.call('HGET', KEYS[4], tally.countries[at]), '^%d+$')
  end
  for at = 6, #KEYS do
    check_type(KEYS[at], 'hash')
    permit('HSET', KEYS[at], '0', 'x')
    permit('PEXPIREAT', KEYS[at], '1')
  end
end

-- KEYS: position, idempotency keys, schema, reports by country, total of reports, then one per report.
-- ARGV: partition, from, to, schema, milliseconds to live of a report, tally as JSON.
-- Returns as `apply_sales`.
local function apply_weather(KEYS, ARGV)
  local partition, from, to, schema = ARGV[1], ARGV[2], ARGV[3], cjson.decode(ARGV[4])
  local stored = refuse(KEYS, partition, from, schema)
  if stored then return { 0, stored } end
  local tally = cjson.decode(ARGV[6])
  check_weather(KEYS, tally)
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
  advance(KEYS, partition, to, schema, tally)
  return { 1, to }
end

server.register_function('blackfriday_DIGEST_apply_sales', apply_sales)
server.register_function('blackfriday_DIGEST_apply_weather', apply_weather)
