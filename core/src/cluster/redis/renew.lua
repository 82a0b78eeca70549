#!lua flags=allow-oom
-- Begins a new epoch of a room whose history contradicts what a host knows, unless another host has begun one.
-- KEYS: the position of the room
-- ARGV: the epoch that is contradicted, the new one, the channel
local found = redis.call('HMGET', KEYS[1], 'e', 'o', 'k')
if found[1] == ARGV[1] and found[2] and found[3] then
  found[1] = ARGV[2]
  redis.call('HSET', KEYS[1], 'e', ARGV[2])
  -- The other hosts compare this with their position, and read the history.
  redis.call('PUBLISH', ARGV[3], 'E')
end
return found
