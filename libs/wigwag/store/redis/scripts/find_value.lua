-- ARGV: 2 name. Answers the value or nil.

return (get_value(ARGV[2]))
