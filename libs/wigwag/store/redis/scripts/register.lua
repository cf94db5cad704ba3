-- A REGISTER. ARGV: 4 Call-ID, 5 CSeq, 6 most bindings, 7 "1" to remove all others, 8 number of keys to remove,
-- 9... these, then key, expiry, flow and body of each binding.
-- Answers as "answer" does; {"outdated", key, its CSeq} or {"many", number of bindings} when it is refused.

local call_id, cseq, remove_all = ARGV[4], tonumber(ARGV[5]), ARGV[7] == '1'
local kept = load_kept()
local wanted, by_key, offered, gone, is_gone = {}, {}, {}, {}, {}

local function read_bindings(first)
  for i = first, #ARGV, 4 do
    local key, expires_at = ARGV[i], tonumber(ARGV[i + 1])
    table.insert(offered, key)
    if expires_at > now then
      if not by_key[key] then
        table.insert(wanted, key)
      end
      by_key[key] = {
        key = key, call_id = call_id, cseq = cseq, expires_at = expires_at, flow = ARGV[i + 2], body = ARGV[i + 3]
      }
    end
  end
end

local function remove_key(key)
  if not by_key[key] and not is_gone[key] then
    is_gone[key] = true
    table.insert(gone, key)
  end
end

local function is_repeated(binding)
  return binding.call_id == call_id and binding.cseq == cseq
end

local function first_outdated()
  for _, binding in ipairs(kept.bindings) do
    local new = by_key[binding.key]
    if (new or is_gone[binding.key]) and binding.call_id == call_id and binding.cseq >= cseq then
      if binding.cseq > cseq or not new or not same_body(new.body, binding.body) then
        return binding
      end
    end
  end
  return nil
end

-- The bindings afterwards, and whether one of them was written.
local function written(version)
  local bindings, changed = without(kept.bindings, is_gone), false
  for _, key in ipairs(wanted) do
    local new = by_key[key]
    local current, index = find(bindings, key)
    if not current or not is_repeated(current) or current.flow ~= new.flow then
      new.updated_at = version / 1000
      bindings[index or #bindings + 1] = new
      changed = true
    end
  end
  return bindings, changed
end

local last_removed = 8 + tonumber(ARGV[8])
read_bindings(last_removed + 1)
for i = 9, last_removed do
  remove_key(ARGV[i])
end
for _, key in ipairs(offered) do
  remove_key(key)
end
if remove_all then
  for _, binding in ipairs(kept.bindings) do
    remove_key(binding.key)
  end
end

local outdated = first_outdated()
if outdated then
  return {'outdated', outdated.key, integer(outdated.cseq)}
end
local version = next_version(kept.version)
local bindings, changed = written(version)
if #bindings > math.max(tonumber(ARGV[6]), #kept.bindings) then
  return {'many', #kept.bindings}
end
if #gone == 0 and not remove_all and not changed then
  return answer(kept)
end

local removals = remembered(kept, remove_all and {EVERY} or gone, call_id, cseq, version)
return save(kept, {version = version, bindings = bindings, removals = removals})
