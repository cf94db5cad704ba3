-- Tidies up behind a member of the index. ARGV: 2 the record's id, 3 the member. Answers 1 when it was wrong.

local agent = load_agent(KEYS[2])
if agent and is_live(agent.expires_at) then
  local before = copy_of(agent)
  if bound_lease(agent) then
    write_agent(KEYS[2], ARGV[2], before, agent)
  end
  return #without({ARGV[3]}, members_of(ARGV[2], agent)) > 0 and redis.call('ZREM', KEYS[1], ARGV[3]) >= 0 and 1 or nil
end
if agent then
  redis.call('ZREM', KEYS[1], unpack(members_of(ARGV[2], agent)))
  redis.call('DEL', KEYS[2])
end
redis.call('ZREM', KEYS[1], ARGV[3], 'i ' .. ARGV[2])
return 1
