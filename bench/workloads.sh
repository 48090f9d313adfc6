# workloads.sh: what bench.sh measures, one function for each workload; sourced, not run.
# shellcheck shell=bash disable=SC2004,SC2034,SC2154 # the arrays are of bench.sh

# The goals are as close as two rounds differ, so there are more rounds.
refusals() {
    local pairs=$((3 * pairs))
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

# New keys, and one in fifty a key with a ticket, which is answered with it again; next to requests
# of the same length without a key.
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
    options[plain]='-H X-Ignored-Header'
    options[keyed]='-H Idempotency-Key -o soldkeys:100:50 -E {"code":1,'
    compare 'refusals with a key' 'keyed plain' -c 100
    unset 'pid[keyed]'
    stop_all
}

# All sellers, each with a sale that does not end, for 1,000 connections.
start_sellers() {
    redis_start redis-spike
    redis_sale redis
    spike_start spike redis-spike "event ticket { total $tickets; }" 1 1 2000
    nginx_selling nginx-lua redis
    webdis_start webdis redis
    design_start go redis 1000000000
    design_start go-log redis 1000000000 "$work/stat.log"
    spike_ready spike ticket
    peer spike '{"code":1,' redis-spike 'spike_sold spike'
    peer nginx-lua '{"code":1,' redis 'redis_sold redis'
    peer webdis '{"EVALSHA":' redis 'redis_sold redis'
    peer go '{"code":1,' redis 'redis_sold redis'
    peer go-log '{"code":1,' redis 'redis_sold redis'
}

# A moderate number of buyers at a time, and as many as at the opening of a sale.
sales() {
    local connections
    start_sellers
    for connections in 100 1000; do
        compare "sales, $connections connections" 'spike nginx-lua webdis go go-log' \
            -c "$connections"
        sales_redis_alone "$connections"
    done
    stop_all
    sales_keyed
}

# The script without HTTP in front, one call for each ticket: in rounds of its own, so without ratios.
sales_redis_alone() {
    local round rate before after requests=$((seconds * 50000))
    for round in $(seq "$pairs"); do
        before=$(cpu_ns redis)
        rate=$(redis_benchmark redis "$requests" "$1") || die 'redis-benchmark failed'
        after=$(cpu_ns redis)
        awk -v OFS='\t' -v w="sales, $1 connections" -v r="$round" -v n="$requests" \
            -v rate="$rate" -v cpu=$((after - before)) 'BEGIN {
                print w, "redis-benchmark", r, rate, n * 1e9 / cpu, "-", "-", "-", "-", n, 0
            }' >>"$work/rates"
    done
}

# A key and a buyer of its own for each order, next to anonymous orders with requests of the same
# length.
sales_keyed() {
    local connections
    redis_start redis
    spike_start plain redis "event ticket { total $tickets; }
        event keyed { total $tickets; }" 1 1 2000
    spike_ready plain ticket
    spike_ready plain keyed
    address[keyed]=${address[plain]}
    pid[keyed]=${pid[plain]}
    peer plain '{"code":1,' redis 'spike_sold plain ticket'
    peer keyed '{"code":1,' redis 'spike_sold plain keyed' /buy/keyed
    options[plain]='-H X-Ignored-Header -H X-Other'
    options[keyed]='-H Idempotency-Key -H X-Buyer'
    for connections in 100 1000; do
        compare "sales with key and buyer, $connections connections" 'keyed plain' \
            -c "$connections"
    done
    unset 'pid[keyed]'
    stop_all
}

# Each peer at half of its highest rate, the median of three short runs with closed loops.
latency() {
    local name
    start_sellers
    for name in spike nginx-lua webdis go; do
        options[$name]="-r $(half_rate "$name") -f $work/sale-$name.dist"
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
        options[$name]="-r $(half_rate "$name") -f $work/refusal-$name.dist"
    done
    compare 'latency of a refusal at 50 % load' 'spike nginx' -c 100
    stop_all
}

half_rate() {
    for _ in 1 2 3; do
        load "$1" -c 100 -d 1
    done | awk '{ print int($8 / 2) }' | sort -n | sed -n 2p
}

# The prototype's commands, on the prototype's sale: 10,000 requests, 150 of them sales. A fresh
# sale for each run; ab itself reports answers with another length or status than the first.
ab_load() {
    local round name keep
    redis_start redis-spike
    redis_sale redis
    for keep in '' -k; do
        info "== ab${keep:+ $keep}"
        note ab $keep -n 10000 -c 100 http://ADDRESS/buy/ticket
        for round in warm $(seq "$pairs"); do
            for name in spike go-log; do
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
        rm -rf "$work/spike.journal"
        spike_start spike redis-spike 'event ticket { total 10000; local-stock 150; }'
        spike_ready spike ticket
        counted[spike]='spike_sold spike'
        shares[spike]='redis-spike'
    else
        design_start go-log redis 151 "$work/stat.log" # one is sold during the start
        redis_refill redis 10000
        counted[go-log]='redis_sold redis'
        shares[go-log]=redis
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
    awk -v OFS='\t' -v w="$([ -n "$keep" ] && echo 'ab -k' || echo 'ab, a connection each')" -v n="$name" -v r="$round" -v cpu=$((after - before)) '
        /^Requests per second/ { rate = $4 }
        /^ *50%/ { p50 = $2 * 1000 } /^ *99%/ { p99 = $2 * 1000 } /^ *100%/ { max = $2 * 1000 }
        END { print w, n, r, rate, 10000 * 1e9 / cpu, p50, p99, "-", max, 10000, 0 }' <<<"$report" |
        tee -a "$work/rates" | awk -F'\t' '{ printf "   %s %.0f/s\n", $2, $4 }' >&2
}

# The cost of 10,000 idle connections: the memory of a server configured for them that holds them,
# each after one answer, less that of one configured for 100 that holds one. So the memory reserved
# for a connection counts, not only the memory touched by one. The capacity is 11,000, because nginx
# closes idle connections when a sixteenth of its capacity is left.
idle() {
    local round name few bytes
    info '== idle'
    note load -i -c 10000 ADDRESS /buy/ticket
    redis_sale redis
    for round in $(seq "$pairs"); do
        for name in spike nginx go; do
            idle_memory "$name" 100 1
            few=$bytes
            idle_memory "$name" 11000 10000
            awk -v OFS='\t' -v n="$name" -v r="$round" -v few="$few" -v many="$bytes" \
                'BEGIN { print n, r, (many - few) / 10000, many }' | tee -a "$work/idle" |
                awk '{ printf "   %s %.0f bytes a connection, %.1f MiB\n", $1, $3, $4 / 2^20 }' >&2
        done
    done
    stop_all
}

# idle_memory NAME CAPACITY HELD: into $bytes.
idle_memory() {
    local name=$1 capacity=$2 held=$3 holder
    case $name in
    spike)
        rm -rf "$work/spike.journal"
        spike_start spike '' 'event ticket { total 1; }' 1 1 "$capacity"
        spike_ready spike ticket
        spike_sell_out spike ticket
        ;;
    nginx) nginx_refusing nginx "$capacity" ;;
    go) design_start go redis 1 ;;
    esac
    peer "$name" '{"code":-1,'
    mkfifo "$work/hold"
    "$tools/load" -i -c "$held" -e "${expect[$name]}" "${address[$name]}" /buy/ticket \
        <"$work/hold" >"$work/held" &
    holder=$!
    exec 8>"$work/hold"
    until_true grep -q "^answers $held " "$work/held" ||
        die "$name does not hold $held connections"
    bytes=$(memory_of "$name")
    exec 8>&-
    wait "$holder"
    rm "$work/hold"
    stop_server "$name"
}

# From exec to "open" after a kill -9, by the number of orders in the journal; the page cache is
# warm, as it is when a process has died and the machine has not.
recovery() {
    local kind
    info '== recovery'
    redis_start redis-spike
    for kind in standalone redis; do
        recover "$kind" "$([ "$kind" = standalone ] || echo redis-spike)"
    done
    stop_all
}

recover() {
    local kind=$1 redis=$2 orders have=0 round started took
    local open='{"code":1,"msg":"ok","data":{"event":"ticket","state":"open"'
    # Filling the journal is not measured: its time-outs are long.
    local events="answer-timeout 20s; redis-timeout 10s; event ticket { total $tickets; }"
    spike_start spike "$redis" "$events"
    spike_ready spike ticket
    peer spike '{"code":1,' '' 'spike_sold spike'
    note load -c 400 -n ORDERS -b ADDRESS /buy/ticket "   # recovery: fills the journal"
    note load -w 60 -e "'$open'" ADDRESS /stock/ticket "   # recovery: from exec to this answer"
    for orders in $recovery_orders; do
        load spike -c 400 -n $((orders - have)) >/dev/null
        have=$orders
        for round in $(seq "$pairs"); do
            stop_server spike KILL
            started=$(date +%s%N)
            spike_start spike "$redis" "$events"
            "$tools/load" -w 60 -e "$open" "${address[spike]}" /stock/ticket ||
                die "spike did not recover $orders orders: $(tail -n 3 "$work/spike.log")"
            took=$((($(date +%s%N) - started) / 1000))
            [ "$(spike_sold spike)" -eq "$orders" ] ||
                die "of $orders orders $(spike_sold spike) were recovered"
            printf '%s\t%s\t%s\t%s\t%s\n' "$kind" "$orders" "$round" "$took" \
                "$(du -k "$work/spike.journal" | awk '{ print $1 * 1024 }')" >>"$work/recovery"
        done
        info "   $kind, $orders orders: $((took / 1000)) ms"
    done
    stop_server spike
    rm -rf "$work/spike.journal"
    unset 'address[spike]'
}

# One node without Redis, and 1, 2, 4 nodes that share one; the load is spread evenly.
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
