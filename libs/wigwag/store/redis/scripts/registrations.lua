-- Stands before the scripts about SIP bindings. ARGV[2] is the channel of notices, ARGV[3] the address-of-record (AOR).
-- KEYS[1] is all that is kept of it, a string: version, number of bindings, bindings, removals. The rules are those of
-- wigwag/store/registration_rules.py. What a binding leads to is opaque here: its flow and its body,
-- but for who wrote it, the last part of a body, in which bindings that lead the same way may differ.

local REMEMBERED = 300
local MOST_REMOVALS = 16
local EVERY = '*'

-- Expiry, time of writing, CSeq; key, Call-ID, flow, body, each with its length before it.
local ENTRY = '>dddI4c0I4c0I4c0I4c0'

local function parse_entry(text, position)
  local entry = {}
  entry.expires_at, entry.updated_at, entry.cseq, entry.key, entry.call_id, entry.flow, entry.body, position =
    struct.unpack(ENTRY, text, position)
  return entry, position
end

local function entry_text(entry)
  return struct.pack(ENTRY, entry.expires_at, entry.updated_at, entry.cseq, #entry.key, entry.key, #entry.call_id,
    entry.call_id, #entry.flow, entry.flow, #entry.body, entry.body)
end

-- What is there, without what has expired.
local function load_kept()
  local kept = {version = 0, bindings = {}, removals = {}}
  local text = redis.call('GET', KEYS[1])
  if not text then
    return kept
  end
  local count, position, index, entry
  kept.version, count, position = struct.unpack('>dI4', text)
  index = 0
  while position <= #text do
    entry, position = parse_entry(text, position)
    index = index + 1
    if entry.expires_at > now then
      table.insert(index <= count and kept.bindings or kept.removals, entry)
    end
  end
  return kept
end

-- What the pods read: what is kept, without the removals.
local function answer(kept)
  local parts = {struct.pack('>dI4', kept.version, #kept.bindings)}
  for _, binding in ipairs(kept.bindings) do
    table.insert(parts, entry_text(binding))
  end
  return table.concat(parts)
end

local function find(entries, key)
  for index, entry in ipairs(entries) do
    if entry.key == key then
      return entry, index
    end
  end
  return nil
end

local function without(entries, keys)
  local left = {}
  for _, entry in ipairs(entries) do
    if not keys[entry.key] then
      table.insert(left, entry)
    end
  end
  return left
end

local function latest_expiry(entries, seconds)
  for _, entry in ipairs(entries) do
    seconds = math.max(seconds, entry.expires_at)
  end
  return seconds
end

-- An array of ten ends in the writer (two octets and its text) and its length; what an older pod wrote has none.
local WITH_WRITER = 0x9a

local function without_writer(body)
  if body:byte(1) ~= WITH_WRITER then
    return body:sub(2)
  end
  return body:sub(2, #body - body:byte(-1) - 3)
end

local function same_body(one, other)
  return one == other or without_writer(one) == without_writer(other)
end

local function leads_elsewhere(before, after)
  if #before.bindings ~= #after.bindings then
    return true
  end
  for _, binding in ipairs(after.bindings) do
    local known = find(before.bindings, binding.key)
    if not known or known.flow ~= binding.flow or not same_body(known.body, binding.body) then
      return true
    end
  end
  return false
end

-- Writes what is there now, tells the others when it leads elsewhere, and returns the answer.
local function save(before, after)
  local answered = answer(after)
  local parts = {answered}
  for _, removal in ipairs(after.removals) do
    table.insert(parts, entry_text(removal))
  end
  local latest = latest_expiry(after.removals, latest_expiry(after.bindings, now))
  local milliseconds = math.ceil((latest - now + MARGIN) * 1000)
  redis.call('SET', KEYS[1], table.concat(parts), 'PX', integer(milliseconds))
  if leads_elsewhere(before, after) then
    redis.call('PUBLISH', ARGV[2], cjson.encode({ARGV[3], integer(after.version)}))
  end
  return answered
end

local function next_version(known)
  return tonumber(next_epoch(known))
end

-- What is remembered after a removal of the named keys, for as long as they might come back.
local function remembered(kept, names, call_id, cseq, version)
  local again = {}
  for _, name in ipairs(names) do
    again[name] = true
  end
  local removals = without(kept.removals, again)
  for _, name in ipairs(names) do
    local concerned = name == EVERY and kept.bindings or {(find(kept.bindings, name))}
    table.insert(removals, {
      key = name, call_id = call_id, cseq = cseq, updated_at = version / 1000,
      expires_at = latest_expiry(concerned, now + REMEMBERED), flow = '', body = ''
    })
  end
  while #removals > MOST_REMOVALS do
    table.remove(removals, 1)
  end
  return removals
end

-- Without a request: what is there after the named bindings were removed.
local function remove(kept, names)
  local gone, version = {}, next_version(kept.version)
  for _, name in ipairs(names) do
    gone[name] = true
  end
  return {
    version = version,
    bindings = gone[EVERY] and {} or without(kept.bindings, gone),
    removals = remembered(kept, names, '', 0, version)
  }
end
