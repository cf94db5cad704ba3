-- ARGV: 2 token. The token stays known, so that the next one is higher.

local kept = redis.call('HMGET', KEYS[1], 'token', 'until')
if kept[1] == ARGV[2] then
  redis.call('HSET', KEYS[1], 'until', float(math.min(tonumber(kept[2]), now)), 'seconds', '0')
end
return nil
