#!lua
-- step: settle what the journal has decided, then deduct the next batch. One call, all or nothing.
--
-- KEYS  1 hash  2 requests  3 buyers  4 grants  5 nodes  6 orders
-- ARGV  1 node  2 epoch  3 total's field  4 sold's field  5 event
--       6 pos as the node believes it  7 pos after this call  8 1 if that is the journal's end
--       9 number of the first grant  10 turn and 11 foreign tickets that the node has seen
--       12 nodes that its journal knows  13 ms after which a node is silent  14 1 to list the nodes
--       15 node and slot as in order ids: 'NNNN-SS'  16 pay_by of the orders granted now
--       17 limit of a buyer, 0 none  18 marks that the node has read  19 marks that it can take
--       20 version that its journal knows  21 where this node's operators reach it, or '-'
--       22 changes, packed in runs of records that follow each other, of orders to which the same
--          happened at the same time. A run: what (a letter, see below), count, bytes of its
--          orders, tickets of all, seq of the first, number of the first (of grants and late
--          payments, each one more than that before; else 0), time_ms; then its orders: order,
--          seq, n, buyer, and '' or the rest: pay_by, mark and key
--       23 the CRC of the record at the pos after this call
--       24 items, packed in runs of those that are alike and have neither key nor buyer; others
--          stand alone: how (b: buy, p: probe, has the key an order? l: late payment of an expired
--          order), count, n, buyer, mark, key ('' if none)
--
-- Runs make most orders of a busy sale as cheap as the XADD for each lets them: no number becomes a
-- text here, and no field is unpacked that is not used.
--
-- answers {'OK', a letter per item, state, version, total, sold, ours, repair 0|1, ready 0|1, turn,
--          nodes: 'id:epoch:gone:silent:ready ...' if asked for or if the journal does not know them all,
--          orders of the letters k: 'node slot number pay_by ...', count of marks, the marks behind
--          those read, the last act of an operator if the version is not the one known, since when
--          the repair lasts, or 0}
--         letters: y yes, s sold out, p paused, c closed, b busy, l limit, k this key has this
--                  order, e its order has ended, x the key was used for another n or buyer, n no
--                  order
--      or {'ATTACH', why}: nothing was written; the node must attach again
--
-- requests  key -> l live or e ended, the order without its tag, n, pay_by and buyer:
--           'l0001-000000000007:2:1764554400000:alice'
-- buyers    buyer -> tickets held and sold
-- grants    the marks of granted keys, 8 bytes each, in order
-- nodes     N -> where node N is reached, its epoch, its tickets sold and held, its last beat;
--           told:N, up to which record of node N the stream has been told; told: something was
-- The field '' of the first two has the sale and the turn of the last write, as the hash has; the
-- head of the third is the sale and the last rebuild, and the hash knows its length, for it only
-- grows. A difference means that one was lost, or is older, and that all must be told again.
local H, requests, buyers, grants, registry = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local orders = KEYS[6]
local node, T, S, event, prefix = ARGV[1], ARGV[3], ARGV[4], ARGV[5], ARGV[15]
local first = tonumber(ARGV[9])
local seen_turn, seen_foreign, knows = tonumber(ARGV[10]), tonumber(ARGV[11]), tonumber(ARGV[12])
local limit, me = tonumber(ARGV[17]), node .. ':'
local find, sub, rep, unpack_struct = string.find, string.sub, string.rep, struct.unpack

-- What can happen to an order: its state then, what held and sold gain per ticket, and whether
-- tickets go out (g granted, l paid late) or come back (r).
local state_of = {H = 'held', S = 'sold', L = 'sold', p = 'sold', c = 'cancelled', x = 'expired',
    u = 'cancelled'}
local held_gains = {H = 1, p = -1, c = -1, x = -1}
local sold_gains = {S = 1, L = 1, p = 1, u = -1}
local kind_of = {H = 'g', S = 'g', L = 'l', c = 'r', x = 'r', u = 'r'}

local runs, I, number_of = {}, {}, {} -- of items: how, count, n, buyer, mark, key each
local place = 1
while place <= #ARGV[22] do
    local r = {}
    r.what, r.count, r.bytes, r.tickets, r.seq, r.number, r.time, r.at =
        unpack_struct('<c1I2I4I4I8I8Bc0', ARGV[22], place)
    place = r.at + r.bytes
    runs[#runs + 1] = r
end
place = 1
local at = 0
while place <= #ARGV[24] do
    I[at + 1], I[at + 2], I[at + 3], I[at + 4], I[at + 5], I[at + 6], place =
        unpack_struct('<c1I2Bc0Bc0Bc0Bc0', ARGV[24], place)
    number_of[I[at + 3]] = number_of[I[at + 3]] or tonumber(I[at + 3])
    at = at + 6
end

-- All reads and checks come before the first write.
local v = redis.call('HMGET', H, T, S, 'ours', 'version', 'state', 'aside', 'known', me .. 'epoch',
    me .. 'fenced', me .. 'ready', me .. 'last', me .. 'pos', me .. 'done', me .. 'pending',
    me .. 'held', me .. 'sold', me .. 'gone', 'turn', 'sale', 'rebuild', me .. 'rebuild',
    me .. 'told', 'streamed', 'act', 'requests', 'buyers', 'marks', me .. 'proof', 'since')
-- A count of tickets as others may have written it; nil if it is none. A total of -1 stands aside.
local function count(text, least)
    local n = tonumber(text or '')
    return n and n >= least and n <= 4294967295 and n == math.floor(n) and n or nil
end
local total, sold, ours = count(v[1], -1), count(v[2], 0), count(v[3], 0)
local aside, ready, pending = tonumber(v[6] or ''), v[10] == '1', v[14] or ''
local last, done = tonumber(v[11] or ''), tonumber(v[13] or '')
local held, mine, gone = tonumber(v[15] or ''), tonumber(v[16] or ''), tonumber(v[17] or '')
local turn, told = tonumber(v[18] or '') or 0, tonumber(v[22] or '') or 0
local sale, streamed = v[19], v[23]
if not v[8] then
    return {'ATTACH', 'Redis does not know this node any more: it has lost the sale'}
elseif v[8] ~= ARGV[2] then
    return {'ATTACH', 'epoch is ' .. v[8] .. ', not ' .. ARGV[2]}
elseif v[9] == '1' then
    return {'ATTACH', 'this node was fenced'}
elseif not (total and sold and ours and v[4] and v[5] and last and done and held and mine and gone
        and v[7] and sale and v[20]) then
    return {'ATTACH', 'the hash has lost fields'}
elseif v[21] ~= v[20] then
    return {'ATTACH', 'keys were lost and must be told again'}
elseif v[12] ~= ARGV[6] then
    return {'ATTACH', 'settled up to ' .. (v[12] or 'nothing') .. ', not ' .. ARGV[6]}
elseif turn < seen_turn or tonumber(v[4]) < tonumber(ARGV[20]) then
    return {'ATTACH', 'the hash is older than what this node has seen'}
elseif sold - ours < seen_foreign then
    return {'ATTACH', 'the count of sold tickets was lowered from outside'}
elseif (pending == '') ~= (done == last) then
    return {'ATTACH', 'the hash has lost pending orders'}
elseif #I > 0 and not ready then
    return {'ATTACH', 'another node has found lost writes'}
elseif #I > 0 and last ~= first - 1 then
    return {'ATTACH', 'last number is ' .. last .. ', not ' .. first - 1}
end
-- A key of the wrong type is told by name, before anything is written: those that are read below
-- by the error of that, the others here.
local function wrong_type(i, expected)
    return redis.error_reply('WRONGTYPE ' .. KEYS[i] .. ' is a ' .. redis.call('TYPE', KEYS[i]).ok
        .. ', expected a ' .. expected)
end
if #runs > 0 or ARGV[14] == '1' then
    local is = redis.call('TYPE', registry).ok
    if is ~= 'none' and is ~= 'hash' then
        return wrong_type(5, 'hash')
    end
end
if #runs > 0 or streamed then
    local is = redis.call('TYPE', orders).ok
    if is == 'none' and streamed then
        return {'ATTACH', orders .. ' was lost'}
    elseif is ~= 'none' and is ~= 'stream' then
        return wrong_type(6, 'stream')
    end
end

-- Keys and buyers that this call speaks of are read at once, changed here and written at the end.
local key_value, key_fields = {[''] = false}, {''}
local buyer_count, buyer_fields = {[''] = false}, {''}
local function want_key(key)
    if key ~= '' and key_value[key] == nil then
        key_value[key] = false
        key_fields[#key_fields + 1] = key
    end
end
local function want_buyer(buyer)
    if buyer_count[buyer] == nil then
        buyer_count[buyer] = 0
        buyer_fields[#buyer_fields + 1] = buyer
    end
end
-- The orders of a run that changes more than what is counted of it.
local function unpack_orders(r)
    local at = r.at
    r.orders = {}
    for i = 1, r.count do
        local o, rest, key_at, _ = {pay_by = '0', mark = '', key = ''}, nil, nil, nil
        o.order, _, o.n, o.buyer, rest, at = unpack_struct('<c34Bc0Bc0Bc0Bc0', ARGV[22], at)
        if rest ~= '' then
            o.pay_by, key_at = unpack_struct('<Bc0', rest)
            o.mark, o.key = sub(rest, key_at, key_at + 7), sub(rest, key_at + 8)
        end
        o.tickets, o.number = tonumber(o.n), r.number > 0 and r.number + i - 1 or 0
        r.orders[i] = o
        want_key(o.key)
        want_buyer(o.buyer)
    end
end
for _, r in ipairs(runs) do
    local kind = kind_of[r.what]
    if kind == 'r' or kind == 'l' or r.number + r.count - 1 > last then
        unpack_orders(r)
    end
end
for i = 1, #I, 6 do
    want_key(I[i + 5])
    want_buyer(I[i + 3])
end
local values = redis.pcall('HMGET', requests, unpack(key_fields))
local counts = redis.pcall('HMGET', buyers, unpack(buyer_fields))
local marks = redis.pcall('LLEN', grants)
if values.err then
    return wrong_type(2, 'hash')
elseif counts.err then
    return wrong_type(3, 'hash')
elseif type(marks) == 'table' then
    return wrong_type(4, 'list')
end
if values[1] ~= sale .. ' ' .. (v[25] or '') or counts[1] ~= sale .. ' ' .. (v[26] or '')
        or redis.call('LINDEX', grants, 0) ~= sale .. ' ' .. v[20]
        or tonumber(v[27] or '') ~= marks then
    return {'ATTACH', 'keys or buyers were lost'}
end
for i = 2, #key_fields do
    key_value[key_fields[i]] = values[i]
end
for i = 2, #buyer_fields do
    buyer_count[buyer_fields[i]] = tonumber(counts[i] or '') or 0
end
local key_changed, buyer_changed, new_marks = {}, {}, {}
local function set_key(key, value)
    key_value[key] = value
    key_changed[key] = true
end
local function add_tickets(buyer, n)
    if buyer ~= '' then
        local count = buyer_count[buyer] + n
        buyer_count[buyer] = count > 0 and count or 0
        buyer_changed[buyer] = true
    end
end
local function value_of(order, n, pay_by, buyer)
    return 'l' .. order .. ':' .. n .. ':' .. pay_by .. ':' .. buyer
end
-- Does a key's order exist for sure? One that its node has not settled may yet be void. Our own:
-- all that came before, and what this call grants, is journaled before this call's answers leave.
local dones = {}
local function in_doubt(id, number)
    if id == node then
        return false
    elseif not dones[id] then
        dones[id] = tonumber(redis.call('HGET', H, id .. ':done') or '') or -1
    end
    return number > dones[id]
end
-- The key remembers this order ('NNNN-SSnumber') unless it has another. An order that is told again
-- from a journal goes before one that may yet be void.
local function remember(key, mark, order, n, pay_by, buyer, told_again)
    local has = key ~= '' and key_value[key]
    if has and told_again then
        local id, number = string.match(has, '^.(%x%x%x%x)%-%x%x(%x+):')
        if id and in_doubt(string.format('%d', tonumber(id, 16)), tonumber(number, 16)) then
            has = nil
        end
    end
    if key ~= '' and not has then
        set_key(key, value_of(order, n, pay_by, buyer))
        new_marks[#new_marks + 1] = mark
    end
end
local function set_life(key, order, life)
    local value = key ~= '' and key_value[key]
    if value and sub(value, 2, 18) == sub(order, 1, 17) then
        set_key(key, life .. sub(value, 2))
    end
end

-- Changes, in journal order. A grant leaves pending; one that Redis has lost is counted again.
local waiting = gone - held - mine -- tickets of the pending grants
local settled = 0                  -- lines that leave pending
local function settle_order(o, kind)
    if o.number > last then
        last, done = o.number, o.number
        add_tickets(o.buyer, o.tickets)
        if kind == 'g' then
            remember(o.key, o.mark, sub(o.order, 1, 17), o.n, o.pay_by, o.buyer, true)
        end
    elseif o.number > 0 then
        done, settled, waiting = o.number, settled + 1, waiting - o.tickets
    end
    if kind == 'r' then
        add_tickets(o.buyer, -o.tickets)
        set_life(o.key, o.order, 'e')
    elseif kind == 'l' then
        set_life(o.key, o.order, 'l')
    end
end
local function tell_stream(r, state)
    local at, changed, call = r.at, ARGV[22], redis.call
    local order, seq, n, buyer, _
    for s = r.seq, r.seq + r.count - 1 do
        order, seq, n, buyer, _, at = unpack_struct('<c34Bc0Bc0Bc0Bc0', changed, at)
        if s > told then
            call('XADD', orders, '*', 'node', node, 'seq', seq, 'order', order, 'event', event,
                'state', state, 'n', n, 'buyer', buyer, 'time_ms', r.time)
            told, streamed = s, 1
        end
    end
end
for _, r in ipairs(runs) do
    held = held + (held_gains[r.what] or 0) * r.tickets
    mine = mine + (sold_gains[r.what] or 0) * r.tickets
    if r.orders then
        for _, o in ipairs(r.orders) do
            settle_order(o, kind_of[r.what])
        end
    elseif r.number > 0 then
        done, settled, waiting = r.number + r.count - 1, settled + r.count, waiting - r.tickets
    end
end
if done == last then
    pending = ''
elseif settled > 0 then
    local at = 2 * settled -- if all of them were for one ticket, by nobody in particular
    if sub(pending, 1, at) ~= rep('1\n', settled) then
        at = 0
        for _ = 1, settled do
            at = at and find(pending, '\n', at + 1, true)
        end
    end
    if not at then
        return {'ATTACH', 'the hash has lost pending orders'}
    end
    pending = sub(pending, at + 1)
end
for _, r in ipairs(runs) do -- from here on all is sure, and written
    tell_stream(r, state_of[r.what])
end
local foreign = sold - ours
ours = ours - gone + held + mine + waiting
sold = ours + foreign
gone = held + mine + waiting

local same = {}
local function judge_key(value, n, buyer)
    local life, id, slot, number, for_n, pay_by, for_buyer =
        string.match(value, '^(.)(%x%x%x%x)%-(%x%x)(%x+):(%d+):(%d+):(.*)$')
    if not life then
        return 'b'
    elseif for_n ~= n or for_buyer ~= buyer then
        return 'x'
    elseif life == 'e' then
        return 'e'
    end
    id, number = string.format('%d', tonumber(id, 16)), tonumber(number, 16)
    if in_doubt(id, number) then
        return 'b'
    end
    same[#same + 1] = id .. ' ' .. tonumber(slot, 16) .. ' ' .. string.format('%.0f', number)
        .. ' ' .. pay_by
    return 'k'
end

-- Items, in order of arrival, each all or nothing: key, state, limit, stock.
local refusal = aside and 'b' or v[5] == 'paused' and 'p' or v[5] == 'closed' and 'c'
local left = math.max(total - sold, 0)
local verdicts, granted, new_keys = {}, {pending}, {}
local function grant(count, n, buyer, mark, key)
    local tickets = number_of[n] * count
    left, gone, last = left - tickets, gone + tickets, last + count
    sold, ours = sold + tickets, ours + tickets
    if buyer == '' and key == '' then
        granted[#granted + 1] = rep(n .. '\n', count)
        return
    end
    granted[#granted + 1] = n .. ' ' .. buyer .. ' ' .. key .. '\n'
    add_tickets(buyer, tickets)
    if key ~= '' then
        local value = value_of(prefix .. string.format('%010x', last), n, ARGV[16], buyer)
        key_value[key] = value
        new_keys[#new_keys + 1] = key
        new_keys[#new_keys + 1] = value
        new_marks[#new_marks + 1] = mark
    end
end
for i = 1, #I, 6 do
    local count, n, buyer, key, verdict = I[i + 1], I[i + 2], I[i + 3], I[i + 5], nil
    local known = key ~= '' and key_value[key]
    if known then
        verdict = judge_key(known, n, buyer)
    elseif I[i] == 'p' then
        verdict = aside and 'b' or 'n' -- in repair the key's journal may not have spoken yet
    elseif refusal then
        verdict = rep(refusal, count)
    elseif limit > 0 and buyer ~= '' and buyer_count[buyer] + number_of[n] > limit then
        verdict = 'l'
    elseif number_of[n] * count <= left then
        verdict = rep('y', count)
        grant(count, n, buyer, I[i + 4], key)
    else
        local yes = math.floor(left / number_of[n])
        verdict = rep('y', yes) .. rep('s', count - yes)
        if yes > 0 then
            grant(yes, n, buyer, I[i + 4], key)
        end
    end
    verdicts[#verdicts + 1] = verdict
end

-- The nodes of the sale, asked for only when somebody wants to know.
local now = redis.call('TIME')
now = now[1] * 1000 + math.floor(now[2] / 1000)
local ids, nodes = {}, {}
for id in string.gmatch(v[7], '%d+') do
    ids[#ids + 1] = id
end
if ARGV[14] == '1' or not ready or aside or knows < #ids then
    local fields = {}
    for _, id in ipairs(ids) do
        for _, name in ipairs({':epoch', ':gone', ':beat', ':ready', ':knows', ':fenced'}) do
            fields[#fields + 1] = id .. name
        end
    end
    values = redis.call('HMGET', H, unpack(fields))
    for i, id in ipairs(ids) do
        local k = 6 * (i - 1)
        local beat = tonumber(values[k + 3] or '')
        nodes[i] = {id = id, epoch = values[k + 1] or '0', gone = values[k + 2] or '0',
            silent = id ~= node and beat ~= nil and math.abs(now - beat) > tonumber(ARGV[13]),
            never = beat == nil, ready = values[k + 4] == '1',
            knows = tonumber(values[k + 5] or '') or 0, fenced = values[k + 6] == '1'}
    end
end

-- The end of the journal is reached: ready, once all nodes that sell know of this one, so that a
-- repair will wait for it. When all known nodes are ready, the repair is over.
if ARGV[8] == '1' and not ready then
    ready = true
    for _, n in ipairs(nodes) do
        if n.id ~= node and n.ready and not (n.fenced or n.silent or n.never)
                and n.knows < #ids then
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

-- What Redis itself makes of a number costs it more, and most counts of buyers are small.
local texts = {}
local function text(n)
    texts[n] = texts[n] or string.format('%d', n)
    return texts[n]
end
turn = turn + 1
local set, drop = new_keys, {}
for key in pairs(key_changed) do
    set[#set + 1] = key
    set[#set + 1] = key_value[key]
end
if #set > 0 then
    redis.call('HSET', requests, '', sale .. ' ' .. turn, unpack(set))
    redis.call('HSET', H, 'requests', turn)
end
set = {}
for buyer in pairs(buyer_changed) do
    if buyer_count[buyer] > 0 then
        set[#set + 1] = buyer
        set[#set + 1] = text(buyer_count[buyer])
    else
        drop[#drop + 1] = buyer
    end
end
if #set + #drop > 0 then
    redis.call('HSET', buyers, '', sale .. ' ' .. turn, unpack(set))
    redis.call('HSET', H, 'buyers', turn)
end
if #drop > 0 then
    redis.call('HDEL', buyers, unpack(drop))
end
if #new_marks > 0 then
    marks = redis.call('RPUSH', grants, unpack(new_marks))
    redis.call('HSET', H, 'marks', marks)
end
-- In repair a node that has not spoken yet is no silent one, whatever the age of its beat: that may
-- be of an old dump, and so may be what it has out. It is waited for, also if more is lost now.
local about = {}
for i, n in ipairs(nodes) do
    local silent = n.silent and (n.ready or not aside)
    about[i] = table.concat({n.id, n.epoch, n.gone, silent and 1 or 0, n.ready and 1 or 0}, ':')
end
redis.call('HSET', H, S, text(sold), 'ours', text(ours), 'turn', text(turn), me .. 'last', text(last),
    me .. 'pos', ARGV[7], me .. 'done', text(done), me .. 'pending', table.concat(granted),
    me .. 'held', text(held), me .. 'sold', text(mine), me .. 'gone', text(gone),
    me .. 'knows', ARGV[12], me .. 'beat', text(now), me .. 'told', text(told))
if told > (tonumber(v[22] or '') or 0) then -- here too, for the stream may outlive the hash
    redis.call('HSET', registry, 'told', 1, 'told:' .. node, told)
end
if ARGV[14] == '1' then -- once a beat
    redis.call('HSET', registry, node, table.concat({ARGV[21], ARGV[2], mine, held, now}, ' '))
end
if streamed and not v[23] then
    redis.call('HSET', H, 'streamed', 1)
end
if tonumber(ARGV[7]) > (tonumber(string.match(v[28] or '', '^%d+') or '') or 0) then -- see attach.lua
    redis.call('HSET', H, me .. 'proof', ARGV[7] .. ' ' .. ARGV[23] .. ' ' .. text(done))
end
marks = marks - 1 -- without the head
local marks_seen = tonumber(ARGV[18]) <= marks and tonumber(ARGV[18]) or 0
local fresh = marks_seen < marks
    and redis.call('LRANGE', grants, marks_seen + 1, marks_seen + tonumber(ARGV[19])) or {}
return {'OK', table.concat(verdicts), v[5] or 'open', tonumber(v[4]), aside or total, sold, ours,
    aside and 1 or 0, ready and 1 or 0, turn, table.concat(about, ' '), table.concat(same, ' '),
    marks, table.concat(fresh), v[4] ~= ARGV[20] and v[24] or '',
    aside and tonumber(v[29] or '') or 0}
