-- Stands before the scripts about the user agent's sessions. They are spread over buckets. KEYS[1] is the bucket's index, a
-- sorted set whose members all have score 0 and are read in their order: "i <id>", "a <application> <id>",
-- "e <expiry> <id>", and for one that has not ended "l <end of lease> <id>", "p <pod> <id>"; times in milliseconds.
-- KEYS[2...] are records, hashes. The rules are those of wigwag/store/agent_session_rules.py.

local LONGEST_LEASE = 60
local KEPT_FOR_SWEEP = 3600

-- As many digits for all, so that the order of texts is that of times.
local function padded(milliseconds)
  return string.format('%015.0f', math.max(0, math.min(milliseconds, 999999999999999)))
end

local function lease_end(seconds)
  return math.ceil((now + math.min(tonumber(seconds), LONGEST_LEASE)) * 1000)
end

local function is_over(lease_until)
  return lease_until <= math.floor(now * 1000)
end

-- What is there of a record but its content, expired or not; nil when nothing is.
local function load_agent(key)
  local kept = redis.call('HMGET', key, 'application', 'pod', 'token', 'lease_until', 'lease', 'ended', 'expires_at')
  if not kept[1] then
    return nil
  end
  return {
    application = kept[1], pod = kept[2], token = tonumber(kept[3]), lease_until = tonumber(kept[4]), lease = kept[5],
    ended = kept[6] == '1', expires_at = kept[7]
  }
end

local function load_live_agent(key)
  local agent = load_agent(key)
  return agent and is_live(agent.expires_at) and agent or nil
end

-- What a caller is told of it.
local function answer_of(key)
  return redis.call('HMGET', key, 'application', 'content', 'pod', 'token', 'lease_until', 'ended', 'expires_at')
end

local function copy_of(agent)
  local copy = {}
  for name, value in pairs(agent) do
    copy[name] = value
  end
  return copy
end

local function set_owner(agent, pod, token, lease)
  agent.pod, agent.token, agent.lease_until, agent.lease = pod, token, lease_end(lease), lease
end

-- Never later than its term from now, should the clock have been set back. Returns whether that changed it.
local function bound_lease(agent)
  local latest = lease_end(agent.lease)
  if agent.lease_until <= latest then
    return false
  end
  agent.lease_until = latest
  return true
end

local function members_of(id, agent)
  local members = {
    'i ' .. id, 'a ' .. agent.application .. ' ' .. id,
    'e ' .. padded(math.ceil(tonumber(agent.expires_at) * 1000)) .. ' ' .. id
  }
  if not agent.ended then
    table.insert(members, 'l ' .. padded(agent.lease_until) .. ' ' .. id)
    if agent.pod ~= '' then
      table.insert(members, 'p ' .. agent.pod .. ' ' .. id)
    end
  end
  return members
end

-- The members of the one that are not members of the other.
local function without(members, others)
  local known, rest = {}, {}
  for _, member in ipairs(others) do
    known[member] = true
  end
  for _, member in ipairs(members) do
    if not known[member] then
      table.insert(rest, member)
    end
  end
  return rest
end

-- Entries that are wanted no more go last: after a write that needs no memory Redis lets a script have memory that there
-- is not.
local function write_index(id, before, after)
  local old, new = before and members_of(id, before) or {}, members_of(id, after)
  local added = {}
  for _, member in ipairs(without(new, old)) do
    table.insert(added, '0')
    table.insert(added, member)
  end
  if #added > 0 then
    redis.call('ZADD', KEYS[1], unpack(added))
  end
  local removed = without(old, new)
  if #removed > 0 then
    redis.call('ZREM', KEYS[1], unpack(removed))
  end
end

-- Writes what differs from "before"; the content only if there is one.
local function write_agent(key, id, before, after, content)
  local fields = {
    'application', after.application, 'pod', after.pod, 'token', integer(after.token),
    'lease_until', integer(after.lease_until), 'lease', after.lease, 'ended', after.ended and '1' or '',
    'expires_at', after.expires_at
  }
  if content then
    table.insert(fields, 'content')
    table.insert(fields, content)
  end
  redis.call('HSET', key, unpack(fields))
  write_index(id, before, after)
  if not before or before.expires_at ~= after.expires_at then
    local seconds = tonumber(after.expires_at) - now + KEPT_FOR_SWEEP
    keep(key, seconds)
    keep(KEYS[1], seconds)
  end
end
