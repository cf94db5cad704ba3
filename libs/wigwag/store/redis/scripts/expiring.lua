-- Stands before the scripts about a hash of values that expire: "<expiry> <value>" by name. KEYS[1] is the hash.

local function expiry_and_value(kept)
  return string.match(kept, '^(%S+) (.*)$')
end

local function get_value(name)
  local kept = redis.call('HGET', KEYS[1], name)
  if not kept then
    return nil
  end
  local expires_at, value = expiry_and_value(kept)
  if not is_live(expires_at) then
    redis.call('HDEL', KEYS[1], name)
    return nil
  end
  return value, expires_at
end

local function put_value(name, value, expires_at)
  local _, known = get_value(name)
  expires_at = later(known or expires_at, expires_at)
  redis.call('HSET', KEYS[1], name, expires_at .. ' ' .. value)
  keep(KEYS[1], expires_at - now)
end

-- Looks at all values only when there are too many.
local function has_room(most)
  local count = redis.call('HLEN', KEYS[1])
  if count < most then
    return true
  end
  local all = redis.call('HGETALL', KEYS[1])
  for i = 1, #all, 2 do
    if not is_live(expiry_and_value(all[i + 1])) then
      redis.call('HDEL', KEYS[1], all[i])
      count = count - 1
    end
  end
  return count < most
end
