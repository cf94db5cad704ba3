-- ARGV: 2 key, 3 generation that is known as over, 4 seconds to keep it, 5... names and values.
-- Answers {"1" when it is the caller's, the conversation as it stands}.

local after, known = tonumber(ARGV[3]), load_conversation()
if known and not known.is_closed and known.generation > after then
  return {'', answer()}
end
write_conversation(5, tonumber(ARGV[4]))
local generation = next_epoch(math.max(known and known.generation or 0, after))
redis.call('HSET', KEYS[1], 'generation', generation, 'created_at', float(now))
return {'1', answer()}
