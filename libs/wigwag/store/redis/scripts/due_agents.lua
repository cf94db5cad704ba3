-- Reads the index, which alone is there. ARGV: 2 most.
-- Answers members of leases that have run out, and of what has to be looked at: expired, or a lease from a wrong clock.

local function between(first, last, most)
  return redis.call('ZRANGEBYLEX', KEYS[1], first, last, 'LIMIT', 0, most)
end

local expired = between('[e ', '(e ' .. padded(math.floor((now - MARGIN) * 1000)), 100)
local wrong = between('(l ' .. padded(math.ceil((now + LONGEST_LEASE) * 1000)) .. '!', '(l!', 100)
for _, member in ipairs(wrong) do
  table.insert(expired, member)
end
return {between('[l ', '(l ' .. padded(math.floor(now * 1000) + 1), ARGV[2]), expired}
