#!lua
-- act: an operator pauses, resumes, closes or restocks the event. Compare and set: who has seen an
-- older version than this one does nothing, looks again, and asks again if he still wants it.
--
-- KEYS  1 hash  2 requests  3 buyers  4 grants  5 nodes  6 orders
-- ARGV  1 node  2 epoch  3 total's field  4 sold's field  5 version that the node has seen
--       6 state and 7 total from now on  8 time_ms and 9 where it comes from
--       10 turn that the node has seen
--
-- answers {'OK', 'done' | 'stale' | 'low' | 'later', state, version, total, sold, ours,
--          repair 0|1, turn}
--         low: less than is gone; later: in repair nobody knows what is gone, nor which
--         journal has the last act. Nothing was done then.
--      or {'ATTACH', why}
local H, node, T, S = KEYS[1], ARGV[1], ARGV[3], ARGV[4]
local v = redis.call('HMGET', H, T, S, 'ours', 'version', 'state', 'aside', node .. ':epoch',
    node .. ':fenced', 'turn')
local sold, ours, version = tonumber(v[2] or ''), tonumber(v[3] or ''), tonumber(v[4] or '')
local aside, turn = tonumber(v[6] or ''), tonumber(v[9] or '') or 0
local total, state, wanted = aside or tonumber(v[1] or ''), v[5] or 'open', tonumber(ARGV[7])
if v[7] ~= ARGV[2] or v[8] == '1' then
    return {'ATTACH', 'this node was fenced'}
elseif not (total and sold and ours and version) then
    return {'ATTACH', 'the hash has lost fields'}
elseif turn < tonumber(ARGV[10]) then
    return {'ATTACH', 'the hash is older than what this node has seen'}
end
local outcome = 'done'
if ARGV[5] ~= v[4] then
    outcome = 'stale'
elseif aside then
    outcome = 'later'
elseif wanted ~= total and wanted < sold then
    outcome = 'low'
else
    total, state, version, turn = wanted, ARGV[6], version + 1, turn + 1
    redis.call('HSET', H, T, total, 'state', state, 'version', version,
        'turn', turn, 'act', table.concat({version, node, ARGV[8], ARGV[9]}, ' '))
end
return {'OK', outcome, state, version, total, sold, ours, aside and 1 or 0, turn}
