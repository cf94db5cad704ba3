-- ARGV: 4 the record's epoch, 5 expiry, 6 pod, 7 connection, 8... all fields in pairs.
-- Answers the pairs of a record with a higher epoch, which stays; else none.

local current, fields = load_record()
if current and current.epoch > tonumber(ARGV[4]) then
  return fields
end
write_record({unpack(ARGV, 8)}, ARGV[5])
if takes_over(current, ARGV[6], ARGV[7]) then
  tell(ARGV[4], ARGV[6])
end
return {}
