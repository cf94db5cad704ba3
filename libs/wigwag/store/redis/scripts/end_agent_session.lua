-- ARGV: 2 id, 3 token, 4 seconds to keep it, 5 content. Answers nil, or why not: "none", or the token there.

local agent = load_live_agent(KEYS[2])
if not agent then
  return 'none'
end
if agent.token > tonumber(ARGV[3]) then
  return integer(agent.token)
end
local before = copy_of(agent)
agent.pod, agent.token, agent.lease_until, agent.ended = '', tonumber(ARGV[3]), 0, true
agent.expires_at = float(now + tonumber(ARGV[4]))
write_agent(KEYS[2], ARGV[2], before, agent, ARGV[5])
return nil
