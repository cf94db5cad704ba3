-- KEYS: 1 when each pod was seen (sorted set), 2 what the pods are (hash), 3 their status (hash).
-- ARGV: 2 pod id, 3 what it is. Answers {now, {pod id, when it was seen, ...}, {pod id, what it is, ...}}.

redis.call('HSET', KEYS[2], ARGV[2], ARGV[3])
redis.call('ZADD', KEYS[1], float(now), ARGV[2])
for _, pod in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', '(' .. float(now - FORGOTTEN_AFTER))) do
  redis.call('ZREM', KEYS[1], pod)
  redis.call('HDEL', KEYS[2], pod)
  redis.call('HDEL', KEYS[3], pod)
end
-- The clock was set back: a dead pod must not look alive until it has caught up.
for _, pod in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '(' .. float(now), '+inf')) do
  redis.call('ZADD', KEYS[1], float(now), pod)
end
for _, key in ipairs(KEYS) do
  keep(key, FORGOTTEN_AFTER)
end
return {float(now), redis.call('ZRANGE', KEYS[1], 0, -1, 'WITHSCORES'), redis.call('HGETALL', KEYS[2])}
