#!/bin/bash
# profile.sh: where the time of a refusal or a sale is spent, while spike-server answers at full
# speed.
#
#     bench/profile.sh refusal|sale perf|strace|callgrind [load option ...]
#
#   perf       counters (perf stat), then the functions that take the most (perf record)
#   strace     system calls, and how many for each answer; the server is slower meanwhile
#   callgrind  instructions for each answer, by thread and by function, and with sales also those
#              of Redis: exact, also on a busy machine. ANSWERS=20000
#
# The load is that of bench.sh, 100 connections; further options go to load, as -p 16 or -x.
set -euo pipefail

# shellcheck source=bench/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=bench/peers/spike.sh
. "$bench/peers/spike.sh"
# shellcheck source=bench/peers/redis.sh
. "$bench/peers/redis.sh"

usage='usage: profile.sh refusal|sale perf|strace|callgrind [load option ...]'
what=${1-}
how=${2-}
answers=${ANSWERS:-20000}
[[ $what = refusal || $what = sale ]] || die "$usage"
[[ $how = perf || $how = strace || $how = callgrind ]] || die "$usage"
shift 2
tool=$how
[ "$tool" != callgrind ] || tool=valgrind
command -v "$tool" >/dev/null || die "$tool is missing: make bench-deps"

# wrap PROGRAM COMMAND...: makes a script that runs PROGRAM under COMMAND; prints its name.
wrap() {
    printf '#!/bin/sh\nexec %s "$@"\n' "${*:2} $1" >"$work/wrapped-${1##*/}"
    chmod +x "$work/wrapped-${1##*/}"
    echo "$work/wrapped-${1##*/}"
}

# The server, and Redis for sales.
start() {
    local redis='' total=1
    [ "$what" = refusal ] || { redis=redis total=10000000; redis_start redis; }
    spike_start spike "$redis" "answer-timeout 20s; redis-timeout 10s; # the tools make it slow
        event ticket { total $total; }"
    spike_ready spike ticket
    [ "$what" = sale ] || spike_sell_out spike ticket
}

run_load() {
    local expect='{"code":1,'
    [ "$what" = sale ] || expect='{"code":-1,'
    "$tools/load" -c 100 "$@" -e "$expect" "${address[spike]}" /buy/ticket
}

with_perf() {
    start
    run_load -d 12 "$@" >"$work/load" &
    sleep 1
    perf stat -p "${pid[spike]}" -- sleep 4 2>&1 || true
    perf record -q -g -o "$work/perf" -p "${pid[spike]}" -- sleep 4
    wait $!
    cat "$work/load"
    perf report -i "$work/perf" --stdio --no-children -g none --percent-limit 0.5 2>/dev/null |
        sed '/^#/d; /^$/d'
}

with_strace() {
    local tracer line
    start
    strace -c -f -o "$work/calls" -p "${pid[spike]}" 2>/dev/null &
    tracer=$!
    until_true grep -q '^TracerPid:.*[1-9]' "/proc/${pid[spike]}/status" || die 'strace cannot attach'
    line=$(run_load -n "$answers" "$@")
    kill -INT "$tracer"
    wait "$tracer" || true
    echo "$line"
    awk -v n="$(awk '{ print $2 }' <<<"$line")" '
        NR == 1 { print $0, " for each answer"; next }
        $NF != "total" && $4 ~ /^[0-9]+$/ { printf "%s %.4f\n", $0, $4 / n; next } { print }' \
        "$work/calls"
}

# count on|off: switches the counting of instructions.
count() {
    local name
    for name in "${order[@]}"; do
        callgrind_control -i "$1" "${pid[$name]}" >/dev/null 2>&1
    done
}

# The instructions of a thread: in all, and by function.
show_thread() {
    local sum
    sum=$(sed -n 's/^\(totals\|summary\): //p' "$1" | tail -n 1)
    [ "${sum:-0}" -gt "$answers" ] || return 0
    awk -v sum="$sum" -v n="$answers" -v f="${1##*/}" \
        'BEGIN { printf "\n%s: %.0f instructions for each answer\n", f, sum / n }'
    callgrind_annotate "$1" 2>/dev/null | grep -A25 'file:function' || true
}

with_callgrind() {
    local line file valgrind
    valgrind="valgrind -q --tool=callgrind --instr-atstart=no --separate-threads=yes \
        --callgrind-out-file=$work/callgrind"
    server=$(wrap "$server" "$valgrind.spike")
    REDIS_SERVER=$(wrap redis-server "$valgrind.redis")
    start
    run_load -n 2000 "$@" >/dev/null # warm
    count on
    line=$(run_load -n "$answers" "$@")
    count off
    for file in spike redis; do stop_server "$file"; done
    echo "$line"
    for file in "$work"/callgrind.*; do show_thread "$file"; done
}

"with_$how" "$@"
