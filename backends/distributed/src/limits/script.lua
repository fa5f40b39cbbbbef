-- The limiter's one script: looks at every rule of a request, then acts on all of them or on none.
--
-- KEYS: a sorted set per rule. Its members are units of slots ("slot:unit"), their scores the time
--       they were taken at, in microseconds.
-- ARGV: verb ("take", "charge" or "give-back"), slot, now ("" for this server's own time), then per
--       rule: quota, window in microseconds, cost.
-- Gives back how many units were added or removed, and per rule: what is left of the quota, in how many microseconds more is, and in how many
--       there is room for the cost (0 where there is). Whole numbers, which doubles hold exactly.
local verb, slot, now = ARGV[1], ARGV[2], tonumber(ARGV[3])
if not now then
  local time = redis.call('TIME')
  now = time[1] * 1000000 + time[2]
end

local function rule(i)
  local at = 3 * i + 1
  local quota = tonumber(ARGV[at])
  return quota, tonumber(ARGV[at + 1]), math.min(tonumber(ARGV[at + 2]), quota)
end

-- In how many microseconds so many of the oldest are a window old.
local function free_in(key, window, count)
  if count < 1 then return 0 end
  local last = redis.call('ZRANGE', key, count - 1, count - 1, 'WITHSCORES')
  return last[2] and last[2] + window - now or 0
end

local plans, refused = {}, false
for i, key in ipairs(KEYS) do
  local quota, window, cost = rule(i)
  local used, units = redis.call('ZCARD', key), {}
  -- Most clients come for the first time in a while: of what is empty nothing more is asked.
  if used > 0 then
    local expired = string.format('%.0f', now - window)
    used = used - redis.call('ZREMRANGEBYSCORE', key, '-inf', expired)
  end
  for unit = 0, cost - 1 do
    local member = slot .. ':' .. unit
    local counted = used > 0 and redis.call('ZSCORE', key, member) ~= false
    if counted == (verb == 'give-back') then units[#units + 1] = member end
  end
  local excess = 0
  if verb == 'take' and #units > 0 then excess = math.max(0, used + #units - quota) end
  if verb == 'charge' then
    for _ = math.max(0, quota - used) + 1, #units do units[#units] = nil end
  end
  refused = refused or excess > 0
  plans[i] = { used = used, units = units, excess = excess }
end

local answer = { 0 }
for i, key in ipairs(KEYS) do
  local quota, window = rule(i)
  local used, units, excess = plans[i].used, plans[i].units, plans[i].excess
  -- In how many microseconds the oldest is a window old.
  local reset = 0
  if not refused and #units > 0 then
    answer[1] = answer[1] + #units
    if verb == 'give-back' then
      redis.call('ZREM', key, unpack(units))
      used = used - #units
    else
      local scored = {}
      for _, member in ipairs(units) do
        scored[#scored + 1] = string.format('%.0f', now)
        scored[#scored + 1] = member
      end
      redis.call('ZADD', key, unpack(scored))
      if used == 0 then reset = window end
      used = used + #units
    end
    -- A moment longer than it can count: a log that nobody asks for goes away by itself.
    redis.call('PEXPIRE', key, math.ceil(window / 1000) + 1000)
  end
  if used > 0 and reset == 0 then reset = free_in(key, window, 1) end
  answer[#answer + 1] = math.max(0, quota - used)
  answer[#answer + 1] = reset
  answer[#answer + 1] = free_in(key, window, excess)
end
return answer
