-- ARGV: 4 key, 5 flow, 6 "1" to remove the binding. Answers 1, nil when it is not the binding's flow.

local kept = load_kept()
local binding, index = find(kept.bindings, ARGV[4])
if not binding or binding.flow ~= ARGV[5] then
  return nil
end
if ARGV[6] == '1' then
  save(kept, remove(kept, {ARGV[4]}))
  return 1
end
local version = next_version(kept.version)
local bindings = without(kept.bindings, {})
bindings[index] = {
  key = binding.key, call_id = binding.call_id, cseq = binding.cseq, expires_at = binding.expires_at,
  updated_at = version / 1000, flow = '', body = binding.body
}
save(kept, {version = version, bindings = bindings, removals = kept.removals})
return 1
