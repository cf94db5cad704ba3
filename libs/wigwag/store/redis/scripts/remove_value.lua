-- Forgets a value if it is this one. ARGV: 2 name, 3 value.

if get_value(ARGV[2]) == ARGV[3] then
  redis.call('HDEL', KEYS[1], ARGV[2])
end
return nil
