-- ARGV: 2 key, 3 seconds to keep it, 4... names and values. Answers it as it stands.

local known, generation = load_conversation(), nil
for i = 4, #ARGV, 2 do
  generation = ARGV[i] == 'generation' and tonumber(ARGV[i + 1]) or generation
end
if not known or known.generation < generation or (known.generation == generation and not known.is_closed) then
  write_conversation(4, tonumber(ARGV[3]))
end
return answer()
