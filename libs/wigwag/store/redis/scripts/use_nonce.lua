-- KEYS[1] is a nonce's window, "<highest count> <bits of the 32 up to it> <expiry> <users>"; users are "count=user;", as
-- many as there are counts in the window whose user is known. ARGV: 2 count, 3 expiry, 4 user, empty: nobody's.
-- Answers 1, nil when the count must not be taken.

local nc, expires_at, user = tonumber(ARGV[2]), ARGV[3], ARGV[4]
if not is_live(expires_at) then
  return nil
end
local highest, seen, users = 0, 0, ''
local kept = redis.call('GET', KEYS[1])
if kept then
  local known, bits, known_expiry, known_users = string.match(kept, '^(%d+) (%-?%d+) (%S+) ?(%S*)$')
  if is_live(known_expiry) then
    highest, seen, expires_at = tonumber(known), tonumber(bits), later(known_expiry, expires_at)
    users = known_users
  end
end

local ahead = nc - highest
if ahead > 0 then
  highest = nc
  seen = bit.bor(ahead < 32 and bit.lshift(seen, ahead) or 0, 1)
elseif ahead <= -32 or bit.band(bit.rshift(seen, -ahead), 1) == 1 then
  local is_his = user ~= '' and string.find(';' .. users, ';' .. integer(nc) .. '=' .. user .. ';', 1, true)
  return is_his and 1 or nil
else
  seen = bit.bor(seen, bit.lshift(1, -ahead))
end
local kept_users = user ~= '' and {integer(nc) .. '=' .. user .. ';'} or {}
for count, his in string.gmatch(users, '(%d+)=([^;]+);') do
  if highest - tonumber(count) < 32 then
    kept_users[#kept_users + 1] = count .. '=' .. his .. ';'
  end
end
local window = integer(highest) .. ' ' .. integer(seen) .. ' ' .. expires_at
redis.call('SET', KEYS[1], window .. ' ' .. table.concat(kept_users), 'KEEPTTL')
keep(KEYS[1], expires_at - now)
return 1
