-- KEYS: 1 a marker that lives as long as what else this server holds, 2 the server's run id and since when it has been
-- so. ARGV: 2 the marker's value if it has none. Answers {the marker and the run id, for how many seconds}: a primary
-- that took over may lack the last writes.

local is_new = redis.call('SET', KEYS[1], ARGV[2], 'NX')
local info = redis.pcall('INFO', 'server')
local run = type(info) == 'string' and string.match(info, 'run_id:(%w+)') or ''
local known, since = string.match(redis.call('GET', KEYS[2]) or '', '^(%w*) (.+)$')
since = tonumber(since)
if is_new or known ~= run or not since or since > now then
  since = now
  redis.call('SET', KEYS[2], run .. ' ' .. float(now))
end
for _, key in ipairs(KEYS) do
  keep(key, LEASE_REMEMBERED)
end
return {redis.call('GET', KEYS[1]) .. '.' .. run, float(now - since)}
