-- A binding is written again. ARGV: 4 Call-ID, 5 CSeq, 6 time of writing, 7 key, 8 expiry, 9 flow, 10 body.
-- Answers 1 when something newer is known.

local binding = {
  call_id = ARGV[4], cseq = tonumber(ARGV[5]), updated_at = tonumber(ARGV[6]), key = ARGV[7],
  expires_at = tonumber(ARGV[8]), flow = ARGV[9], body = ARGV[10]
}

local function is_newer(known, is_binding)
  if known.call_id == binding.call_id and known.cseq ~= binding.cseq then
    return known.cseq > binding.cseq
  end
  if known.updated_at ~= binding.updated_at then
    return known.updated_at > binding.updated_at
  end
  return is_binding and known.expires_at > binding.expires_at
end

local function is_removed(removals)
  for _, key in ipairs({binding.key, EVERY}) do
    local removal = find(removals, key)
    if removal and is_newer(removal, false) then
      return true
    end
  end
  return false
end

local kept = load_kept()
local current, index = find(kept.bindings, binding.key)
if binding.expires_at <= now or (current and entry_text(current) == entry_text(binding)) then
  return nil
end
-- What is there came after any removal.
if current and is_newer(current, true) or not current and is_removed(kept.removals) then
  return 1
end
local version = next_version(math.max(kept.version, math.floor(binding.updated_at * 1000 + 0.5)))
local bindings = without(kept.bindings, {})
bindings[index or #bindings + 1] = binding
save(kept, {version = version, bindings = bindings, removals = kept.removals})
return nil
