-- Stands before the scripts about sessions. ARGV[2] is the channel of notices, ARGV[3] the session's id.
-- KEYS[1] is its record, a hash; KEYS[2] its peers.

local function tell(epoch, pod)
  redis.call('PUBLISH', ARGV[2], cjson.encode({ARGV[3], integer(epoch), pod}))
end

-- The record as pairs and by name; nil when there is none or it has expired.
local function load_record()
  local pairs_of = redis.call('HGETALL', KEYS[1])
  if #pairs_of == 0 then
    return nil
  end
  local record = {}
  for i = 1, #pairs_of, 2 do
    record[pairs_of[i]] = pairs_of[i + 1]
  end
  if not is_live(record.expires_at) then
    redis.call('DEL', KEYS[1])
    return nil
  end
  record.epoch = tonumber(record.epoch)
  return record, pairs_of
end

local function takes_over(current, pod, connection)
  return current ~= nil and (current.pod ~= pod or current.connection ~= connection)
end

local function write_record(fields, expires_at)
  redis.call('DEL', KEYS[1])
  redis.call('HSET', KEYS[1], unpack(fields))
  keep(KEYS[1], expires_at - now)
end

local function end_record(record)
  redis.call('DEL', KEYS[1], KEYS[2])
  tell(record.epoch, '')
end
