-- ARGV: 2 id, 3 pod, 4 lease, 5... pods that are dead. Answers the session as it stands then, nil when there is none.

local agent = load_live_agent(KEYS[2])
if not agent then
  return nil
end
local before = copy_of(agent)
local is_changed = bound_lease(agent)
local is_free = agent.pod == '' or agent.pod == ARGV[3] or is_over(agent.lease_until)
for i = 5, #ARGV do
  is_free = is_free or agent.pod == ARGV[i]
end
if is_free and not agent.ended then
  set_owner(agent, ARGV[3], tonumber(next_epoch(agent.token)), ARGV[4])
  is_changed = true
end
if is_changed then
  write_agent(KEYS[2], ARGV[2], before, agent)
end
return answer_of(KEYS[2])
