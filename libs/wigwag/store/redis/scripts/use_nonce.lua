-- KEYS[1] is a nonce's window, "<highest count> <bits of the 32 up to it> <expiry>". ARGV: 2 count, 3 expiry.
-- Answers 1, nil when the count must not be taken.

local nc, expires_at = tonumber(ARGV[2]), ARGV[3]
if not is_live(expires_at) then
  return nil
end
local highest, seen = 0, 0
local kept = redis.call('GET', KEYS[1])
if kept then
  local known, bits, known_expiry = string.match(kept, '^(%d+) (%-?%d+) (%S+)$')
  if is_live(known_expiry) then
    highest, seen, expires_at = tonumber(known), tonumber(bits), later(known_expiry, expires_at)
  end
end

local ahead = nc - highest
if ahead > 0 then
  highest = nc
  seen = bit.bor(ahead < 32 and bit.lshift(seen, ahead) or 0, 1)
elseif ahead <= -32 or bit.band(bit.rshift(seen, -ahead), 1) == 1 then
  return nil
else
  seen = bit.bor(seen, bit.lshift(1, -ahead))
end
redis.call('SET', KEYS[1], integer(highest) .. ' ' .. integer(seen) .. ' ' .. expires_at, 'KEEPTTL')
keep(KEYS[1], expires_at - now)
return 1
