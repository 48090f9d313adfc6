#!/bin/bash
# bench.sh: spike next to what people would use instead, and next to what the kernel costs.
#
#     bench/bench.sh [WORKLOAD ...]    refusals sales latency ab idle recovery nodes; default: all
#         PAIRS=5            rounds; in each, everybody is measured once, one after the other
#         SECONDS_EACH=2     of each measurement
#         RESULTS=FOLDER     of RESULTS.md and plots/ (bench/ if all is run, else build/bench/)
#         RECOVERY_ORDERS='10000 100000 1000000'
#
# Every figure that is compared comes from the same round of the same run, and what is reported are
# ratios: this machine may be half as fast an hour later. Cost is answers per second of CPU that the
# server (with sales: server and Redis) has used. Load and judgement are those of load.c: a wrong
# answer, a closed connection, or a stock that does not fall by the number of yeses ends the run,
# and nothing is written. The peers are started here and stopped here (peers/*.sh).
#
# Measurements are lines in $place/rates, $place/idle and $place/recovery; report.sh makes the
# tables.
set -euo pipefail

# shellcheck source=bench/lib.sh
. "$(dirname "$0")/lib.sh"
all=(refusals sales latency ab idle recovery nodes)
pairs=${PAIRS:-5}
seconds=${SECONDS_EACH:-2}
recovery_orders=${RECOVERY_ORDERS:-10000 100000 1000000}
tickets=10000000 # enough for all rounds
declare -A path expect shares counted
for peer in "$bench"/peers/*.sh; do
    # shellcheck source=/dev/null
    . "$peer"
done

# note COMMAND...: for the report, with the names of this run taken out; each once.
note() {
    local line="$*"
    line=${line//$place/DIR}
    line=${line//$tools\//}
    grep -qxF -- "$line" "$place/commands" 2>/dev/null || echo "$line" >>"$place/commands"
}

say() { printf '%s\n' "$*" >&2; }

# field NAME LINE: of a line of names and values.
field() {
    awk -v name="$1" '{ for (i = 1; i < NF; i += 2) if ($i == name) print $(i + 1) }' <<<"$2"
}

# peer NAME EXPECT [SHARES [COUNTED [PATH]]]: how NAME is measured. SHARES: who works for it
# besides; COUNTED: a command that tells how many tickets it has sold.
peer() {
    expect[$1]=$2
    shares[$1]=${3-}
    counted[$1]=${4-}
    path[$1]=${5:-${path[$1]:-/buy/ticket}}
}

# load NAME OPTION...: one run against a peer, without a record.
load() {
    local name=$1
    shift
    "$tools/load" "$@" -e "${expect[$name]}" "${address[$name]}" "${path[$name]}" ||
        die "$name failed"
}

# measure WORKLOAD NAME ROUND OPTION...: one line of $place/rates:
# workload, name, round, answers/s, answers per CPU-second, p50, p99, p99.9 and the longest in us.
measure() {
    local workload=$1 name=$2 round=$3 line before after sold=0
    shift 3
    # shellcheck disable=SC2206 # lists of words
    local workers=($name ${shares[$name]})
    [ -z "${counted[$name]}" ] || sold=$(${counted[$name]})
    before=$(cpu_ns "${workers[@]}")
    line=$(load "$name" "$@")
    after=$(cpu_ns "${workers[@]}")
    if [ -n "${counted[$name]}" ]; then
        sold=$(($(${counted[$name]}) - sold))
        [ "$sold" -eq "$(field answers "$line")" ] ||
            die "$workload: $name sold $sold tickets and said yes $(field answers "$line") times"
    fi
    echo "$line" >"$place/last"
    [ "$round" != warm ] || return 0
    awk -v OFS='\t' -v w="$workload" -v n="$name" -v r="$round" -v cpu=$((after - before)) \
        '{ print w, n, r, $8, $2 * 1e9 / cpu, $10, $12, $14, $16 }' <<<"$line" >>"$place/rates"
}

# compare WORKLOAD "NAMES" OPTION...: A B C, A B C ...; an option OPTIONS_NAME is replaced below.
compare() {
    local workload=$1 names=$2 name round
    shift 2
    say "== $workload"
    for name in $names; do
        # shellcheck disable=SC2046 # a list of words
        note load "$@" $(own_options "$name") -d "$seconds" -e "'${expect[$name]}'" \
            "${address[$name]}" "${path[$name]}" "   # $workload: $name"
    done
    for round in warm $(seq "$pairs"); do
        for name in $names; do
            # shellcheck disable=SC2046
            measure "$workload" "$name" "$round" "$@" $(own_options "$name") \
                -d "$([ "$round" = warm ] && echo 1 || echo "$seconds")"
        done
        [ "$round" = warm ] || say "$(tail -n "$(wc -w <<<"$names")" "$place/rates" |
            awk -F'\t' '{ printf "   %s %.0f/s, %.0f per CPU-s", $2, $4, $5 }')"
    done
}

# What only one of them is given: ${options[NAME]}.
declare -A options
own_options() { echo "${options[$1]-}"; }

stop_all() {
    local name
    for ((i = ${#order[@]} - 1; i >= 0; i--)); do
        stop_server "${order[i]}"
    done
    order=()
    for name in "${!address[@]}"; do
        unset "address[$name]" "options[$name]" "path[$name]"
    done
    rm -rf "$place"/*.journal
}

# The two bodies that everybody answers with are spike's own.
take_bodies() {
    spike_start bodies '' 'event ticket { total 1; }'
    spike_ready bodies ticket
    until_true spike_yes || die "no ticket: $(cat "$place/bodies.log")"
    no=$(curl -s "http://${address[bodies]}/buy/ticket")
    yes=$(cat "$place/yes")
    printf %s "$no" >"$place/no"
    [ "${#yes}" -eq "${#no}" ] || die 'yes and no have different lengths'
    stop_all
}

# shellcheck disable=SC2317 # until_true calls it
spike_yes() {
    curl -s "http://${address[bodies]}/buy/ticket" >"$place/yes"
    grep -q '"code":1,' "$place/yes"
}

# ---- workloads

refusals() {
    spike_start spike '' 'event ticket { total 1; }'
    spike_ready spike ticket
    spike_sell_out spike ticket
    nginx_refusing nginx
    redis_sale redis
    design_start go redis 1
    peer spike '{"code":-1,'
    peer nginx '{"code":-1,'
    peer go '{"code":-1,'
    peer floor '{"code":-1,'
    floor_start floor spike
    compare 'refusals, keep-alive' 'spike floor nginx go' -c 100
    stop_server floor
    floor_start floor spike 'Connection: close'
    compare 'refusals, a connection each' 'spike floor nginx go' -c 100 -x
    stop_server floor
    floor_start floor spike
    compare 'refusals, 16 pipelined' 'spike floor nginx' -c 100 -p 16
    stop_all
    refusals_keyed
}

# Keys that were never seen, and, one in fifty, a key that has a ticket and gets to hear so again;
# next to requests that are as long and have no key.
refusals_keyed() {
    redis_start redis
    spike_start plain redis 'event ticket { total 100; }'
    spike_ready plain ticket
    peer plain '{"code":1,'
    until_true "$tools/load" -n 100 -H Idempotency-Key -s soldkeys -e '{"code":1,' \
        "${address[plain]}" /buy/ticket || die 'the 100 tickets were not sold'
    spike_sell_out plain ticket
    address[keyed]=${address[plain]}
    pid[keyed]=${pid[plain]}
    peer plain '{"code":-1,' redis
    peer keyed '{"code":-1,' redis
    options[plain]='-H X-Nobody-Reads--'
    options[keyed]='-H Idempotency-Key -o soldkeys:100:50 -E {"code":1,'
    compare 'refusals with a key' 'keyed plain' -c 100
    unset 'pid[keyed]'
    stop_all
}

# Everybody who sells, each from a sale of its own that does not end.
start_sellers() {
    redis_start redis-spike
    redis_sale redis
    spike_start spike redis-spike "event ticket { total $tickets; }"
    nginx_selling nginx-lua redis
    webdis_start webdis redis
    design_start go redis 1000000000
    design_start go-log redis 1000000000 "$place/stat.log"
    spike_ready spike ticket
    peer spike '{"code":1,' redis-spike 'spike_sold spike'
    peer nginx-lua '{"code":1,' redis 'redis_sold redis'
    peer webdis '{"EVALSHA":' redis 'redis_sold redis'
    peer go '{"code":1,' redis 'redis_sold redis'
    peer go-log '{"code":1,' redis 'redis_sold redis'
}

sales() {
    start_sellers
    compare sales 'spike nginx-lua webdis go go-log' -c 100
    compare 'sales to 800 at a time' 'spike nginx-lua webdis go' -c 800
    sales_redis_alone
    stop_all
    sales_keyed
}

# What Redis itself can do with the script: in rounds of its own, which the ratios do not use.
sales_redis_alone() {
    local round rate before after requests=$((seconds * 50000))
    for round in $(seq "$pairs"); do
        before=$(cpu_ns redis)
        rate=$(redis_benchmark redis "$requests") || die 'redis-benchmark failed'
        after=$(cpu_ns redis)
        awk -v OFS='\t' -v r="$round" -v n="$requests" -v rate="$rate" -v cpu=$((after - before)) \
        'BEGIN { print "sales", "redis-benchmark", r, rate, n * 1e9 / cpu, "-", "-", "-", "-" }' \
            >>"$place/rates"
    done
}

# A key and a buyer of its own for each order, next to anonymous orders by requests as long.
sales_keyed() {
    redis_start redis
    spike_start plain redis "event ticket { total $tickets; }
        event keyed { total $tickets; }"
    spike_ready plain ticket
    spike_ready plain keyed
    address[keyed]=${address[plain]}
    pid[keyed]=${pid[plain]}
    peer plain '{"code":1,' redis 'spike_sold plain ticket'
    peer keyed '{"code":1,' redis 'spike_sold plain keyed' /buy/keyed
    options[plain]='-H X-Nobody-Reads-- -H X-Other'
    options[keyed]='-H Idempotency-Key -H X-Buyer'
    compare 'sales with key and buyer' 'keyed plain' -c 100
    unset 'pid[keyed]'
    stop_all
}

# Each at half of what it can do, by the median of three short runs with closed loops.
latency() {
    local name
    start_sellers
    for name in spike nginx-lua webdis go; do
        options[$name]="-r $(half "$name") -f $place/sale-$name.dist"
    done
    compare 'latency of a sale at 50 % load' 'spike nginx-lua webdis go' -c 100
    stop_all
    spike_start spike '' 'event ticket { total 1; }'
    spike_ready spike ticket
    spike_sell_out spike ticket
    nginx_refusing nginx
    peer spike '{"code":-1,'
    peer nginx '{"code":-1,'
    for name in spike nginx; do
        options[$name]="-r $(half "$name") -f $place/refusal-$name.dist"
    done
    compare 'latency of a refusal at 50 % load' 'spike nginx' -c 100
    stop_all
}

half() {
    for _ in 1 2 3; do
        load "$1" -c 100 -d 1
    done | awk '{ print int($8 / 2) }' | sort -n | sed -n 2p
}

# The prototype's commands, on the prototype's sale: 10,000 requests, 150 of them sales. A fresh
# sale for each run; ab says itself if an answer has another length or status than the first.
ab_load() {
    local round name keep
    redis_start redis-spike
    redis_sale redis
    for keep in '' -k; do
        say "== ab${keep:+ $keep}"
        note ab $keep -n 10000 -c 100 http://ADDRESS/buy/ticket
        for round in warm $(seq "$pairs"); do
            for name in spike go; do
                ab_fresh "$name"
                ab_round "$name" "$round" "$keep"
                stop_server "$name"
            done
        done
    done
    stop_all
}

ab_fresh() {
    if [ "$1" = spike ]; then
        redis_do redis-spike flushall >/dev/null
        rm -rf "$place/spike.journal"
        spike_start spike redis-spike 'event ticket { total 10000; local-stock 150; }'
        spike_ready spike ticket
        counted[spike]='spike_sold spike'
        shares[spike]='redis-spike'
    else
        design_start go redis 151 "$place/stat.log" # one is sold while it starts
        redis_refill redis 10000
        counted[go]='redis_sold redis'
        shares[go]=redis
    fi
}

ab_round() {
    local name=$1 round=$2 keep=$3 before after report
    # shellcheck disable=SC2206
    local workers=($name ${shares[$name]})
    before=$(cpu_ns "${workers[@]}")
    # shellcheck disable=SC2086 # no word if there is no -k
    report=$(ab $keep -n 10000 -c 100 "http://${address[$name]}/buy/ticket" 2>&1) ||
        die "$name: $report"
    after=$(cpu_ns "${workers[@]}")
    grep -q '^Complete requests: *10000$' <<<"$report" || die "$name: $report"
    grep -q '^Failed requests: *0$' <<<"$report" || die "$name: $report"
    ! grep -q '^Non-2xx' <<<"$report" || die "$name: $report"
    [ "$(${counted[$name]})" -eq 150 ] || die "$name sold $(${counted[$name]}) of 150 tickets"
    [ "$round" != warm ] || return 0
    awk -v OFS='\t' -v w="ab${keep:+ $keep}" -v n="$name" -v r="$round" -v cpu=$((after - before)) '
        /^Requests per second/ { rate = $4 }
        /^ *50%/ { p50 = $2 * 1000 } /^ *99%/ { p99 = $2 * 1000 } /^ *100%/ { max = $2 * 1000 }
        END { print w, n, r, rate, 10000 * 1e9 / cpu, p50, p99, "-", max }' <<<"$report" |
        tee -a "$place/rates" | awk -F'\t' '{ printf "   %s %.0f/s\n", $2, $4 }' >&2
}

# What 10,000 idle connections cost: the memory of a server that is made for them and holds them,
# each after one answer, less that of one that is made for 100 and holds none. So what a server
# reserves for a connection counts, and not only what it touches when one comes. There is room for
# 11,000, because nginx closes idle connections when a sixteenth is left.
idle() {
    local round name few bytes
    say '== idle'
    note load -i -c 10000 ADDRESS /buy/ticket
    redis_sale redis
    for round in $(seq "$pairs"); do
        for name in spike nginx go; do
            idle_memory "$name" 100 1
            few=$bytes
            idle_memory "$name" 11000 10000
            awk -v OFS='\t' -v n="$name" -v r="$round" -v few="$few" -v many="$bytes" \
                'BEGIN { print n, r, (many - few) / 10000, many }' | tee -a "$place/idle" |
                awk '{ printf "   %s %.0f bytes a connection, %.1f MiB\n", $1, $3, $4 / 2^20 }' >&2
        done
    done
    stop_all
}

# idle_memory NAME ROOM HELD: into $bytes.
idle_memory() {
    local name=$1 room=$2 held=$3 holder
    case $name in
    spike)
        rm -rf "$place/spike.journal"
        spike_start spike '' 'event ticket { total 1; }' 1 1 "$room"
        spike_ready spike ticket
        spike_sell_out spike ticket
        ;;
    nginx) nginx_refusing nginx "$room" ;;
    go) design_start go redis 1 ;;
    esac
    peer "$name" '{"code":-1,'
    mkfifo "$place/hold"
    "$tools/load" -i -c "$held" -e "${expect[$name]}" "${address[$name]}" /buy/ticket \
        <"$place/hold" >"$place/held" &
    holder=$!
    exec 8>"$place/hold"
    until_true grep -q "^answers $held " "$place/held" ||
        die "$name does not hold $held connections"
    bytes=$(memory_of "$name")
    exec 8>&-
    wait "$holder"
    rm "$place/hold"
    stop_server "$name"
}

# From exec to "open" after a kill -9, by the number of orders in the journal; the page cache is
# warm, as it is when a process has died and the machine has not.
recovery() {
    local kind
    say '== recovery'
    redis_start redis-spike
    for kind in standalone redis; do
        recover "$kind" "$([ "$kind" = standalone ] || echo redis-spike)"
    done
    stop_all
}

recover() {
    local kind=$1 redis=$2 orders have=0 round started took
    # Filling the journal is no measurement: it may take its time.
    local events='answer-timeout 20s; redis-timeout 10s; event ticket { total 10000000; }'
    spike_start spike "$redis" "$events"
    spike_ready spike ticket
    peer spike '{"code":1,'
    for orders in $recovery_orders; do
        load spike -c 400 -n $((orders - have)) >/dev/null
        have=$orders
        for round in $(seq "$pairs"); do
            stop_server spike KILL
            started=$(date +%s%N)
            spike_start spike "$redis" "$events"
            "$tools/load" -w 60 -e '{"code":1,"msg":"ok","data":{"event":"ticket","state":"open"' \
                "${address[spike]}" /stock/ticket || die "spike did not recover $orders orders"
            took=$((($(date +%s%N) - started) / 1000))
            [ "$(spike_sold spike)" -eq "$orders" ] ||
                die "of $orders orders $(spike_sold spike) were recovered"
            printf '%s\t%s\t%s\t%s\t%s\n' "$kind" "$orders" "$round" "$took" \
                "$(du -k "$place/spike.journal" | awk '{ print $1 * 1024 }')" >>"$place/recovery"
        done
        say "   $kind, $orders orders: $((took / 1000)) ms"
    done
    stop_server spike
    rm -rf "$place/spike.journal"
    unset 'address[spike]'
}

# One node without Redis, and 1, 2, 4 nodes that share one; the load goes to all nodes alike.
nodes() {
    local count i list name sells="event ticket { total $tickets; }"
    spike_start standalone '' "$sells"
    spike_ready standalone ticket
    peer standalone '{"code":1,' '' 'spike_sold standalone'
    for count in 1 2 4; do
        redis_start "redis-$count"
        list=
        shares[nodes-$count]="redis-$count"
        for i in $(seq "$count"); do
            name=node-$count-$i
            [ "$i" -gt 1 ] || name=nodes-$count
            spike_start "$name" "redis-$count" "$sells" "$i" "$(seq -s ' ' "$count")"
            list+=${list:+,}${address[$name]}
            [ "$i" -eq 1 ] || shares[nodes-$count]+=" $name"
        done
        spike_ready "nodes-$count" ticket
        peer "nodes-$count" '{"code":1,' "${shares[nodes-$count]}" \
            "redis_do redis-$count hget ticket_hash_key ticket_sold_nums"
        address["nodes-$count"]=$list
    done
    compare nodes 'standalone nodes-1 nodes-2 nodes-4' -c 100
    stop_all
}

# ---- the whole

[ "$(stat -f -c %T "$place")" != tmpfs ] ||
    die "$place is in memory, where no sale is durable: set TMPDIR to a folder on a disk"
[ "$(ulimit -n)" -ge 10200 ] || ulimit -n 20000 2>/dev/null || die 'ulimit -n: 10200 are needed'
chosen=("$@")
[ $# -gt 0 ] || chosen=("${all[@]}")
for workload in "${chosen[@]}"; do
    [[ " ${all[*]} " = *" $workload "* ]] || die "$workload: no such workload; there are ${all[*]}"
done
touch "$place"/{rates,idle,recovery,commands}
began=$SECONDS
take_bodies
for workload in "${chosen[@]}"; do
    [ "$workload" != ab ] || workload=ab_load
    "$workload"
done
results=${RESULTS:-$([ $# -gt 0 ] && echo "$tools" || echo "$bench")}
mkdir -p "$results"
rm -rf "$results/plots"
"$bench/plots.sh" "$place" "$results/plots"
"$bench/report.sh" "$place" "$results" "$pairs" "$seconds" $((SECONDS - began)) "${chosen[@]}"
say "in $results: RESULTS.md and plots/"
