#!lua
-- Changes the names of one host in a room, and tells the other hosts.
-- KEYS: the names of the host, the hosts of the room
-- ARGV: what to do (`all`: forget the names before and set these, `more`: set these as well, `+`: set one name,
-- `-`: remove one); the host; the channel; the time in ms after which they are forgotten; then names, each followed by
-- its information
local what, name = ARGV[1], ARGV[5]
if what == 'all' then redis.call('DEL', KEYS[1]) end
if what == '-' then
  redis.call('HDEL', KEYS[1], name)
else
  for at = 5, #ARGV, 2 do redis.call('HSET', KEYS[1], ARGV[at], ARGV[at + 1]) end
end
if redis.call('EXISTS', KEYS[1]) == 1 then
  redis.call('PEXPIRE', KEYS[1], ARGV[4])
  redis.call('SADD', KEYS[2], ARGV[2])
  redis.call('PEXPIRE', KEYS[2], ARGV[4])
else
  redis.call('SREM', KEYS[2], ARGV[2])
end
local news = 'P ' .. ARGV[2] .. ' ='
if what == '+' or what == '-' then
  news = 'P ' .. ARGV[2] .. ' ' .. what .. ' ' .. string.len(name) .. '\n' .. name .. ARGV[6]
end
redis.call('PUBLISH', ARGV[3], news)
return 'OK'
