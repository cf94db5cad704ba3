-- ARGV: 4... keys, each once; "*" alone: all. Answers as "answer" does, nil when nothing was in force.

local names = {}
for i = 4, #ARGV do
  table.insert(names, ARGV[i])
end
local kept = load_kept()
local left = save(kept, remove(kept, names))
return #kept.bindings > 0 and left or nil
