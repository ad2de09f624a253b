#!lua name=blackfriday_DIGEST

-- The atomic step of the pipeline: position and counters change together, or not at all.
--
-- States, not differences. Every effect is a value that the function computed from what it read, never an increment, nor a
-- removal of something that an earlier call is known to have left. What a server replicates or appends to its file are the
-- effects; so any suffix of them, replayed twice on any earlier state, ends in the same place. Without this, half of a
-- transaction that a torn append-only file gives back is counted on top of the same batch (valkey-io/valkey#4342).
--
-- What such a half still leaves, if only a part of its records was counted again after it, is a state between two
-- positions. So every call notes first how far it will go, and takes the note back last. A note beyond the position is
-- such a half: nothing is counted on top of it.
--
-- A function's effects are not rolled back when it fails in the middle, so everything that could fail is checked before
-- the first write: the types of all keys, the form of all values that are read, and the caller's permissions. Numbers
-- that may pass 2^53 travel and are stored as decimal strings.

local CATEGORIES = { 'Electronica', 'Ropa', 'Hogar', 'Belleza' }
local EXACT = 9007199254740992 -- 2^53: up to here a sorted set's scores are exact
local CHUNK = 1000 -- members of one command; Lua unpacks up to 8000 values
-- Of the sales of a second: how many, the sum of their prices, the lowest and the highest.
local PRICES = '^(%d+):(%d+%.%d%d):(%d+%.%d%d):(%d+%.%d%d)$'
local MOST_FORGOTTEN = 10000 -- idempotency keys, in one call that adds no more than half as many
local WRITES = {
  string = { 'SET' },
  hash = { 'HSET' },
  zset = { 'ZADD' },
}

-- Adds two non-negative integers given as digits, in chunks of 14: the sum of two chunks stays below 2^53.
local function add(a, b)
  if #a < 15 and #b < 15 then return string.format('%.0f', tonumber(a) + tonumber(b)) end
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
  if #digits < 15 then
    local doubled = 2 * tonumber(digits) + by
    return string.format('%.0f', (doubled - doubled % (2 * by)) / (2 * by))
  end
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
  if not redis.acl_check_cmd(command, ...) then
    error({ err = 'NOPERM apply needs the permission for ' .. command .. ' on ' .. select(1, ...) })
  end
end

local function check_type(key, expected)
  local found = redis.call('TYPE', key)['ok']
  if found ~= 'none' and found ~= expected then
    error({ err = 'WRONGTYPE ' .. key .. ' is a ' .. found .. ', not a ' .. expected })
  end
end

local function check_key(key, expected)
  check_type(key, expected)
  for _, command in ipairs(WRITES[expected]) do permit(command, key, '0', 'x') end
end

local function wrong(key, detail)
  error({ err = 'WRONGVALUE ' .. key .. ' ' .. detail })
end

local function check_value(key, value, pattern)
  if value and not string.find(value, pattern) then wrong(key, 'holds ' .. string.sub(value, 1, 60)) end
  return value
end

-- A number that is calculated with, not only added to.
local function check_count(key, value)
  if value and #value > 14 then wrong(key, 'holds ' .. string.sub(value, 1, 60)) end
  return check_value(key, value, '^%d+$')
end

-- Two parts of one sum: both are there, or neither.
local function check_both(key, value, other, expected)
  if not value ~= not expected then
    wrong(key, (value and 'is there while ' or 'is missing while ') .. other .. (expected and ' is there' or ' is missing'))
  end
end

-- The keys that a call needs for a partition, in this order; those of the first are its first.
local PLACE_KEYS = 7
local function place_keys(KEYS, nth)
  local before = ((nth or 1) - 1) * PLACE_KEYS
  return {
    position = KEYS[before + 1], last = KEYS[before + 2], stopped = KEYS[before + 3], begun = KEYS[before + 4],
    schema = KEYS[before + 5], idempotency = KEYS[before + 6], events = KEYS[before + 7],
  }
end

-- `schema` is names and values in turns. Nothing else can be there while it is not.
local function check_schema(KEYS, keys, schema)
  check_key(keys.schema, 'hash')
  if redis.call('EXISTS', keys.schema) == 0 then
    for at = 1, #KEYS do
      if KEYS[at] ~= keys.stopped and redis.call('EXISTS', KEYS[at]) == 1 then
        error({ err = 'SCHEMA ' .. keys.schema .. ' is missing while ' .. KEYS[at] .. ' is there' })
      end
    end
    return
  end
  for at = 1, #schema, 2 do
    local stored = redis.call('HGET', keys.schema, schema[at])
    if stored ~= schema[at + 1] then
      error({ err = 'SCHEMA ' .. keys.schema .. ' has ' .. schema[at] .. ' ' .. (stored or 'unset') .. ', not ' .. schema[at + 1] })
    end
  end
end

-- The stored position. It may be missing only where nothing was ever counted.
local function read_position(keys, partition, begun_field)
  local stored = check_value(keys.position, redis.call('HGET', keys.position, partition), '^%d+$')
  if not stored and redis.call('HGET', keys.schema, begun_field) then
    error({ err = 'MISSING ' .. keys.position .. ' has no partition ' .. partition .. ', which ' .. keys.schema .. ' knows as begun' })
  end
  return stored or '0'
end

-- Refuses to count on top of a part of a batch. Returns what other notes there are, which are of no meaning any more.
local function check_begun(keys)
  local old = {}
  if redis.call('EXISTS', keys.begun) == 0 then return old end
  local notes = redis.call('HGETALL', keys.begun)
  for at = 1, #notes, 2 do
    local note = notes[at]
    local partition, to = string.match(note, '^(%d+):(%d+)$')
    if not to then wrong(keys.begun, 'holds ' .. string.sub(note, 1, 60)) end
    if tonumber(to) > tonumber(redis.call('HGET', keys.position, partition) or '0') then
      error({ err = 'DIRTY ' .. keys.begun .. ' holds ' .. note .. ': only a part of that batch is in the store' })
    end
    table.insert(old, note)
  end
  return old
end

-- What every call checks of the keys that it begins and ends with, and of what it would write there. Returns the stored
-- position.
local function check_place(KEYS, keys, place, schema)
  for _, name in ipairs({ 'partition', 'from', 'to' }) do
    if not string.find(place[name] or '', '^%d+$') then
      error({ err = 'ARGUMENT ' .. name .. ' is ' .. string.sub(place[name] or 'missing', 1, 60) .. ', not a number' })
    end
  end
  for _, key in ipairs({ keys.position, keys.last, keys.stopped, keys.begun }) do check_key(key, 'hash') end
  permit('HDEL', keys.begun, '0')
  check_schema(KEYS, keys, schema)
  return read_position(keys, place.partition, place.begun_field)
end

-- What all calls but `resume` begin with. Returns an answer if nothing is to be done, or nil and the notes to take back.
local function refuse(KEYS, keys, place, schema)
  local stored = check_place(KEYS, keys, place, schema)
  local reason = redis.call('HGET', keys.stopped, place.partition)
  if reason then return { 2, reason } end
  if stored ~= place.from then return { 0, stored } end
  return nil, check_begun(keys)
end

-- The first write.
local function begin(keys, place)
  redis.call('HSET', keys.begun, place.partition .. ':' .. place.to, place.from)
end

-- Writes names or scores, and values, in turns.
local function write_pairs(command, key, pairs)
  for first = 1, #pairs, 2 * CHUNK do
    redis.call(command, key, unpack(pairs, first, math.min(first + 2 * CHUNK - 1, #pairs)))
  end
end

local function remove(command, key, members)
  for first = 1, #members, CHUNK do
    redis.call(command, key, unpack(members, first, math.min(first + CHUNK - 1, #members)))
  end
end

-- A key without its event, or the other way about, would count again. Returns the newest time of a key, or nil.
local function check_keys(keys)
  check_key(keys.idempotency, 'zset')
  check_key(keys.events, 'hash')
  permit('ZREM', keys.idempotency, 'x')
  permit('HDEL', keys.events, 'x')
  local counted, events = redis.call('ZCARD', keys.idempotency), redis.call('HLEN', keys.events)
  if redis.call('HGET', keys.events, '') then events = events - 1 end
  if events ~= counted then
    wrong(keys.events, 'has ' .. events .. ' events of the ' .. counted .. ' keys in ' .. keys.idempotency)
  end
  local newest = redis.call('ZRANGE', keys.idempotency, -1, -1, 'WITHSCORES')[2]
  return tonumber(check_value(keys.idempotency, newest, '^%d+$'))
end

-- Forgets the oldest keys that decide nothing any more: at least twice as many as were added, so that calls of any size
-- catch up; and also where none was added.
local function forget(keys, newest, added, window)
  local below = '(' .. string.format('%.0f', newest - tonumber(window))
  local most = math.max(MOST_FORGOTTEN, 2 * added)
  local forgotten = redis.call('ZRANGE', keys.idempotency, '-inf', below, 'BYSCORE', 'LIMIT', 0, most)
  remove('ZREM', keys.idempotency, forgotten)
  remove('HDEL', keys.events, forgotten)
end

-- `of.keys` is times and keys in turns, `of.events` the counted events in the same order; `newest` is the newest time
-- before them.
local function remember(keys, of, newest)
  local events = {}
  for at, event in ipairs(of.events) do
    events[2 * at - 1], events[2 * at] = of.keys[2 * at], event
    newest = math.max(newest or 0, tonumber(of.keys[2 * at - 1]))
  end
  write_pairs('HSET', keys.events, events)
  write_pairs('ZADD', keys.idempotency, of.keys)
  if newest then forget(keys, newest, #of.events, of.keys_window_ms) end
end

-- What all applies end with. The notes go last, after every partition has its position.
local function advance(keys, places, schema, old)
  for _, place in ipairs(places) do
    table.insert(schema, place.begun_field)
    table.insert(schema, '1')
  end
  redis.call('HSET', keys.schema, unpack(schema))
  for _, place in ipairs(places) do
    if place.last ~= '' then redis.call('HSET', keys.last, place.partition, place.last) end
    redis.call('HSET', keys.position, place.partition, place.to)
    table.insert(old, place.partition .. ':' .. place.to)
  end
  remove('HDEL', keys.begun, old)
end

-- The values of a hash by category. Where a category has sales, it has all of its sums.
local function check_sums(key, pattern, reports, counts)
  check_key(key, 'hash')
  local values = redis.call('HMGET', key, unpack(CATEGORIES))
  for at = 1, 4 do
    check_value(key, values[at], pattern)
    if counts then check_both(key .. ' ' .. CATEGORIES[at], values[at], reports, counts[at]) end
  end
  return values
end

-- The stored counts of these seconds, and the newest second of all.
local function read_seconds(key, seconds)
  check_key(key, 'zset')
  permit('ZREMRANGEBYSCORE', key, '0', '0')
  local counts = {}
  for at = 1, #seconds, 2 do
    local second = seconds[at]
    local members = redis.call('ZRANGE', key, second, second, 'BYSCORE')
    local count = members[1] and string.match(members[1], '^' .. second .. ':(%d+)$')
    if #members > 1 or (members[1] and not count) then
      wrong(key, 'holds ' .. string.sub(table.concat(members, ' '), 1, 60))
    end
    counts[at] = check_count(key, count)
  end
  return counts, tonumber(redis.call('ZRANGE', key, -1, -1, 'WITHSCORES')[2] or '0')
end

-- The first ones of what is in turns.
local function firsts(pairs)
  local firsts = {}
  for at = 1, #pairs, 2 do firsts[#firsts + 1] = pairs[at] end
  return firsts
end

-- The stored prices of these seconds, which are seconds and prices in turns.
local function read_prices(key, prices, expiring)
  check_key(key, 'hash')
  permit('HDEL', key, '0')
  if expiring then permit('PEXPIREAT', key, '1') end
  local stored, seconds = {}, firsts(prices)
  for first = 1, #seconds, CHUNK do
    local part = redis.call('HMGET', key, unpack(seconds, first, math.min(first + CHUNK - 1, #seconds)))
    for at = 1, #part do stored[first + at - 1] = check_value(key, part[at], PRICES) end
  end
  return stored
end

-- Reads the units of products, which are names and units in turns.
local function read_units(key, products)
  local scores, names = {}, firsts(products)
  for first = 1, #names, CHUNK do
    local part = redis.call('ZMSCORE', key, unpack(names, first, math.min(first + CHUNK - 1, #names)))
    for at = 1, #part do
      local units = part[at] and tonumber(part[at]) or 0
      if units < 0 or units > EXACT or units % 1 ~= 0 then
        wrong(key, 'holds ' .. part[at] .. ' for ' .. names[first + at - 1])
      end
      scores[first + at - 1] = units
    end
  end
  return scores
end

local function check_extremes(keys, has_sales)
  local extremes = {}
  for at, key in ipairs({ keys.max, keys.min }) do
    check_key(key, 'string')
    extremes[at] = check_value(key, redis.call('GET', key), '^%d+%.%d%d$')
    check_both(key, extremes[at], keys.reports, has_sales)
  end
  return extremes[1], extremes[2]
end

-- What one category has of its own next to the sums: `counted` is its number of sales, or nothing.
local function check_category(keys, at, counted, expiring)
  check_count(keys.reports, counted)
  check_key(keys.reports_of[at], 'string')
  if redis.call('GET', keys.reports_of[at]) ~= counted then
    wrong(keys.reports_of[at], 'is not the ' .. CATEGORIES[at] .. ' of ' .. keys.reports)
  end
  check_key(keys.ranking_of[at], 'zset')
  check_both(keys.ranking_of[at], redis.call('EXISTS', keys.ranking_of[at]) == 1, keys.reports, counted)
  check_key(keys.history_of[at], 'zset')
  permit('ZREMRANGEBYRANK', keys.history_of[at], '0', '0')
  if expiring then permit('PEXPIREAT', keys.history_of[at], '1') end
end

-- Everything that is stored and needed, after it was checked.
local function read_sales(keys, tally, expiring)
  local stored = { reports = check_sums(keys.reports, '^%d+$') }
  local counts = stored.reports
  stored.price_sum = check_sums(keys.price_sum, '^%d+%.%d%d$', keys.reports, counts)
  stored.units_sum = check_sums(keys.units_sum, '^%d+$', keys.reports, counts)
  stored.revenue_sum = check_sums(keys.revenue_sum, '^%d+%.%d%d$', keys.reports, counts)
  check_sums(keys.price_mean, '^%d+%.%d%d$', keys.reports, counts)
  check_sums(keys.units_mean, '^%d+%.%d%d$', keys.reports, counts)
  local has_sales = counts[1] or counts[2] or counts[3] or counts[4]
  stored.max, stored.min = check_extremes(keys, has_sales)
  check_key(keys.ranking, 'zset')
  check_both(keys.ranking, redis.call('EXISTS', keys.ranking) == 1, keys.reports, has_sales)
  stored.units_of, stored.units, stored.prices = {}, {}, {}
  for at = 1, 4 do
    check_category(keys, at, counts[at], expiring)
    local products = tally.categories[at].products
    stored.units_of[at] = read_units(keys.ranking_of[at], products)
    stored.units[at] = read_units(keys.ranking, products)
    for nth, units in ipairs(stored.units_of[at]) do
      if units > stored.units[at][nth] then
        wrong(keys.ranking, 'has less of ' .. products[2 * nth - 1] .. ' than ' .. keys.ranking_of[at])
      end
    end
    stored.prices[at] = read_prices(keys.prices_of[at], tally.categories[at].prices, expiring)
  end
  if expiring then
    permit('PEXPIREAT', keys.series, '1')
    stored.now = tonumber(redis.call('TIME')[1])
  end
  stored.seconds, stored.newest = read_seconds(keys.series, tally.seconds)
  return stored
end

local function widen(keys, stored, tally)
  local max, min = stored.max or tally.max, stored.min or tally.min
  if tonumber(tally.max) > tonumber(max) then max = tally.max end
  if tonumber(tally.min) < tonumber(min) then min = tally.min end
  redis.call('SET', keys.max, max)
  redis.call('SET', keys.min, min)
end

-- Units by product, up to 2^53: min(2^53, sum) does not depend on order. `scores` are what is stored of `products`;
-- `sums` are those of this call by product, where a product may come more than once.
local function rank(key, products, scores, sums)
  local ranked = {}
  for at, stored in ipairs(scores) do
    local product = products[2 * at - 1]
    local units = math.min(EXACT, (sums[product] or stored) + tonumber(products[2 * at]))
    sums[product] = units
    ranked[2 * at - 1], ranked[2 * at] = string.format('%.0f', units), product
  end
  write_pairs('ZADD', key, ranked)
end

local function sum_up(key, category, stored, term, decimals)
  local sum = add(without_point(stored or '0'), term)
  redis.call('HSET', key, category, decimals and with_point(sum) or sum)
  return sum
end

local function add_category(keys, at, of, stored, sums, history_length)
  local category = CATEGORIES[at]
  local sales = sum_up(keys.reports, category, stored.reports[at], of.sales, false)
  redis.call('SET', keys.reports_of[at], sales)
  local prices = sum_up(keys.price_sum, category, stored.price_sum[at], of.price, true)
  local units = sum_up(keys.units_sum, category, stored.units_sum[at], of.units, false)
  sum_up(keys.revenue_sum, category, stored.revenue_sum[at], of.revenue, true)
  redis.call('HSET', keys.price_mean, category, with_point(divide(prices, tonumber(sales))))
  redis.call('HSET', keys.units_mean, category, with_point(divide(units .. '00', tonumber(sales))))
  rank(keys.ranking, of.products, stored.units[at], sums)
  rank(keys.ranking_of[at], of.products, stored.units_of[at], {})
  write_pairs('ZADD', keys.history_of[at], of.history)
  redis.call('ZREMRANGEBYRANK', keys.history_of[at], 0, -(history_length + 1))
end

-- Sales per second: score and first part of a member are the second, the second part is the count. Whatever is there of a
-- second gives way to its one member.
local function add_seconds(key, seconds, stored, floor)
  for at = 1, #seconds, 2 do
    local second = seconds[at]
    if tonumber(second) >= floor then
      redis.call('ZREMRANGEBYSCORE', key, second, second)
      redis.call('ZADD', key, second, second .. ':' .. add(stored[at] or '0', seconds[at + 1]))
    end
  end
end

local function merge_prices(stored, more)
  if not stored then return more end
  local sales, sum, min, max = string.match(stored, PRICES)
  local more_sales, more_sum, low, high = string.match(more, PRICES)
  if tonumber(low) < tonumber(min) then min = low end
  if tonumber(high) > tonumber(max) then max = high end
  sum = with_point(add(without_point(sum), without_point(more_sum)))
  return add(sales, more_sales) .. ':' .. sum .. ':' .. min .. ':' .. max
end

-- Prices by second: `prices` is seconds and prices in turns, `stored` what there is of each.
local function add_prices(key, prices, stored, floor)
  local merged = {}
  for nth, before in ipairs(stored) do
    local second = prices[2 * nth - 1]
    if tonumber(second) >= floor then
      merged[#merged + 1] = second
      merged[#merged + 1] = merge_prices(before, prices[2 * nth])
    end
  end
  write_pairs('HSET', key, merged)
end

-- Where prices have a second, the sales per second have it, too.
local function forget_seconds(keys, floor)
  local below = '(' .. string.format('%.0f', floor)
  local seconds = redis.call('ZRANGE', keys.series, '-inf', below, 'BYSCORE')
  if #seconds == 0 then return end
  for at, member in ipairs(seconds) do seconds[at] = string.match(member, '^[^:]*') end
  for at = 1, 4 do remove('HDEL', keys.prices_of[at], seconds) end
  redis.call('ZREMRANGEBYSCORE', keys.series, '-inf', below)
end

-- Everything by second, of the newest seconds.
local function add_by_second(keys, tally, stored, kept)
  local newest = tonumber(tally.seconds[#tally.seconds - 1])
  local floor = math.max(stored.newest, newest) - kept + 1
  add_seconds(keys.series, tally.seconds, stored.seconds, floor)
  for at = 1, 4 do add_prices(keys.prices_of[at], tally.categories[at].prices, stored.prices[at], floor) end
  forget_seconds(keys, floor)
end

local function expire(keys, now, seconds)
  local at = string.format('%.0f', (now + tonumber(seconds)) * 1000)
  redis.call('PEXPIREAT', keys.series, at)
  for category = 1, 4 do
    redis.call('PEXPIREAT', keys.history_of[category], at)
    redis.call('PEXPIREAT', keys.prices_of[category], at)
  end
end

local function sale_keys(KEYS, places)
  local first = places * PLACE_KEYS
  local four = function(at) return { KEYS[first + at], KEYS[first + at + 1], KEYS[first + at + 2], KEYS[first + at + 3] } end
  return {
    max = KEYS[first + 1], min = KEYS[first + 2], reports = KEYS[first + 3], ranking = KEYS[first + 4],
    price_sum = KEYS[first + 5], units_sum = KEYS[first + 6], revenue_sum = KEYS[first + 7],
    price_mean = KEYS[first + 8], units_mean = KEYS[first + 9], series = KEYS[first + 10],
    reports_of = four(11), ranking_of = four(15), history_of = four(19), prices_of = four(23),
  }
end

-- Schema, then of each partition: its number, its name in the schema, from, to, last record or ''.
local PLACE_ARGS = 5
local function place_of(ARGV, nth)
  local before = 1 + ((nth or 1) - 1) * PLACE_ARGS
  return {
    partition = ARGV[before + 1], begun_field = ARGV[before + 2], from = ARGV[before + 3], to = ARGV[before + 4],
    last = ARGV[before + 5],
  }
end

-- One step for partitions of one topic: all of them, or none.
-- KEYS: those of `place_keys` of each partition, then the counters in the order of `sale_keys`.
-- ARGV: those of `place_of` of each partition, then history length, seconds of the series, seconds to live or 0, tally as
-- JSON, which has the idempotency keys of each partition.
-- Returns {1, to} if it was applied, {0, stored position} if a partition was refused, {2, reason} if one is stopped.
local function apply_sales(KEYS, ARGV)
  local schema, tally = cjson.decode(ARGV[1]), cjson.decode(ARGV[#ARGV])
  local length, seconds, to_live = tonumber(ARGV[#ARGV - 3]), tonumber(ARGV[#ARGV - 2]), ARGV[#ARGV - 1]
  local places, keys, old, newest = {}, {}, nil, {}
  for nth = 1, #tally.places do
    places[nth], keys[nth] = place_of(ARGV, nth), place_keys(KEYS, nth)
    local refused, notes = refuse(KEYS, keys[nth], places[nth], schema)
    if refused then return refused end
    old = old or notes
    newest[nth] = check_keys(keys[nth])
  end
  local counters, expiring = sale_keys(KEYS, #places), to_live ~= '0'
  local stored = read_sales(counters, tally, expiring)
  for nth, place in ipairs(places) do begin(keys[nth], place) end
  if tally.max ~= '' then
    widen(counters, stored, tally)
    local sums = {}
    for at = 1, 4 do
      if tally.categories[at].sales ~= '0' then
        add_category(counters, at, tally.categories[at], stored, sums, length)
      end
    end
    add_by_second(counters, tally, stored, seconds)
    if expiring then expire(counters, stored.now, to_live) end
  end
  for nth = 1, #places do remember(keys[nth], tally.places[nth], newest[nth]) end
  advance(keys[1], places, schema, old)
  return { 1, places[1].to }
end

local function check_weather(KEYS, by_country, total, tally)
  check_key(by_country, 'hash')
  check_key(total, 'string')
  local stored = { total = check_value(total, redis.call('GET', total), '^%d+$'), of = {} }
  check_both(by_country, redis.call('EXISTS', by_country) == 1, total, stored.total)
  for at = 1, #tally.countries, 2 do
    stored.of[at] = check_value(by_country, redis.call('HGET', by_country, tally.countries[at]), '^%d+$')
  end
  for at = PLACE_KEYS + 3, #KEYS do
    check_type(KEYS[at], 'hash')
    permit('HSET', KEYS[at], '0', 'x')
    permit('PEXPIREAT', KEYS[at], '1')
  end
  return stored
end

-- KEYS: those of `place_keys`, reports by country, total of reports, then one per report.
-- ARGV: those of `place_of`, milliseconds to live of a report, tally as JSON.
-- Returns as `apply_sales`.
local function apply_weather(KEYS, ARGV)
  local keys, place, schema = place_keys(KEYS), place_of(ARGV), cjson.decode(ARGV[1])
  local refused, old = refuse(KEYS, keys, place, schema)
  if refused then return refused end
  local by_country, total, tally = KEYS[PLACE_KEYS + 1], KEYS[PLACE_KEYS + 2], cjson.decode(ARGV[8])
  local newest = check_keys(keys)
  local stored = check_weather(KEYS, by_country, total, tally)
  begin(keys, place)
  for at = 1, #tally.countries, 2 do
    local country, count = tally.countries[at], tally.countries[at + 1]
    redis.call('HSET', by_country, country, add(stored.of[at] or '0', count))
    stored.total = add(stored.total or '0', count)
  end
  if stored.total then redis.call('SET', total, stored.total) end
  for at, report in ipairs(tally.reports) do
    local key = KEYS[PLACE_KEYS + 2 + at]
    redis.call('HSET', key, 'description', report[2], 'country', report[3], 'weather', report[4], 'timestamp', report[1])
    redis.call('PEXPIREAT', key, string.format('%.0f', tonumber(report[1]) + tonumber(ARGV[7])))
  end
  remember(keys, tally.places[1], newest)
  advance(keys, { place }, schema, old)
  return { 1, place.to }
end

-- Marks a partition as stopped, for good, if its position is the given one.
-- KEYS: those of `place_keys`. ARGV: those of `place_of`, reason.
local function stop(KEYS, ARGV)
  local keys, place = place_keys(KEYS), place_of(ARGV)
  local refused = refuse(KEYS, keys, place, cjson.decode(ARGV[1]))
  if refused then return refused end
  redis.call('HSET', keys.stopped, place.partition, ARGV[7])
  return { 1, place.to }
end

-- Moves a position, and takes the mark of a stop and the last record's identity away. The partition is stopped from the
-- first write to the last: a part of this counts nothing, and can be resumed again. Idempotency keys of records that come
-- again under other offsets stay counted: the empty key's event says below which offset.
-- KEYS: those of `place_keys`. ARGV: those of `place_of`, without a last record.
local function resume(KEYS, ARGV)
  local keys, place, schema = place_keys(KEYS), place_of(ARGV), cjson.decode(ARGV[1])
  local stored = check_place(KEYS, keys, place, schema)
  for _, key in ipairs({ keys.stopped, keys.last }) do permit('HDEL', key, '0') end
  check_key(keys.events, 'hash')
  if stored ~= place.from then return { 0, stored } end
  local old = check_begun(keys)
  local below = check_value(keys.events, redis.call('HGET', keys.events, ''), '^%d+$') or '0'
  local has_keys = redis.call('EXISTS', keys.events) == 1
  redis.call('HSET', keys.stopped, place.partition, 'only a part of a resume, from ' .. place.from .. ' to ' .. place.to .. ', is in the store')
  if tonumber(place.to) < tonumber(place.from) and has_keys then
    redis.call('HSET', keys.events, '', string.format('%.0f', math.max(tonumber(below), tonumber(place.from))))
  end
  advance(keys, { place }, schema, old)
  redis.call('HDEL', keys.last, place.partition)
  redis.call('HDEL', keys.stopped, place.partition)
  return { 1, place.to }
end

redis.register_function('blackfriday_DIGEST_apply_sales', apply_sales)
redis.register_function('blackfriday_DIGEST_apply_weather', apply_weather)
redis.register_function('blackfriday_DIGEST_stop', stop)
redis.register_function('blackfriday_DIGEST_resume', resume)
