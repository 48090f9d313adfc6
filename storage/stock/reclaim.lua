#!lua
-- reclaim: by an operator's word, nodes that are gone are given up: each is fenced, and no repair waits
-- for it any more. What it sold, holds or has in doubt stays counted, for only its journal can
-- tell. In repair the hash may have forgotten, so if any node last saw more of it, that counts.
--
-- A node that lives is not given up: one whose beat is young, or one that may still be on its way. For
-- what kept the caller away from Redis may have kept all nodes away, so it must have been attached for
-- `patience` itself. And what began a repair has lost, or made old, the beats of all nodes: those from
-- before prove nothing, so a node has `patience` from then on to come, by the clock of Redis and by
-- that of the caller.
--
-- If its journal is lost for good, what it held or had in doubt comes back, with the keys and the
-- places within the limit of what was in doubt (whose the holds were, nobody knows any more). Should
-- that journal turn up after all, it finds its `pos` gone, and every journal tells all again. A blank
-- one is refused by the number that is kept as `lost`, for it would give the same order ids again.
--
-- KEYS  1 hash  2 requests  3 buyers  4 grants  5 nodes  6 orders
-- ARGV  1 node  2 epoch  3 total's field  4 sold's field  5 turn that the node has seen
--       6 milliseconds after which a node is silent  7 the node to give up, or 0: all those that a
--         repair waits for and that are silent  8 1: its journal is lost for good
--       9 patience in milliseconds  10 '' if the caller has not waited for so long; else the `since`
--         of the repair as it has seen it, 0 for none  11 1: decide, but do nothing
--
-- answers {'OK', 'done' | 'alive' | 'early' | 'unknown', nodes that were given up, with their tickets
--          that stay counted, those that came back, and 1 if that was not so before:
--          'id:gone:back:new ...', sold, ours, turn, the node that is alive or may still come, and
--          milliseconds: since it was heard, or until it has had its time}
--      or {'ATTACH', why}: nothing was written
local H, requests, buyers = KEYS[1], KEYS[2], KEYS[3]
local node, T, S, target = ARGV[1], ARGV[3], ARGV[4], ARGV[7]
local function int(text)
    return tonumber(text or '') or 0
end
local v = redis.call('HMGET', H, T, S, 'ours', 'sale', 'known', node .. ':epoch',
    node .. ':fenced', 'turn', 'requests', 'buyers', 'aside', 'rebuild', 'since')
local sold, ours, sale, turn = tonumber(v[2] or ''), tonumber(v[3] or ''), v[4], int(v[8])
if v[6] ~= ARGV[2] or v[7] == '1' then
    return {'ATTACH', 'this node was fenced'}
elseif not (v[1] and sold and ours and sale and v[5] and (v[13] or not v[11])) then
    return {'ATTACH', 'the hash has lost fields'}
elseif turn < tonumber(ARGV[5]) then
    return {'ATTACH', 'the hash is older than what this node has seen'}
elseif redis.call('HGET', requests, '') ~= sale .. ' ' .. (v[9] or '')
        or redis.call('HGET', buyers, '') ~= sale .. ' ' .. (v[10] or '') then
    return {'ATTACH', 'keys or buyers were lost'}
end
local now = redis.call('TIME')
now = now[1] * 1000 + math.floor(now[2] / 1000)
local since, patience = v[11] and int(v[13]) or 0, tonumber(ARGV[9])
local waited = ARGV[10] == (v[11] and v[13] or '0')
local early_ms = now >= since and math.max(since + patience - now, 0) or 0 -- Redis' clock may jump
local given_up, outcome, of, ms = {}, target == '0' and 'done' or 'unknown', 0, 0
for id in string.gmatch(v[5], '%d+') do
    if id ~= node and (target == id or target == '0') then
        local f = redis.call('HMGET', H, id .. ':beat', id .. ':ready', id .. ':gone',
            id .. ':held', id .. ':sold', id .. ':pending', id .. ':done', id .. ':seen',
            id .. ':rebuild', id .. ':last', id .. ':lost', id .. ':fenced')
        local beat, asked_for = tonumber(f[1] or ''), target == id or f[2] ~= '1'
        local silent = not beat or math.abs(now - beat) > tonumber(ARGV[6])
        outcome = outcome == 'unknown' and 'done' or outcome
        local was_given_up = f[12] == '1' and f[2] == '1'
        local unheard = silent or (beat or 0) < since
        if asked_for and unheard and not was_given_up and (early_ms > 0 or not waited) then
            outcome, of, ms = 'early', tonumber(id), early_ms
        elseif asked_for and not silent then
            if outcome == 'done' then
                outcome, of, ms = 'alive', tonumber(id), math.abs(now - beat)
            end
        elseif asked_for then
            local seen = v[11] and string.match(f[8] or '', '^%d+ (%d+)$') -- see attach.lua
            given_up[#given_up + 1] = {id = id, hash = int(f[3]), held = int(f[4]),
                sold = int(f[5]), pending = f[6] or '', done = int(f[7]),
                seen = int(seen), stale = f[9] ~= v[12],
                numbers = math.max(int(f[10]), int(f[11])),
                new = f[12] ~= '1' or f[2] ~= '1' or ARGV[8] == '1' and not f[11]}
        end
    end
end

if outcome == 'early' or #given_up == 0 or ARGV[11] == '1' then
    return {'OK', outcome, '', sold, ours, turn, of, ms}
end

local told, keys_back, tickets_back = {}, {}, {}
for i, n in ipairs(given_up) do
    local in_doubt = 0
    for line in string.gmatch(n.pending, '[^\n]+') do
        in_doubt = in_doubt + int(string.match(line, '^%d+'))
    end
    local gone, back = math.max(n.hash, n.seen), 0
    if ARGV[8] == '1' and gone == n.held + n.sold + in_doubt then -- else: who knows what it held
        back, gone = n.held + in_doubt, n.sold
        local number = n.done
        -- Keys and buyers that were thrown away since do not know of it.
        for line in string.gmatch(n.stale and '' or n.pending, '[^\n]+') do
            local tickets, buyer, key = string.match(line, '^(%d+) ?(%S*) ?(%S*)$')
            number = number + 1
            local id, of = string.match((key or '') ~= '' and redis.call('HGET', requests, key)
                or '', '^.(%x%x%x%x)%-%x%x(%x+):')
            if id and tonumber(id, 16) == tonumber(n.id) and tonumber(of, 16) == number then
                keys_back[#keys_back + 1] = key
            end
            if (buyer or '') ~= '' then
                tickets_back[buyer] = (tickets_back[buyer] or 0) + int(tickets)
            end
        end
        n.lost = true
    end
    local new = n.new or back > 0 or gone ~= n.hash
    n.gone, told[i] = gone, table.concat({n.id, gone, back, new and 1 or 0}, ':')
    sold, ours = sold + gone - n.hash, ours + gone - n.hash
end
turn = turn + 1
for _, n in ipairs(given_up) do
    redis.call('HSET', H, n.id .. ':fenced', 1, n.id .. ':ready', 1, n.id .. ':gone', n.gone)
    if n.lost then
        redis.call('HSET', H, n.id .. ':held', 0, n.id .. ':pending', '', n.id .. ':last', n.done,
            n.id .. ':lost', n.numbers)
        redis.call('HDEL', H, n.id .. ':pos')
    end
end
for _, key in ipairs(keys_back) do
    redis.call('HDEL', requests, key)
end
if #keys_back > 0 then
    redis.call('HSET', requests, '', sale .. ' ' .. turn)
    redis.call('HSET', H, 'requests', turn)
end
for buyer, n in pairs(tickets_back) do
    if redis.call('HINCRBY', buyers, buyer, -n) <= 0 then
        redis.call('HDEL', buyers, buyer)
    end
end
if next(tickets_back) then
    redis.call('HSET', buyers, '', sale .. ' ' .. turn)
    redis.call('HSET', H, 'buyers', turn)
end
redis.call('HSET', H, S, sold, 'ours', ours, 'turn', turn)
return {'OK', 'done', table.concat(told, ' '), sold, ours, turn, 0, 0}
