-- ARGV: 4 the caller's epoch. Answers nil, or the epoch there when it is higher.

local record = load_record()
if not record then
  return nil
end
if record.epoch > tonumber(ARGV[4]) then
  return integer(record.epoch)
end
end_record(record)
return nil
