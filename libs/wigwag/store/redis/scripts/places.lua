-- KEYS[1] are the conversations that an address has, by expiry. Answers the keys of those that have not expired.

return redis.call('ZRANGEBYSCORE', KEYS[1], '(' .. float(now - MARGIN), '+inf')
