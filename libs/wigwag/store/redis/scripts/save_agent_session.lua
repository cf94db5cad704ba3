-- ARGV: 2 id, 3 token, 4 expiry, 5 content. Answers nil, or why not: "none", "ended", or the token there.

local agent = load_live_agent(KEYS[2])
if not agent then
  return 'none'
end
if agent.token > tonumber(ARGV[3]) then
  return integer(agent.token)
end
if agent.ended then
  return 'ended'
end
local before = copy_of(agent)
agent.expires_at = ARGV[4]
write_agent(KEYS[2], ARGV[2], before, agent, ARGV[5])
return nil
