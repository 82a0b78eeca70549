#!lua
-- Changes the names of one host in a room, and tells the other hosts.
-- KEYS: the names of the host, the versions of the names of each host in the room
-- ARGV: what to do (`all`: forget the names before and set these, `more`: set these as well, `+`: set one name,
-- `-`: remove one); the host; the version before, without which all but `all` does nothing; the version; the channel;
-- the time in ms after which they are forgotten; then names, each followed by its information
local what, host, version, name = ARGV[1], ARGV[2], ARGV[4], ARGV[7]
local before = redis.call('HGET', KEYS[2], host) or '0'
local has_names = redis.call('EXISTS', KEYS[1]) == 1
if what ~= 'all' and (before ~= ARGV[3] or has_names == (before == '0')) then return 'OTHER' end
if what == 'all' then redis.call('DEL', KEYS[1]) end
if what == '-' then
  redis.call('HDEL', KEYS[1], name)
else
  for at = 7, #ARGV, 2 do redis.call('HSET', KEYS[1], ARGV[at], ARGV[at + 1]) end
end
if redis.call('EXISTS', KEYS[1]) == 1 then
  redis.call('PEXPIRE', KEYS[1], ARGV[6])
  redis.call('HSET', KEYS[2], host, version)
  redis.call('PEXPIRE', KEYS[2], ARGV[6])
else
  version = '0'
  redis.call('HDEL', KEYS[2], host)
end
local news = 'P ' .. host .. ' ' .. before .. ' ' .. version
if what == '+' or what == '-' then
  news = news .. ' ' .. what .. ' ' .. string.len(name) .. '\n' .. name .. ARGV[8]
end
redis.call('PUBLISH', ARGV[5], news)
return 'OK'
