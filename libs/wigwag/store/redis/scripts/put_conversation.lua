-- ARGV: 2 key, 3 seconds to keep it, 4... names and values. Answers it as it stands.

local known, new = load_conversation(), {}
for i = 4, #ARGV, 2 do
  new[ARGV[i]] = ARGV[i + 1]
end
local generation = tonumber(new.generation)
-- What was closed stays as it was; only how often it failed may be written once more.
local is_same = known and known.is_closed and new.state == 'closed' and redis.call('HGET', KEYS[1], 'reason') == new.reason
  and redis.call('HGET', KEYS[1], 'closed_at') == new.closed_at
if not known or known.generation < generation or (known.generation == generation and (is_same or not known.is_closed)) then
  write_conversation(4, tonumber(ARGV[3]))
end
return answer()
