-- ARGV: 4 must exist ("1"), 5 resume window, 6 dead since (or empty), 7 the record's own epoch, 8 expiry, 9 pod,
-- 10 connection, 11 uri, 12 created, 13 fencing token, 14... all other fields in pairs.
-- Answers nil, "fenced", "ended", or {epoch, pairs it replaced}.

local function is_lapsed(current)
  local since
  if current.state == 'suspended' then
    since = tonumber(current.suspended_at)
  elseif ARGV[6] ~= '' and current.pod ~= ARGV[9] then
    since = tonumber(ARGV[6])
  end
  return since ~= nil and math.max(0, now - since) >= tonumber(ARGV[5])
end

local current, previous = load_record()
if not current and ARGV[4] == '1' then
  return nil
end
if current and tonumber(current.fencing_token or '0') > tonumber(ARGV[13]) then
  return 'fenced'
end
if current and is_lapsed(current) then
  end_record(current)
  return 'ended'
end

local uri, created, known = ARGV[11], ARGV[12], tonumber(ARGV[7])
if current then
  uri, created, known = current.uri, current.created, math.max(known, current.epoch)
end
local epoch = next_epoch(known)
local fields = {
  'epoch', epoch, 'state', 'active', 'suspended_at', '0', 'expires_at', ARGV[8], 'pod', ARGV[9],
  'connection', ARGV[10], 'uri', uri, 'created', created, 'fencing_token', ARGV[13],
  unpack(ARGV, 14)
}
write_record(fields, ARGV[8])
if takes_over(current, ARGV[9], ARGV[10]) then
  tell(epoch, ARGV[9])
end
return {epoch, previous or {}}
