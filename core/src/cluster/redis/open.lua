#!lua flags=allow-oom
-- Returns the position of a room, which begins in a new epoch if it has none.
-- KEYS: the position of the room, its stream
-- ARGV: the epoch if the room has none, the time in ms after which an unused room is forgotten
local found = redis.call('HMGET', KEYS[1], 'e', 'o', 'k')
if not (found[1] and found[2] and found[3]) then
  redis.call('DEL', KEYS[2])
  redis.call('HSET', KEYS[1], 'e', ARGV[1], 'o', '0', 'k', '0')
  found = {ARGV[1], '0', '0'}
end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return found
