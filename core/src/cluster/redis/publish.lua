#!lua
-- Numbers a message, keeps it, remembers its key, and publishes it, in one step.
-- KEYS: the position of the room, its stream, and the position of the message with the same key, if it has one
-- ARGV: the epoch if the room has none, the mark, how many messages to keep, their age in ms (0: any), the time in ms
-- for which to remember the key, the channel, the time in ms after which an unused room is forgotten, the message
local meta, stream, once = KEYS[1], KEYS[2], KEYS[3]
if once then
  local earlier = redis.call('GET', once)
  if earlier then return {'repeated', earlier} end
end
local found = redis.call('HMGET', meta, 'e', 'o', 'k')
local epoch, offset, mark = found[1], found[2], found[3]
if not (epoch and offset and mark) then
  epoch, offset, mark = ARGV[1], '0', '0'
  redis.call('DEL', stream)
end
local time = redis.call('TIME')
local now = string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000))
local number = string.format('%.0f', offset + 1)
local keep = tonumber(ARGV[3])
if keep > 0 then
  local function append()
    return redis.pcall('XADD', stream, 'MAXLEN', keep, number .. '-0', 'k', ARGV[2], 'p', mark, 't', now, 'd', ARGV[8])
  end
  if type(append()) == 'table' then
    -- The stream is not of this position: a part of the room's keys was lost.
    redis.call('DEL', stream)
    append()
  end
  redis.call('PEXPIRE', stream, ARGV[4] == '0' and ARGV[7] or ARGV[4])
end
redis.call('HSET', meta, 'e', epoch, 'o', number, 'k', ARGV[2])
redis.call('PEXPIRE', meta, ARGV[7])
local position = epoch .. ' ' .. number .. ' ' .. ARGV[2]
if once then redis.call('SET', once, position, 'PX', ARGV[5]) end
redis.call('PUBLISH', ARGV[6], 'M ' .. position .. ' ' .. mark .. '\n' .. ARGV[8])
return {'kept', position}
