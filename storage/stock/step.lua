#!lua
-- step: settle what the journal has decided, then deduct the next batch. One call, all or nothing.
--
-- KEYS  1 hash  2 requests  3 buyers  4 grants  5 nodes  6 orders
-- ARGV  1 node  2 epoch  3 total's field  4 sold's field  5 event
--       6 pos as the node believes it  7 pos after this call  8 1 if that is the journal's end
--       9 number of the first grant  10 count of changes  11 count of items
--       12 turn and 13 foreign tickets that the node has seen  14 nodes that its journal knows
--       15 milliseconds after which a node is silent  16 1 to be told about the nodes
--       then per change 9: time_ms, seq, number of a grant or 0, change of held and of sold in
--                          tickets, order, state, n, buyer
--       then per item 3: n, buyer, key
--
-- answers {'OK', a letter per item, state, version, total, sold, ours, repair 0|1, ready 0|1, turn,
--          nodes: 'id:epoch:gone:silent ...' if asked for or if the journal does not know them all}
--         letters: y yes, s sold out, p paused, c closed, b busy (repair)
--      or {'ATTACH', why}: nothing was written; the node must attach again
local H, orders = KEYS[1], KEYS[6]
local node, T, S, event = ARGV[1], ARGV[3], ARGV[4], ARGV[5]
local first, changes, items = tonumber(ARGV[9]), tonumber(ARGV[10]), tonumber(ARGV[11])
local seen_turn, seen_foreign, knows = tonumber(ARGV[12]), tonumber(ARGV[13]), tonumber(ARGV[14])
local me = node .. ':'

-- All reads and checks come before the first write.
local v = redis.call('HMGET', H, T, S, 'ours', 'version', 'state', 'aside', 'known', me .. 'epoch',
    me .. 'fenced', me .. 'ready', me .. 'last', me .. 'pos', me .. 'done', me .. 'pending',
    me .. 'held', me .. 'sold', me .. 'gone', 'turn')
-- A count of tickets as others may have written it; nil if it is none. A total of -1 stands aside.
local function count(text, least)
    local n = tonumber(text or '')
    return n and n >= least and n <= 4294967295 and n == math.floor(n) and n or nil
end
local total, sold, ours = count(v[1], -1), count(v[2], 0), count(v[3], 0)
local aside, ready, pending = tonumber(v[6] or ''), v[10] == '1', v[14] or ''
local last, done = tonumber(v[11] or ''), tonumber(v[13] or '')
local held, mine, gone = tonumber(v[15] or ''), tonumber(v[16] or ''), tonumber(v[17] or '')
local turn = tonumber(v[18] or '') or 0
if v[8] ~= ARGV[2] then
    return {'ATTACH', 'epoch is ' .. (v[8] or 'lost') .. ', not ' .. ARGV[2]}
elseif v[9] == '1' then
    return {'ATTACH', 'this node was fenced'}
elseif not (total and sold and ours and last and done and held and mine and gone and v[7]) then
    return {'ATTACH', 'the hash has lost fields'}
elseif v[12] ~= ARGV[6] then
    return {'ATTACH', 'settled up to ' .. (v[12] or 'nothing') .. ', not ' .. ARGV[6]}
elseif turn < seen_turn then
    return {'ATTACH', 'the hash is older than what this node has seen'}
elseif sold - ours < seen_foreign then
    return {'ATTACH', 'the count of sold tickets was lowered from outside'}
elseif done + select(2, string.gsub(pending, '\n', '')) ~= last then
    return {'ATTACH', 'the hash has lost pending orders'}
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
local at = 17
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

-- The nodes of the sale, asked for only when somebody wants to know.
local now = redis.call('TIME')
now = now[1] * 1000 + math.floor(now[2] / 1000)
local ids, nodes = {}, {}
for id in string.gmatch(v[7], '%d+') do
    ids[#ids + 1] = id
end
if ARGV[16] == '1' or not ready or aside or knows < #ids then
    local fields = {}
    for _, id in ipairs(ids) do
        for _, name in ipairs({':epoch', ':gone', ':beat', ':ready', ':knows'}) do
            fields[#fields + 1] = id .. name
        end
    end
    local values = redis.call('HMGET', H, unpack(fields))
    for i, id in ipairs(ids) do
        local k = 5 * (i - 1)
        local beat = tonumber(values[k + 3] or '')
        nodes[i] = {id = id, epoch = values[k + 1] or '0', gone = values[k + 2] or '0',
            silent = beat ~= nil and math.abs(now - beat) > tonumber(ARGV[15]), never = beat == nil,
            ready = values[k + 4] == '1', knows = tonumber(values[k + 5] or '') or 0}
    end
end

-- The end of the journal is reached: ready, once all who are selling know of this node, so that a
-- repair will wait for it. When all known nodes are ready, the repair is over.
if ARGV[8] == '1' and not ready then
    ready = true
    for _, n in ipairs(nodes) do
        if n.id ~= node and n.ready and not n.silent and not n.never and n.knows < #ids then
            ready = false
        end
    end
    if ready then
        redis.call('HSET', H, me .. 'ready', 1)
    end
end
if aside and ready then
    local all = true
    for _, n in ipairs(nodes) do
        all = all and (n.ready or n.id == node)
    end
    if all then
        total = aside
        aside = nil
        redis.call('HSET', H, T, total, 'begun', 1)
        redis.call('HDEL', H, 'aside')
    end
end

local about = {}
for i, n in ipairs(nodes) do
    about[i] = n.id .. ':' .. n.epoch .. ':' .. n.gone .. ':' .. (n.silent and 1 or 0)
end
turn = turn + 1
redis.call('HSET', H, S, sold, 'ours', ours, 'turn', turn, me .. 'last', last, me .. 'pos', ARGV[7],
    me .. 'done', done, me .. 'pending', table.concat(lines), me .. 'held', held, me .. 'sold', mine,
    me .. 'gone', gone, me .. 'knows', knows, me .. 'beat', now)
return {'OK', table.concat(verdicts), v[5] or 'open', tonumber(v[4]), aside or total, sold, ours,
    aside and 1 or 0, ready and 1 or 0, turn, table.concat(about, ' ')}
