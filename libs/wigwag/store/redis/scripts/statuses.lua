-- KEYS[1] is the pods' status. Answers {pod id, document, ...}.

return redis.call('HGETALL', KEYS[1])
