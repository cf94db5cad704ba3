-- ARGV: 4 "1" to remove all, 5... keys, each once. Answers as "answer" does, nil when nothing was in force.

local kept = load_kept()
local after
if ARGV[4] == '1' then
  after = {version = next_version(kept.version), bindings = {}}
  local forgotten = {}
  for _, removal in ipairs(kept.removals) do
    forgotten[removal.key] = true
  end
  after.removals = remembered(kept, {EVERY}, forgotten, '', 0, after.version)
else
  local names = {}
  for i = 5, #ARGV do
    table.insert(names, ARGV[i])
  end
  after = remove(kept, names)
end
local left = save(kept, after)
return #kept.bindings > 0 and left or nil
