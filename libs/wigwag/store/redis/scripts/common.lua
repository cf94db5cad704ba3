-- Stands before every script. ARGV[1] is the time in seconds since the epoch, or empty: then it is this server's.
-- The rules are those of wigwag/store/rules.py.

local MARGIN = 60
local FORGOTTEN_AFTER = 3600
local LEASE_REMEMBERED = 86400

local now = tonumber(ARGV[1])
if not now then
  local time = redis.call('TIME')
  now = tonumber(time[1]) + tonumber(time[2]) / 1000000
end

-- Lua's own conversion keeps 14 digits only.
local function float(value)
  return string.format('%.17g', value)
end

local function integer(value)
  return string.format('%.0f', value)
end

local function is_live(expires_at)
  return tonumber(expires_at) + MARGIN > now
end

local function later(one, other)
  return tonumber(one) > tonumber(other) and one or other
end

local function next_epoch(previous)
  return integer(math.max(previous + 1, math.floor(now * 1000)))
end

-- The server forgets keys only some time after they count as gone, and never sooner than it was told before.
local function keep(key, seconds)
  local milliseconds = math.ceil((math.max(seconds, 0) + MARGIN) * 1000)
  if redis.call('PTTL', key) < milliseconds then
    redis.call('PEXPIRE', key, integer(milliseconds))
  end
end
