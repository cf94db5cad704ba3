-- ARGV: 2 id, 3 application, 4 pod, 5 token, 6 lease, 7 ended ("1"), 8 expiry, 9 content.
-- Answers 1 when it is the caller's no more.

if not is_live(ARGV[8]) then
  return nil
end
local token, is_ended = tonumber(ARGV[5]), ARGV[7] == '1'
local known = load_agent(KEYS[2])
if known and is_live(known.expires_at) then
  if known.token > token or (known.ended and known.token == token and not is_ended) then
    return 1
  end
end
local agent = {application = ARGV[3], ended = is_ended, expires_at = ARGV[8]}
set_owner(agent, is_ended and '' or ARGV[4], token, ARGV[6])
if is_ended then
  agent.lease_until = 0
elseif agent.pod == '' then
  agent.lease_until = math.floor(now * 1000)
end
write_agent(KEYS[2], ARGV[2], known, agent, ARGV[9])
return nil
