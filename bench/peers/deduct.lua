-- One ticket from the unified stock, as the published script does it: two reads, a comparison and
-- an increment on the same hash and fields. Theirs compares with >= and sells one too many; the
-- comparison costs the same. Answers how many are sold, 0 for sold out.
local total = tonumber(redis.call('hget', KEYS[1], ARGV[1]))
local sold = tonumber(redis.call('hget', KEYS[1], ARGV[2]))
if sold < total then
    return redis.call('hincrby', KEYS[1], ARGV[2], 1)
end
return 0
