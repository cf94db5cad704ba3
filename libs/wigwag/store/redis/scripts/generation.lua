-- KEYS[1] is a marker that lives as long as what else this server holds. ARGV: 2 its value if it has none.
-- Answers the marker and the server's run id: a primary that took over may lack the last writes.

redis.call('SET', KEYS[1], ARGV[2], 'NX')
keep(KEYS[1], LEASE_REMEMBERED)
local info = redis.pcall('INFO', 'server')
local run = type(info) == 'string' and string.match(info, 'run_id:(%w+)') or ''
return redis.call('GET', KEYS[1]) .. '.' .. run
