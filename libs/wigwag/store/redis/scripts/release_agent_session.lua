-- ARGV: 2 id, 3 token.

local agent = load_live_agent(KEYS[2])
if not agent or agent.ended or agent.pod == '' or agent.token > tonumber(ARGV[3]) then
  return nil
end
local before = copy_of(agent)
agent.pod, agent.token = '', tonumber(ARGV[3])
agent.lease_until = math.min(agent.lease_until, math.floor(now * 1000))
write_agent(KEYS[2], ARGV[2], before, agent)
return nil
