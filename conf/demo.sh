#!/bin/bash
# `make demo`: a sale on a small cluster. A private Redis, the four nodes of conf/cluster, nginx in
# front of them, and ab, which buys until the sale is sold out and then continues to send requests;
# meanwhile spike-top, live on a terminal; at the end the sums, and exit 1 if they are wrong. All
# files are below OUT/demo, each run is a new sale, and no process survives it, however it ends.
#
#     conf/demo.sh OUT      environment: REQUESTS 100000, BUYERS 100 (at a time), PORT_BASE 3000
#
# On a terminal the work is done in a process group of its own, so that only this script gets
# Ctrl-C. Each server has its own group as well, so that they are stopped in order: first nginx and
# the nodes, then Redis.
# shellcheck disable=SC2317 # some functions are called by traps and by name
set -eu
cd "$(dirname "$0")/.."

if [ -t 0 ] && [ -z "${SPIKE_DEMO_GROUP-}" ]; then
    set -m
    status=0
    SPIKE_DEMO_GROUP=$$ "$0" "$@" || status=$?
    exit $status
fi
set -m

out=$1
requests=${REQUESTS:-100000}
buyers=${BUYERS:-100}
base=${PORT_BASE:-3000}
demo=$out/demo
total=10000
rehearsal=1000
nodes=(1 2 3 4)
confs=()
pids=() # in the order of their start
wrong=0
PATH=$PATH:/usr/sbin # nginx, for users other than root

print() { printf '%s\n' "$*"; }
commas() { sed ':again; s/\B[0-9]\{3\}\>/,&/; t again' <<<"$*"; }
alive() { kill -0 "$1" 2>/dev/null; }

# stop PID: TERM, and after five seconds KILL.
stop() {
    local tries=50
    kill -TERM "$1" 2>/dev/null || return 0
    while alive "$1" && [ $((tries -= 1)) -gt 0 ]; do sleep 0.1; done
    kill -KILL -- "-$1" 2>/dev/null || true # and its children
}

finish() {
    local status=$? i
    trap '' INT TERM HUP
    exec 2>/dev/null # bash would report each one as terminated
    # A signal may come between a start and its entry in the list.
    [ -z "${!-}" ] || [[ " ${pids[*]} " == *" $! "* ]] || pids+=("$!")
    for ((i = ${#pids[@]} - 1; i >= 0; i--)); do stop "${pids[i]}"; done
    wait 2>/dev/null || true
    exit "$status"
}

# fail WHAT [LOG]
fail() {
    print "make demo: $1" >&2
    [ ! -s "${2-}" ] || tail -n 20 "$2" >&2
    exit 1
}

# start LOG COMMAND...: in the background; the pid is $!.
start() {
    local log=$1
    shift
    "$@" >>"$log" 2>&1 </dev/null 9>&- &
    pids+=($!)
}

# until_true LOG WHAT COMMAND...: waits for a condition while the process started last lives.
until_true() {
    local tries=400 log=$1 what=$2
    shift 2
    until "$@"; do
        alive "${pids[-1]}" || fail "$what has ended" "$log"
        [ $((tries -= 1)) -gt 0 ] || fail "$what does not answer" "$log"
        sleep 0.05
    done
}

# ---------------------------------------------------------------- what runs

# The configurations of conf/cluster, with other ports if PORT_BASE is set.
configure() {
    local port edits=() node
    for port in 1 2 3 4 5 901 902 903 904; do
        edits+=(-e "s/:$((3000 + port))\b/:@$((base + port))/g")
    done
    cp conf/cluster/{node?,sale,redis,nginx}.conf "$demo"
    sed -i "${edits[@]}" -e 's/:@/:/g' "$demo"/*.conf
    for node in "${nodes[@]}"; do confs+=(-c "$demo/node$node.conf"); done
}

redis_server() { cd "$demo" && exec redis-server redis.conf; }
listens() { grep -qs 'listening on' "$1"; }
stats() { curl -fsS --max-time 5 "http://127.0.0.1:$((base + 900 + $1))/stats" 2>/dev/null; }
is_open() { stats "$1" | grep -q '"name":"ticket","state":"open"'; }

start_all() {
    local node
    start "$demo/redis.log" redis_server
    until_true "$demo/redis.log" redis-server test -S "$demo/redis.sock"
    # A node whose port is in use ends at once; the program that uses it must not pass for the node.
    for node in "${nodes[@]}"; do
        start "$demo/node$node.log" "$out/spike-server" -c "$demo/node$node.conf"
        until_true "$demo/node$node.log" "node $node" listens "$demo/node$node.log"
    done
    for node in "${nodes[@]}"; do
        until_true "$demo/node$node.log" "node $node" is_open "$node"
    done
    start "$demo/nginx.log" nginx -p "$demo" -c nginx.conf -g 'daemon off;'
    until_true "$demo/nginx.log" nginx test -s "$demo/nginx.pid"
}

# buy COUNT LOG: the load, in the background.
buy() { start "$2" ab -q -k -n "$1" -c "$buyers" "$url"; }

# ends PID: waits, interruptible by a signal; returns the exit status.
ends() {
    local status=0
    wait "$1" || status=$?
    return $status
}

# The console: in the group of this script, so that both get Ctrl-C. It ends soon after the load, or
# by q.
watch_live() {
    (
        while alive "$1"; do sleep 0.1; done
        sleep 3
        kill -TERM "$(cat "$demo/top.pid")"
    ) >/dev/null 2>&1 9>&- &
    pids+=($!)
    set +m
    sh -c 'echo $$ >"$0" && exec "$@"' "$demo/top.pid" \
        "$out/spike-top" -d 0.5 "${confs[@]:0:2}" 9>&- || true # quit before a node had answered
    set -m
}

watch_batch() {
    "$out/spike-top" -b -d 1 "${confs[@]:0:2}" </dev/null 9>&- &
    pids+=($!)
    ends "$1" || true
    stop "${pids[-1]}"
    print
}

# ---------------------------------------------------------------- the results

# field NAME TEXT: a number of /stats.
field() { sed -n "s/.*\"$1\":\([0-9]*\).*/\1/p" <<<"$2"; }
# figure NAME LOG: a number of ab's report; 0 if it is missing.
figure() {
    awk -v name="$1" 'index($0, name) == 1 { n = $(split(name, w) + 1) } END { print n + 0 }' "$2"
}

# check 0 or 1: 0 is marked as wrong, and makes the exit status 1.
check() {
    [ "$1" -eq 0 ] || return 0
    wrong=1
    printf '  WRONG'
}

# Requests of each node so far.
counts() {
    local node
    for node in "${nodes[@]}"; do
        print "$(stats "$node" | sed 's/.*"http":{"requests":\([0-9]*\).*/\1/')"
    done
}

# row NODE WEIGHT FIRST REQUESTS SOLD LOCAL-STOCK
row() {
    local cells=()
    mapfile -t cells < <(for cell in "${@:2}"; do commas "$cell"; done)
    printf '  %4s  %6s  %8s  %8s  %7s  %11s' "$1" "${cells[@]}"
}

table() {
    local weights after node i=0 sold stock text sums=(0 0 0 0 0)
    mapfile -t weights < <(sed -n 's/.* weight=\([0-9]*\) .*/\1/p' "$demo/nginx.conf")
    mapfile -t after < <(counts)
    printf '  %4s  %6s  %8s  %8s  %7s  %11s\n' node weight 'of 1,000' requests sold local-stock
    for node in "${nodes[@]}"; do
        text=${texts[i]}
        sold=$(field node_sold "$text")
        stock=$(field local_stock "$text")
        row "$node" "${weights[i]}" "${first[i]}" "${after[i]}" "$sold" "$stock"
        check $((first[i] == weights[i] * rehearsal / 10 && sold <= stock))
        print
        sums=($((sums[0] + weights[i])) $((sums[1] + first[i])) $((sums[2] + after[i]))
            $((sums[3] + sold)) $((sums[4] + stock)))
        i=$((i + 1))
    done
    row all "${sums[@]}"
    check $((sums[2] == requests && sums[3] == redis_sold))
    printf '\n\n'
}

# Reads the number of sold tickets from the journals, from Redis and from the nodes. True: they are
# equal. The journals also hold orders whose answer came too late, and which were returned.
collect() {
    local node
    texts=()
    journaled=$("$out/spike-log" "${confs[@]}" export |
        awk -F, 'NR > 1 && $5 ~ /^(held|sold)$/ && !seen[$3]++ { n += $6 } END { print n + 0 }')
    redis_sold=$(redis-cli -s "$demo/redis.sock" hget ticket_hash_key ticket_sold_nums)
    by_nodes=0
    for node in "${nodes[@]}"; do
        texts+=("$(stats "$node")")
        by_nodes=$((by_nodes + $(field node_sold "${texts[-1]}")))
    done
    "$out/spike-log" "${confs[@]}" audit >"$demo/audit" 2>&1 || return 0 # a breach will not pass
    [ "$journaled" -eq "$redis_sold" ] && [ "$redis_sold" -eq "$by_nodes" ] &&
        ! grep -q '^open:' "$demo/audit"
}

# Waits until the three are equal: once everything is settled, within a beat, on a slow disk a
# little later. If they never are, the sums show it.
wait_until_settled() {
    local tries=100
    until collect || [ $((tries -= 1)) -eq 0 ]; do sleep 0.2; done
}

summary() {
    local expected failed rate
    expected=$((requests < total ? requests : total))
    wait_until_settled
    failed=$(($(figure 'Failed requests:' "$demo/ab") + $(figure 'Non-2xx responses:' "$demo/ab") +
        requests - rehearsal - $(figure 'Complete requests:' "$demo/ab")))
    table
    printf '  sold        %s of %s, each in a journal' "$(commas "$journaled")" "$(commas $total)"
    check $((journaled == expected && redis_sold == expected))
    printf '\n  oversold    %s' "$((journaled > total ? journaled - total : 0))"
    check $((journaled <= total && redis_sold <= total))
    printf '\n  failed      %s of %s requests' "$(commas "$failed")" "$(commas "$requests")"
    check $((failed == 0))
    rate=$(figure 'Requests per second:' "$demo/ab")
    printf '\n  requests/s  %s' "$(commas "${rate%.*}")"
    printf '\n  p99         %s ms' "$(figure '  99%' "$demo/ab")"
    printf '\n  audit       %s' "$(tail -n 1 "$demo/audit")"
    check "$(grep -c '^no breach$' "$demo/audit" || true)"
    printf '\n'
}

[[ $requests =~ ^[1-9][0-9]{3,7}$ && $requests -ge $((2 * rehearsal)) && $requests == *0 ]] ||
    fail 'REQUESTS: 2,000 or more, in tens'
[[ $buyers =~ ^[1-9][0-9]{0,3}$ && $buyers -le $rehearsal ]] || fail 'BUYERS: 1 to 1,000 at a time'
[[ $base =~ ^[1-9][0-9]{3,4}$ && $base -ge 1024 && $base -le 64000 ]] ||
    fail 'PORT_BASE: 1024 to 64000'
url=http://127.0.0.1:$((base + 5))/buy/ticket

# Only one run at a time below OUT: another one would remove the journals that are in use.
mkdir -p "$out"
exec 9>"$demo.lock"
flock -n 9 || fail "another make demo is using $demo"
rm -rf "$demo"
mkdir "$demo"

trap 'exit 130' INT TERM HUP
trap finish EXIT
configure
start_all

print "10,000 tickets; four nodes, one Redis, nginx in front: $url"
print
print "$(commas $rehearsal) requests, to see how they spread: ab -k -n $rehearsal -c $buyers"
buy $rehearsal "$demo/ab-first"
ends "${pids[-1]}" || fail 'ab has failed' "$demo/ab-first"
mapfile -t first < <(counts)

print "$(commas $((requests - rehearsal))) more: ab -k -n $((requests - rehearsal)) -c $buyers"
print
buy $((requests - rehearsal)) "$demo/ab"
ab=${pids[-1]}
if [ -t 0 ] && [ -t 1 ]; then watch_live "$ab"; else watch_batch "$ab"; fi
ends "$ab" || fail 'ab has failed' "$demo/ab"
summary
exit $wrong
