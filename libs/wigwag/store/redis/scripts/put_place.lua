-- KEYS[1] are the conversations that an address has, by expiry. ARGV: 2 the conversation's key, 3 seconds until it expires.

local seconds = tonumber(ARGV[3])
redis.call('ZADD', KEYS[1], float(now + seconds), ARGV[2])
keep(KEYS[1], seconds)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', float(now - MARGIN))
return nil
