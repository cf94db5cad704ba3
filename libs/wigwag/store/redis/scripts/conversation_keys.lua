-- KEYS[1] is a bucket's keys. ARGV: 2 key to begin behind, 3 most.

return redis.call('ZRANGEBYLEX', KEYS[1], '(' .. ARGV[2], '+', 'LIMIT', 0, ARGV[3])
