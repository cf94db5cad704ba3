-- KEYS[2...] are records. ARGV: 2 pod, 3 lease, then for each record its id and the caller's token.
-- Answers the ids of those that are the caller's no more.

local lost = {}
for i = 2, #KEYS do
  local id, token = ARGV[2 * i], tonumber(ARGV[2 * i + 1])
  local agent = load_live_agent(KEYS[i])
  if agent and (agent.ended or agent.token > token or (agent.token == token and agent.pod ~= ARGV[2])) then
    table.insert(lost, id)
  elseif agent then
    local before = copy_of(agent)
    set_owner(agent, ARGV[2], token, ARGV[3])
    write_agent(KEYS[i], id, before, agent)
  end
end
return lost
