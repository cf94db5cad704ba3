-- KEYS[1] is a hash. ARGV: 2 holder, 3 seconds. Answers the token, nil when another has the lease.

local kept = redis.call('HMGET', KEYS[1], 'holder', 'token', 'until', 'seconds')
local holder, token = kept[1], kept[2] or '0'
-- Never later than a term from now, should the clock have been set back.
local till = math.min(tonumber(kept[3] or '0'), now + tonumber(kept[4] or '0'))
if holder and till > now and holder ~= ARGV[2] then
  redis.call('HSET', KEYS[1], 'until', float(till))
  return nil
end
if not holder or till <= now then
  token = next_epoch(tonumber(token))
end
redis.call('HSET', KEYS[1], 'holder', ARGV[2], 'token', token, 'until', float(now + ARGV[3]), 'seconds', ARGV[3])
keep(KEYS[1], ARGV[3] + LEASE_REMEMBERED)
return token
