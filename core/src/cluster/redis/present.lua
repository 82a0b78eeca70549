#!lua
-- Changes the names of one host in a room, and tells the other hosts.
-- KEYS: the names of the host, the versions of the names of each host in the room
-- ARGV: what to do (`all`: forget the names before and set these, `more`: set these as well, `+`: set one name,
-- `-`: remove one); the host; the version; the channel; the time in ms after which they are forgotten; then names,
-- each followed by its information
local what, host, version, name = ARGV[1], ARGV[2], ARGV[3], ARGV[6]
local before = redis.call('HGET', KEYS[2], host) or '0'
if what == 'all' then redis.call('DEL', KEYS[1]) end
if what == '-' then
  redis.call('HDEL', KEYS[1], name)
else
  for at = 6, #ARGV, 2 do redis.call('HSET', KEYS[1], ARGV[at], ARGV[at + 1]) end
end
if redis.call('EXISTS', KEYS[1]) == 1 then
  redis.call('PEXPIRE', KEYS[1], ARGV[5])
  redis.call('HSET', KEYS[2], host, version)
  redis.call('PEXPIRE', KEYS[2], ARGV[5])
else
  version = '0'
  redis.call('HDEL', KEYS[2], host)
end
local news = 'P ' .. host .. ' ' .. before .. ' ' .. version
if what == '+' or what == '-' then
  news = news .. ' ' .. what .. ' ' .. string.len(name) .. '\n' .. name .. ARGV[7]
end
redis.call('PUBLISH', ARGV[4], news)
return 'OK'
