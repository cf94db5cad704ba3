-- ARGV: 2 id, 3 application, 4 pod, 5 token, 6 lease, 7 expiry, 8 content.
-- Answers {token, end of lease}; nil when there is one.

local known = load_agent(KEYS[2])
if known and is_live(known.expires_at) then
  return nil
end
local agent = {application = ARGV[3], ended = false, expires_at = ARGV[7]}
set_owner(agent, ARGV[4], tonumber(next_epoch(tonumber(ARGV[5]))), ARGV[6])
write_agent(KEYS[2], ARGV[2], known, agent, ARGV[8])
return {integer(agent.token), integer(agent.lease_until)}
