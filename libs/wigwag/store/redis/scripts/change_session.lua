-- Extends or suspends a session. ARGV: 4 the caller's epoch, 5 the new expiry, or empty to suspend.
-- Answers nil, or why not: the epoch there, or "none".

local record = load_record()
if not record then
  return 'none'
end
if record.epoch > tonumber(ARGV[4]) then
  return integer(record.epoch)
end
if ARGV[5] ~= '' then
  redis.call('HSET', KEYS[1], 'expires_at', ARGV[5])
  keep(KEYS[1], ARGV[5] - now)
elseif record.state == 'active' then
  redis.call('HSET', KEYS[1], 'state', 'suspended', 'suspended_at', float(now))
  tell(record.epoch, record.pod)
end
return nil
