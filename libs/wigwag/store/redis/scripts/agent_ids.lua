-- Reads the index, which alone is there. ARGV: 2 what members begin with, but for the blank, 3 id to begin behind, 4 most.

return redis.call('ZRANGEBYLEX', KEYS[1], '(' .. ARGV[2] .. ' ' .. ARGV[3], '(' .. ARGV[2] .. '!', 'LIMIT', 0, ARGV[4])
