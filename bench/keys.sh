#!/bin/bash
# keys.sh: what do keys and buyers cost?
#
#   sales      every order with a key and a buyer of its own, next to anonymous ones: sales per
#              CPU-second of server and Redis together
#   refusals   a sold-out event asked with keys never seen before, and one in RETRIED of them the key
#              of a ticket that was sold, next to the same requests without a key: answers per
#              CPU-second of the server
#
# One server, one Redis (appendfsync no: the journal is what must be durable here), A B A B ...,
# PAIRS pairs of SECONDS_EACH seconds, load by `wrk -t1 -c100` with keep-alive; requests of both
# kinds are equally long.
#
#     bench/keys.sh [path of spike-server]      PAIRS=5 SECONDS_EACH=5 FLOOR_SALES=0.6
#                                               FLOOR_REFUSALS=0.8 RETRIED=50
#
# Exit 1 if the median of the ratios is below its floor.
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
server=${1:-$root/build/spike-server}
pairs=${PAIRS:-5}
seconds=${SECONDS_EACH:-5}
retried=${RETRIED:-50}
tickets=100
# shellcheck source=bench/lib.sh
. "$root/bench/lib.sh"

start_redis() {
    redis-server --port 0 --unixsocket "$place/redis" --save '' --dir "$place" \
        >"$place/redis.log" 2>&1 &
    redis_pid=$!
    pids+=("$redis_pid")
    until_true redis-cli -s "$place/redis" ping || die "$(cat "$place/redis.log")"
}

start_spike() {
    cat >"$place/spike.conf" <<CONF
node 1;
listen 127.0.0.1:0;
workers 1;
connections 1000;
journal $place/journal { size 4g; }
redis unix:$place/redis;
event plain { total 10000000; stock-max 10000000; }
event keyed { total 10000000; stock-max 10000000; }
event gone  { total $tickets; }
CONF
    "$server" -c "$place/spike.conf" 2>"$place/spike.log" &
    spike_pid=$!
    pids+=("$spike_pid")
    until_true grep -q 'listening on' "$place/spike.log" || die "$(cat "$place/spike.log")"
    url=http://$(sed -n 's/.*listening on //p' "$place/spike.log" | head -n 1)
    until_true is_open || die "$(cat "$place/spike.log")"
}

# shellcheck disable=SC2317  # until_true calls it
is_open() {
    curl -s "$url/stock/gone" | grep -q '"open"'
}

# shellcheck disable=SC2317
is_bought() {
    curl -s -H "Idempotency-Key: $1" "$url/buy/gone" | grep -q '"code":1'
}

# Each ticket to a key of its own.
sell_out() {
    for i in $(seq "$tickets"); do
        until_true is_bought "ticket-key-$i-long-enough" || die 'a ticket was not sold'
    done
}

# Requests as wrk sends them: PATH, keyed or plain.
script() {
    cat >"$place/$2.lua" <<LUA
local n, round = 0, os.time()
local head = {["$([ "$2" = keyed ] && echo Idempotency-Key || echo X-Nobody-Reads--)"] = "",
              ["$([ "$2" = keyed ] && echo X-Buyer || echo X-Other)"] = ""}
local names = {}
for name in pairs(head) do names[#names + 1] = name end
table.sort(names)
function request()
    n = n + 1
    local key = string.format("key-%d-%09d", round, n)
    if "$1" == "/buy/gone" and n % $retried == 0 then
        key = string.format("ticket-key-%d-long-enough", n / $retried % $tickets + 1)
        return wrk.format("GET", "$1", {[names[1]] = key})
    end
    if "$1" == "/buy/gone" then
        return wrk.format("GET", "$1", {[names[1]] = key})
    end
    return wrk.format("GET", "$1", {[names[1]] = key, [names[2]] = key})
end
LUA
}

# One round: PATH KIND what-counts -> "per second  per CPU-second".
measure() {
    local before after report done_before done_after requests pid
    sleep 1.1 # keys carry the second
    script "$1" "$2"
    if [ "$3" = sales ]; then pid=("$spike_pid" "$redis_pid"); else pid=("$spike_pid"); fi
    done_before=$(sold "${1#/buy/}")
    before=$(ticks "${pid[@]}")
    report=$(wrk -t1 -c100 "-d${seconds}s" -s "$place/$2.lua" "$url")
    after=$(ticks "${pid[@]}")
    done_after=$(sold "${1#/buy/}")
    if grep -q 'Non-2xx\|Socket errors' <<<"$report"; then
        die "$report"
    fi
    requests=$(sed -n 's/^ *\([0-9]*\) requests in.*/\1/p' <<<"$report")
    if [ "$3" = sales ]; then requests=$((done_after - done_before)); fi
    awk -v n="$requests" -v t="$((after - before))" -v hz="$(getconf CLK_TCK)" -v s="$seconds" \
        'BEGIN { printf "%.0f %.0f\n", n / s, n * hz / t }'
}

sold() {
    curl -s "$url/stock/$1" | sed 's/.*"sold":\([0-9]*\).*/\1/'
}

# compare WHAT PLAIN-PATH KEYED-PATH FLOOR
compare() {
    measure "$2" plain "$1" >/dev/null # both warm
    measure "$3" keyed "$1" >/dev/null
    : >"$place/ratios"
    printf '%-9s %12s %12s %12s %12s %8s %8s\n' "$1" 'plain/s' 'per CPU-s' 'keyed/s' 'per CPU-s' \
        'ratio' '(rates)'
    for pair in $(seq "$pairs"); do
        read -r plain_rate plain_cost < <(measure "$2" plain "$1")
        read -r keyed_rate keyed_cost < <(measure "$3" keyed "$1")
        ratio=$(awk -v a="$keyed_cost" -v b="$plain_cost" 'BEGIN { printf "%.3f", a / b }')
        echo "$ratio" >>"$place/ratios"
        printf '%-9s %12s %12s %12s %12s %8s %8s\n' "$pair" "$plain_rate" "$plain_cost" \
            "$keyed_rate" "$keyed_cost" "$ratio" \
            "$(awk -v a="$keyed_rate" -v b="$plain_rate" 'BEGIN { printf "%.3f", a / b }')"
    done
    judge "$place/ratios" "$4"
}

start_redis
start_spike
sell_out
failed=0
compare refusals /buy/gone /buy/gone "${FLOOR_REFUSALS:-0.8}" || failed=1
compare sales /buy/plain /buy/keyed "${FLOOR_SALES:-0.6}" || failed=1
exit "$failed"
