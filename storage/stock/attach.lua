#!lua
-- attach: a node says what its journal holds and takes up (or takes back) its place in the sale.
--
-- In doubt are only the grants that Redis made and the node's journal may lack. The journal
-- decides: what it does not hold by now it never will, for this call carries a higher epoch than
-- any step that is still under way. So the numbers above the journal's last are void, and their
-- tickets, keys and places within the limit are given back, in this very call.
--
-- KEYS  1 hash  2 requests  3 buyers  4 grants  5 nodes  6 orders
-- ARGV  1 node  2 epoch  3 total's field  4 sold's field  5 Redis run id
--       6 sale and 7 secret of the journal ('' if it has none)  8 sale and 9 secret for a new one
--       10 last number and 11 last seq of the journal
--       12 total  13 version  14 state, of the journal or, if it has no sale, of the configuration
--       15 foreign tickets and 16 turn that the node has seen  17 known nodes, separated by blanks
--       18 the nodes as it has last seen them outside of a repair: 'id:epoch:gone:silent ...'
--       19 1 if that was just now
--       20 the last act of an operator in the journal: 'version node time_ms from', or ''
--       21 the highest epoch that may be this process's own or was in its journal when it began
--       22 '' to examine only: nothing is written; else what the examination has told and the
--          journal has: 'pos chain' of the proof  23 the beat that it has told, or '' for any
--
-- answers {'OK', sale, secret, pos, state, version, total, repair 0|1, voided, known, turn,
--          the last act of an operator: 'version node time_ms from', or '', since}
--      or, if it was to examine, {'OK', pos and chain of the proof, epoch, beat, time_ms}
--      or {'ATTACH', why}: something has moved since the examination; nothing was written
--      or {'OTHER', why}: this is not that node's journal; the caller must exit
--
-- proof is what shows whether a journal is the one of this node: 'pos chain number', the highest
-- record that was settled, its CRC, and the highest number up to it. The journal must have that very
-- record. It is only ever raised, by step: also when keys are lost, the node is given up or its
-- journal is said to be lost. That the journal is long enough proves nothing: what a copy has
-- written since it was copied counts as little as the epochs in it.
--
-- since is when the repair began, or when nodes had to come again: beats before it prove nothing.
--
-- turn counts the calls that wrote this hash. A hash whose turn is lower than what a node has seen
-- is an older one, and a lower count of foreign tickets was written by hand: both are lost writes.
--
-- rebuild is the turn in which keys, buyers and marks were last thrown away, to be told again by
-- every journal from its first record: when one of them, or a node's own fields, cannot be
-- believed. A node whose own rebuild is another has not done so yet.
--
-- seen is, of a node that a repair may wait for, the highest epoch and the most tickets out that any
-- other has seen of it ('epoch gone'): what stays counted should it be given up, and what tells its
-- journal from a blank or an older one when Redis has forgotten the node itself. lost is the last
-- number of a node that was given up with its journal (see reclaim.lua).
local H, requests, buyers, grants, registry = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local node, T, S, run = ARGV[1], ARGV[3], ARGV[4], ARGV[5]
local epoch, jlast, jend = tonumber(ARGV[2]), tonumber(ARGV[10]), tonumber(ARGV[11])
local jsale, jtotal, jversion = ARGV[6], tonumber(ARGV[12]), tonumber(ARGV[13])
local seen_foreign, seen_turn = tonumber(ARGV[15]), tonumber(ARGV[16])
local me = node .. ':'

local function int(text)
    return tonumber(text or '') or 0
end
-- A count of tickets as others may have written it; nil if it is none.
local function count(text)
    local n = tonumber(text or '')
    return n and n >= 0 and n <= 4294967295 and n == math.floor(n) and n or nil
end

-- All reads and type checks come before the first write.
local is = {}
for i, kind in pairs({[2] = 'hash', [3] = 'hash', [4] = 'list', [5] = 'hash', [6] = 'stream'}) do
    is[i] = redis.call('TYPE', KEYS[i]).ok
    if is[i] ~= 'none' and is[i] ~= kind then
        return redis.error_reply('WRONGTYPE ' .. KEYS[i] .. ' is a ' .. is[i] .. ', expected a '
            .. kind)
    end
end
local v = redis.call('HMGET', H, 'sale', 'secret', T, S, 'version', 'state', 'aside', 'run',
    'begun', 'known', me .. 'epoch', me .. 'last', me .. 'pos', me .. 'done', me .. 'pending',
    me .. 'held', me .. 'sold', 'turn', 'ours', me .. 'gone', 'rebuild', me .. 'rebuild',
    'streamed', 'act', 'requests', 'buyers', 'marks', me .. 'told', me .. 'lost', me .. 'seen',
    me .. 'proof', me .. 'beat', 'since')
local sale, secret, total, sold = v[1], v[2], count(v[3]), count(v[4]) -- total -1 stands aside
local version, state, aside = int(v[5] or ARGV[13]), v[6] or ARGV[14], tonumber(v[7] or '')
if not secret then
    secret = ARGV[7] ~= '' and ARGV[7] or ARGV[9]
end
local last, pos, done, pending = int(v[12]), int(v[13]), int(v[14]), v[15] or ''
local held, mine, turn = int(v[16]), int(v[17]), int(v[18])
local rebuild, act = v[21], v[24] or ''
local function seen_of(text)
    local e, g = string.match(text or '', '^(%d+) (%d+)$')
    return int(e), int(g)
end
local epoch_seen, gone_seen = seen_of(v[30])
local own_epoch = tonumber(ARGV[21])
local proof_pos, proof_chain, proof_number = string.match(v[31] or '', '^(%d+) (%d+) (%d+)$')
proof_pos, proof_chain, proof_number = int(proof_pos), proof_chain or '0', int(proof_number)

-- Whose sale is it? A journal with grants never gives up its sale, nor does a node, while it runs,
-- that has seen grants of others, to one that has not begun; who has neither takes the hash's.
local sold_before = jlast > 0
for g in string.gmatch(ARGV[18], '%d+:%d+:(%d+):[01]') do
    sold_before = sold_before or jsale ~= '' and tonumber(g) > 0
end
local fresh = not sale and jsale == ''
local lost = not sale and jsale ~= ''
if sale and sale ~= jsale then
    if sold_before and v[9] ~= '1' then
        lost = true -- a node without a journal came first after Redis had lost everything
    elseif jlast > 0 then
        return {'OTHER', 'Redis holds sale ' .. sale .. ', this journal is of sale ' .. jsale}
    elseif last > 0 or int(v[29]) > 0 or gone_seen > 0 or proof_number > 0 then
        return {'OTHER', 'Redis knows orders of this node that the journal does not hold (if they are '
            .. 'lost for good, start it as a node with a number of its own)'}
    end
end
local of_another = lost and sale -- all that the hash says of the nodes
if not of_another then
    if math.max(int(v[11]), epoch_seen) > own_epoch then
        return {'OTHER', 'epoch ' .. string.format('%.0f', math.max(int(v[11]), epoch_seen))
            .. ' of this node is in use, the journal is at ' .. ARGV[21]}
    elseif math.max(pos, proof_pos) > jend or math.max(done, proof_number) > jlast then
        return {'OTHER', 'Redis has settled up to record ' .. math.max(pos, proof_pos)
            .. ', the journal ends at ' .. jend}
    end
end
local now = redis.call('TIME')
now = now[1] * 1000 + math.floor(now[2] / 1000)
local proof = of_another and '0 0' or proof_pos .. ' ' .. proof_chain
if ARGV[22] == '' then
    return {'OK', proof, v[11] or '0', v[32] or '0', now}
elseif ARGV[22] ~= proof or ARGV[23] ~= '' and ARGV[23] ~= (v[32] or '0') then
    return {'ATTACH', 'a call of this node has come since it was looked up'}
end

local known, ids = {}, {}
for id in string.gmatch((v[10] or '') .. ' ' .. node .. ' ' .. ARGV[17], '%d+') do
    if not known[id] then
        known[id] = true
        ids[#ids + 1] = id
    end
end
if #ids > 256 then
    return {'OTHER', 'the sale has 256 nodes already, more than a node can know'}
end
local gones, ours = {}, 0 -- what each node has out, as the hash says
for i, id in ipairs(ids) do
    gones[i] = id .. ':gone'
end
gones = redis.call('HMGET', H, unpack(gones))
for i, id in ipairs(ids) do
    gones[id] = lost and 0 or int(gones[i])
    ours = ours + gones[id]
end
if tonumber(v[19] or '') and not lost then
    if not v[20] then
        gones[node] = int(v[19]) - ours -- the field is lost, the sum is not
    end
    ours = int(v[19])
end

-- Do this node's fields add up? If not, the journal tells them again from its first record.
local line_count, pending_sum, complete = 0, 0, true
for line in string.gmatch(pending, '[^\n]+') do
    line_count = line_count + 1
    pending_sum = pending_sum + int(string.match(line, '^%d+'))
end
for _, i in ipairs({12, 13, 14, 15, 16, 17, 20}) do
    complete = complete and v[i]
end
local stale = v[22] and v[22] ~= v[21]
local broken = v[11] and not stale and not (complete and v[22]
    and done + line_count == last and held + mine + pending_sum == gones[node])
-- Up to which record the stream has been told: in two places, for the stream may outlive the hash.
local streamless = (v[23] or redis.call('HEXISTS', registry, 'told') == 1) and is[6] == 'none'
local told = streamless and 0
    or math.max(int(v[28]), int(redis.call('HGET', registry, 'told:' .. node)))
-- What operators have set is lost? Every journal is asked, for the last act may be in one only.
local unset = not (fresh or lost) and not ((total or aside) and v[5] and v[6])
if unset then
    version, state, aside, act = jversion, ARGV[14], jtotal, ARGV[20]
end
local wipe = fresh or lost or broken or streamless or unset or not v[21]
    or redis.call('HGET', requests, '') ~= sale .. ' ' .. (v[25] or '')
    or redis.call('HGET', buyers, '') ~= sale .. ' ' .. (v[26] or '')
    or redis.call('LINDEX', grants, 0) ~= sale .. ' ' .. (v[21] or '')
    or redis.call('LLEN', grants) ~= tonumber(v[27] or '')
if wipe or stale then
    last, pos, done, pending, held, mine = 0, 0, 0, '', 0, 0
end

-- Has Redis lost something? Then nobody sells until every known node has settled again.
local behind = wipe and not fresh or last < jlast or not sold
    or turn < seen_turn or sold - ours < seen_foreign or not fresh and version < jversion
local repair = fresh or lost or behind or v[8] ~= run
if lost then
    sale, secret, version, state, act = jsale, ARGV[7], jversion, ARGV[14], ARGV[20]
    sold = v[19] and math.max((sold or 0) - int(v[19]), seen_foreign) or (sold or 0) + seen_foreign
    aside = jtotal
elseif fresh then
    sale, secret, version, state = ARGV[8], ARGV[9], 1, 'open'
    sold = sold or 0
    aside = total or jtotal -- a hash that exists wins
elseif repair and not aside then
    aside = total or jtotal
end
if aside and not fresh and jversion > version then -- of all journals the one that knows most
    version, state, aside, act = jversion, ARGV[14], jtotal, ARGV[20]
end
if not fresh and ARGV[14] == 'closed' and state ~= 'closed' then -- which is final, whoever knows it
    version, state, act = math.max(version, jversion) + 1, 'closed', ''
end

-- Void: pending names the numbers done+1 .. last, a line each; the journal has those up to jlast.
-- In repair all of them go, for an old dump may name numbers that were voided and given again
-- since; nobody can sell their tickets before the journal has settled what it holds.
local keep = aside and done or jlast
local kept, voided, number, lines, tickets_back, keys_back = 0, 0, done, {}, {}, {}
for line in string.gmatch(pending, '[^\n]+') do
    local n, buyer, key = string.match(line, '^(%d+) ?(%S*) ?(%S*)$')
    number = number + 1
    if number <= keep then
        lines[#lines + 1] = line
        kept = kept + int(n)
    else
        voided = voided + 1
        local value = (key or '') ~= '' and redis.call('HGET', requests, key) or ''
        local id, of = string.match(value, '^.(%x%x%x%x)%-%x%x(%x+):')
        if id and tonumber(id, 16) == tonumber(node) and tonumber(of, 16) == number then
            keys_back[#keys_back + 1] = key
        end
        if (buyer or '') ~= '' then
            tickets_back[buyer] = (tickets_back[buyer] or 0) + int(n)
        end
    end
end
pending = #lines > 0 and table.concat(lines, '\n') .. '\n' or ''
last = math.min(last, keep)

-- A node that was silent is not waited for: what was last seen of it stays counted. A hash that is
-- not an older one shows itself whether the node has come back since; if Redis has forgotten, only
-- news of just now can be believed. Nor is a node waited for that such a hash has never seen.
local silent, never, seen, change, comes_again = {}, {}, {}, 0, false
local newer = not lost and seen_turn > 0 and turn >= seen_turn
local drop = repair and (v[8] ~= run or not v[7] or wipe)
-- A dump may have been taken in a repair: who was ready then need not be so now.
local unready = drop or repair and turn < seen_turn
if aside then
    for id, e, g, quiet in string.gmatch(ARGV[18], '(%d+):(%d+):(%d+):([01])') do
        e, g = tonumber(e), tonumber(g)
        local epoch_now = lost and 0 or int(redis.call('HGET', H, id .. ':epoch'))
        local unmoved = quiet == '1' and epoch_now <= e
        if newer then
            unmoved = unmoved and gones[id] == g
        else
            unmoved = unmoved and ARGV[19] == '1'
        end
        if known[id] and id ~= node and unmoved then
            silent[id] = true
            change = change + math.max(g - gones[id], 0)
            gones[id] = math.max(gones[id], g)
        end
        if known[id] and id ~= node and jsale == sale then
            local e_told, g_told = seen_of(not drop and redis.call('HGET', H, id .. ':seen'))
            seen[id] = {epoch = math.max(e, e_told), gone = math.max(g, g_told),
                older = epoch_now > 0 and epoch_now < e}
        end
    end
    for _, id in ipairs(ids) do -- nor one that a repair already waits for
        never[id] = newer and not behind and v[9] == '1' and id ~= node
            and not redis.call('HGET', H, id .. ':epoch')
            and (not v[7] or redis.call('HGET', H, id .. ':ready') == '1')
    end
end

-- gone is always held + sold + pending, ours the sum of all nodes' gone, sold = ours + foreign.
change = change + held + mine + kept - gones[node]
gones[node] = held + mine + kept
sold = (sold or ours) + change
ours = ours + change
if repair then
    sold = math.max(sold, ours + seen_foreign)
end

if lost then -- who had come before must attach again, to this sale; what the stream has, it has
    for _, id in ipairs(ids) do
        for _, field in ipairs({'epoch', 'ready', 'last', 'pos', 'done', 'pending', 'held', 'sold',
            'gone', 'knows', 'rebuild', 'lost', 'seen', of_another and 'proof' or nil}) do
            redis.call('HDEL', H, id .. ':' .. field)
        end
    end
    redis.call('HSET', H, 'begun', sold_before and 1 or 0)
end
turn = math.max(turn, seen_turn) + 1
if wipe then
    redis.call('DEL', requests, buyers, grants)
    rebuild = turn
    redis.call('RPUSH', grants, sale .. ' ' .. rebuild)
    redis.call('HSET', H, 'marks', 1)
end
if wipe or #keys_back > 0 then -- see step.lua
    redis.call('HSET', requests, '', sale .. ' ' .. turn)
    redis.call('HSET', H, 'requests', turn)
end
if wipe or next(tickets_back) then
    redis.call('HSET', buyers, '', sale .. ' ' .. turn)
    redis.call('HSET', H, 'buyers', turn)
end
if streamless then -- every change is told to the new stream
    redis.call('HDEL', H, 'streamed')
    redis.call('HDEL', registry, 'told')
    for _, id in ipairs(ids) do
        redis.call('HDEL', H, id .. ':told')
        redis.call('HDEL', registry, 'told:' .. id)
    end
end
for _, key in ipairs(keys_back) do
    redis.call('HDEL', requests, key)
end
for buyer, n in pairs(tickets_back) do
    if redis.call('HINCRBY', buyers, buyer, -n) <= 0 then
        redis.call('HDEL', buyers, buyer)
    end
end
for _, id in ipairs(ids) do
    if seen[id] then
        redis.call('HSET', H, id .. ':seen', string.format('%.0f %.0f', seen[id].epoch,
            seen[id].gone))
    elseif drop then
        redis.call('HDEL', H, id .. ':seen')
    end
    -- Who attached under an older epoch has another journal, or the hash is older. Let him attach.
    if seen[id] and seen[id].older and redis.call('HGET', H, id .. ':fenced') ~= '1' then
        redis.call('HSET', H, id .. ':fenced', 1, id .. ':ready', 0)
        comes_again = true
    end
    if silent[id] then
        redis.call('HSET', H, id .. ':ready', 1, id .. ':gone', gones[id])
    elseif unready then
        redis.call('HSET', H, id .. ':ready', never[id] and 1 or 0)
    end
end
if aside then
    redis.call('HSET', H, T, -1, 'aside', aside) -- put aside, so that nobody can sell
end
local since = tonumber(v[33] or '')
if unready or comes_again or aside and not (v[7] and since) then
    since = now
    redis.call('HSET', H, 'since', since)
end
redis.call('HSET', H, S, sold, 'ours', ours, 'sale', sale, 'secret', secret, 'version', version,
    'turn', turn, 'state', state, 'run', run, 'known', table.concat(ids, ' '),
    me .. 'epoch', epoch, me .. 'fenced', 0, me .. 'ready', 0, me .. 'last', last, me .. 'pos', pos,
    me .. 'done', done, me .. 'pending', pending, me .. 'held', held, me .. 'sold', mine,
    me .. 'gone', gones[node], 'rebuild', rebuild, me .. 'rebuild', rebuild, 'act', act,
    me .. 'told', told, me .. 'beat', now)
return {'OK', sale, secret, pos, state, version, aside or total, aside and 1 or 0, voided,
    table.concat(ids, ' '), turn, act, aside and since or 0}
