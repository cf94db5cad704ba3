-- Stands before the scripts about sessions. ARGV[2] is the channel of notices, ARGV[3] the session's id.
-- KEYS[1] is its record, a hash. Its peers are a key of their own, and a script with two keys fails while a cluster moves
-- their slot: so they are forgotten by another script, after the session.

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

-- All fields are written, so nothing is left of what was there. Not deleted first: after a write that needs no memory
-- Redis lets a script have memory that there is not.
local function write_record(fields, expires_at)
  redis.call('HSET', KEYS[1], unpack(fields))
  keep(KEYS[1], expires_at - now)
end

local function end_record(record)
  redis.call('DEL', KEYS[1])
  tell(record.epoch, '')
end
