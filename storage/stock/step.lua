#!lua
-- step: settle what the journal has decided, then deduct the next batch. One call, all or nothing.
--
-- KEYS  1 hash  2 requests  3 buyers  4 grants  5 nodes  6 orders
-- ARGV  1 node  2 epoch  3 total's field  4 sold's field  5 event
--       6 pos as the node believes it  7 pos after this call  8 1 if that is the journal's end
--       9 number of the first grant  10 count of changes  11 count of items
--       then per change 9: time_ms, seq, number of a grant or 0, change of held and of sold in
--                          tickets, order, state, n, buyer
--       then per item 3: n, buyer, key
--
-- answers {'OK', a letter per item, state, version, total, sold, ours, repair 0|1, ready 0|1}
--         letters: y yes, s sold out, p paused, c closed, b busy (repair)
--      or {'ATTACH', why}: nothing was written; the node must attach again
local H, orders = KEYS[1], KEYS[6]
local node, T, S, event = ARGV[1], ARGV[3], ARGV[4], ARGV[5]
local first, changes, items = tonumber(ARGV[9]), tonumber(ARGV[10]), tonumber(ARGV[11])
local me = node .. ':'

-- All reads and checks come before the first write.
local v = redis.call('HMGET', H, T, S, 'ours', 'version', 'state', 'aside', 'known', me .. 'epoch',
    me .. 'fenced', me .. 'ready', me .. 'last', me .. 'pos', me .. 'done', me .. 'pending',
    me .. 'held', me .. 'sold', me .. 'gone')
local total, sold, ours = tonumber(v[1] or ''), tonumber(v[2] or ''), tonumber(v[3] or '')
local aside, ready, pending = tonumber(v[6] or ''), v[10] == '1', v[14] or ''
local last, done = tonumber(v[11] or ''), tonumber(v[13] or '')
local held, mine, gone = tonumber(v[15] or ''), tonumber(v[16] or ''), tonumber(v[17] or '')
if v[8] ~= ARGV[2] then
    return {'ATTACH', 'epoch is ' .. (v[8] or 'lost') .. ', not ' .. ARGV[2]}
elseif v[9] == '1' then
    return {'ATTACH', 'this node was fenced'}
elseif not (total and sold and ours and last and done and held and mine and gone) then
    return {'ATTACH', 'the hash has lost fields'}
elseif v[12] ~= ARGV[6] then
    return {'ATTACH', 'settled up to ' .. (v[12] or 'nothing') .. ', not ' .. ARGV[6]}
elseif items > 0 and not ready then
    return {'ATTACH', 'another node has found lost writes'}
elseif items > 0 and last ~= first - 1 then
    return {'ATTACH', 'last number is ' .. last .. ', not ' .. first - 1}
end
local kind = redis.call('TYPE', orders).ok
if kind ~= 'none' and kind ~= 'stream' then
    return redis.error_reply('WRONGTYPE ' .. orders .. ' is a ' .. kind .. ', expected a stream')
end

-- Changes, in journal order. A grant leaves pending; one that Redis has lost is counted again.
local waiting = gone - held - mine -- tickets of the pending grants
local settled = 0                  -- lines that leave pending
local at = 12
for _ = 1, changes do
    local time, seq, number = ARGV[at], ARGV[at + 1], tonumber(ARGV[at + 2])
    local n = tonumber(ARGV[at + 7])
    held = held + tonumber(ARGV[at + 3])
    mine = mine + tonumber(ARGV[at + 4])
    if number > last then
        last, done = number, number
    elseif number > 0 then
        done, settled, waiting = number, settled + 1, waiting - n
    end
    redis.call('XADD', orders, '*', 'node', node, 'seq', seq, 'order', ARGV[at + 5], 'event', event,
        'state', ARGV[at + 6], 'n', n, 'buyer', ARGV[at + 8], 'time_ms', time)
    at = at + 9
end
if done == last then
    pending = ''
else
    local from = 1
    for _ = 1, settled do
        from = string.find(pending, '\n', from, true) + 1
    end
    pending = string.sub(pending, from)
end
local foreign = sold - ours
ours = ours - gone + held + mine + waiting
sold = ours + foreign
gone = held + mine + waiting

-- Items, in order of arrival, each all or nothing.
local refusal = aside and 'b' or v[5] == 'paused' and 'p' or v[5] == 'closed' and 'c'
local left = math.max(total - sold, 0)
local verdicts, lines = {}, {pending}
for i = 1, items do
    local n = tonumber(ARGV[at])
    if refusal then
        verdicts[i] = refusal
    elseif n > left then
        verdicts[i] = 's'
    else
        verdicts[i] = 'y'
        left, gone, last = left - n, gone + n, last + 1
        sold, ours = sold + n, ours + n
        lines[#lines + 1] = ARGV[at] .. '\n'
    end
    at = at + 3
end

-- The end of the journal is reached: ready. When all known nodes are, the repair is over.
if ARGV[8] == '1' and not ready then
    ready = true
    redis.call('HSET', H, me .. 'ready', 1)
end
if aside and ready then
    local ids = {}
    for id in string.gmatch(v[7] or '', '%d+') do
        ids[#ids + 1] = id .. ':ready'
    end
    local all = true
    for _, is in ipairs(redis.call('HMGET', H, unpack(ids))) do
        all = all and is == '1'
    end
    if all then
        total = aside
        aside = nil
        redis.call('HSET', H, T, total, 'begun', 1)
        redis.call('HDEL', H, 'aside')
    end
end

local now = redis.call('TIME')
redis.call('HSET', H, S, sold, 'ours', ours, me .. 'last', last, me .. 'pos', ARGV[7],
    me .. 'done', done, me .. 'pending', table.concat(lines), me .. 'held', held, me .. 'sold', mine,
    me .. 'gone', gone, me .. 'beat', now[1] * 1000 + math.floor(now[2] / 1000))
return {'OK', table.concat(verdicts), v[5] or 'open', tonumber(v[4]), aside or total, sold, ours,
    aside and 1 or 0, ready and 1 or 0}
