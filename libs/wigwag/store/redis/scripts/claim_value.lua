-- Sets a value unless another one is there. ARGV: 2 name, 3 value, 4 expiry, 5 most names, 6 "1" when the value that is
-- there shall live on with the new expiry, 7 the value that may be replaced, if any.
-- Answers the value in force; nil when there would be too many names.

local known = get_value(ARGV[2])
if not known and not has_room(tonumber(ARGV[5])) then
  return nil
end
if not known or known == ARGV[3] or known == ARGV[7] then
  put_value(ARGV[2], ARGV[3], ARGV[4])
  return ARGV[3]
end
if ARGV[6] == '1' then
  put_value(ARGV[2], known, ARGV[4])
end
return known
