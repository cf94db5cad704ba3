-- Stands before the scripts about the gateway's conversations. They are spread over buckets. KEYS[1] is the record, a hash;
-- KEYS[2] the keys of the bucket's conversations that are not closed, a sorted set whose members all have score 0; KEYS[3]
-- the same by expiry. The rules are those of wigwag/store/conversation_rules.py.

local TIDIED = 10

-- What is there of it, closed or not, as far as it is looked at; nil when it is not there.
local function load_conversation()
  local kept = redis.call('HMGET', KEYS[1], 'generation', 'state', 'expires_at')
  if not kept[1] or not is_live(kept[3]) then
    return nil
  end
  return {generation = tonumber(kept[1]), is_closed = kept[2] == 'closed'}
end

-- What a caller is told of it.
local function answer()
  return redis.call('HGETALL', KEYS[1])
end

-- What has expired is no more among those that are not closed; a few each time, so that nobody has to come for it.
local function tidy()
  local expired = redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', float(now - MARGIN), 'LIMIT', 0, TIDIED)
  if #expired > 0 then
    redis.call('ZREM', KEYS[2], unpack(expired))
    redis.call('ZREM', KEYS[3], unpack(expired))
  end
end

-- Writes what ARGV says from "first" on, names and values. Removing goes last: after a write that needs no memory Redis
-- lets a script have memory that there is not.
local function write_conversation(first, seconds)
  local key, expires_at = ARGV[2], float(now + seconds)
  redis.call('HSET', KEYS[1], 'expires_at', expires_at, unpack(ARGV, first))
  keep(KEYS[1], seconds)
  if load_conversation().is_closed then
    redis.call('ZREM', KEYS[2], key)
    redis.call('ZREM', KEYS[3], key)
  else
    redis.call('ZADD', KEYS[2], '0', key)
    redis.call('ZADD', KEYS[3], expires_at, key)
    keep(KEYS[2], seconds)
    keep(KEYS[3], seconds)
  end
  tidy()
end
