#!lua flags=no-writes
-- Returns the position of a room, the time in ms, and kept messages, oldest first.
-- KEYS: the position of the room, its stream
-- ARGV: the first offset, or `latest` for the last messages; how many messages at most, and how many bytes after the
-- first; the number of messages after the first offset above which none is returned (0: any, and the reader does not
-- have the message at the first offset)
local found = redis.call('HMGET', KEYS[1], 'e', 'o', 'k')
local time = redis.call('TIME')
local now = string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000))
local messages, bytes = {}, 0
local most, bytes_most, above = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local top = tonumber(found[2] or '0')
local from = ARGV[1] == 'latest' and math.max(top - most + 1, 1) or tonumber(ARGV[1])
local is_done = above > 0 and top - from > above
local known = above > 0 and string.format('%.0f-0', from)
while not is_done and #messages < most do
  local part = redis.call('XRANGE', KEYS[2], string.format('%.0f-0', from), '+', 'COUNT', math.min(16, most - #messages))
  is_done = #part == 0
  for _, message in ipairs(part) do
    local size = string.len(message[2][8])
    if #messages == 1 and messages[1][1] == known and bytes + size > bytes_most then
      -- The reader has the first message, and the next one names its mark.
      messages, bytes = {}, 0
    end
    if #messages > 0 and bytes + size > bytes_most then
      is_done = true
      break
    end
    bytes = bytes + size
    messages[#messages + 1] = message
    from = tonumber(string.match(message[1], '^%d+')) + 1
  end
end
return {found[1], found[2], found[3], now, messages}
