-- Forgets KEYS[1].

redis.call('DEL', KEYS[1])
return nil
