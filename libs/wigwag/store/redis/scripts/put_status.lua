-- KEYS as for a beat. ARGV: 2 pod id, 3 document. A pod that never beat is forgotten like one that did.

redis.call('ZADD', KEYS[1], 'NX', float(now), ARGV[2])
redis.call('HSET', KEYS[3], ARGV[2], ARGV[3])
keep(KEYS[1], FORGOTTEN_AFTER)
keep(KEYS[3], FORGOTTEN_AFTER)
return nil
