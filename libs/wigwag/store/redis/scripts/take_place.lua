-- KEYS[1] are the conversations that an address has, by expiry. ARGV: 2 the conversation's key, 3 seconds for which a new
-- place is taken, 4 most. Answers nil when there is no place, "1" when it is a new one, "" when the conversation had it.

local known, until_then = redis.call('ZSCORE', KEYS[1], ARGV[2]), float(now + tonumber(ARGV[3]))
local is_known = known and is_live(known)
if not is_known and redis.call('ZCOUNT', KEYS[1], '(' .. float(now - MARGIN), '+inf') >= tonumber(ARGV[4]) then
  return nil
end
if not is_known or tonumber(known) < tonumber(until_then) then
  redis.call('ZADD', KEYS[1], until_then, ARGV[2])
  keep(KEYS[1], tonumber(ARGV[3]))
end
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', float(now - MARGIN))
return is_known and '' or '1'
