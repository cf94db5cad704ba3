-- KEYS[1] are the conversations that an address has, by expiry. ARGV: 2 the conversation's key, 3 empty, or seconds: it is
-- left when somebody has it for longer than that from now.

local known = redis.call('ZSCORE', KEYS[1], ARGV[2])
if known and (ARGV[3] == '' or tonumber(known) <= now + tonumber(ARGV[3])) then
  redis.call('ZREM', KEYS[1], ARGV[2])
end
return nil
