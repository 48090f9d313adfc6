#!/bin/bash
# bench.sh: spike next to its alternatives, and next to the cost of the kernel alone.
#
#     bench/bench.sh [WORKLOAD ...]    refusals sales latency ab idle recovery nodes; default: all
#         PAIRS=5            rounds; in each, every peer is measured once, one after the other;
#                            three times as many of refusals
#         SECONDS_EACH=2     of each measurement
#         RESULTS=FOLDER     of RESULTS.md and plots/ (bench/ if all is run, else build/bench/)
#         RECOVERY_ORDERS='10000 100000 1000000'
# Compared figures come from the same round of the same run, and the report has ratios: this machine
# may be half as fast an hour later. Cost is answers per second of CPU that the server (with sales:
# server and Redis) has used. load.c makes the load and checks it: a wrong answer, a closed
# connection, or a stock that does not fall by the number of yeses ends the run, and nothing is
# written. A seller may answer "busy, try again" to less than one request in a thousand; the buyer
# then retries, and the report counts that. The workloads are in workloads.sh; peers/*.sh start and
# stop the peers. Measurements are lines in $work/rates, $work/idle and $work/recovery, the commands
# are in $work/commands; report.sh makes the tables, plots.sh the pictures.
set -euo pipefail

# shellcheck source=bench/lib.sh
. "$(dirname "$0")/lib.sh"
all=(refusals sales latency ab idle recovery nodes)
pairs=${PAIRS:-5}
seconds=${SECONDS_EACH:-2}
recovery_orders=${RECOVERY_ORDERS:-10000 100000 1000000}
tickets=10000000 # enough for all rounds
declare -A path expect shares counted
# shellcheck source=bench/workloads.sh
. "$bench/workloads.sh"
for peer in "$bench"/peers/*.sh; do
    # shellcheck source=/dev/null
    . "$peer"
done

# note COMMAND...: for the report, with the names of this run taken out; each once.
note() {
    local line="$*"
    line=${line//$work/DIR}
    line=${line//$tools\//}
    line=${line//$root\//}
    line=$(sed -E 's/(127\.0\.0\.1:|"http_port": |^floor )[0-9]+/\1PORT/g
                   s/ -E ([^ ]+)/ -E '"'\\1'"'/' <<<"$line")
    grep -qxF -- "$line" "$work/commands" || echo "$line" >>"$work/commands"
}

info() { printf '%s\n' "$*" >&2; }

# field NAME LINE: the value of a name in a line of names and values.
field() {
    awk -v name="$1" '{ for (i = 1; i < NF; i += 2) if ($i == name) print $(i + 1) }' <<<"$2"
}

# peer NAME EXPECT [SHARES [COUNTED [PATH]]]: how NAME is measured. SHARES: other servers that work
# for it; COUNTED: a command that prints how many tickets it has sold.
peer() {
    expect[$1]=$2
    shares[$1]=${3-}
    counted[$1]=${4-}
    path[$1]=${5:-${path[$1]:-/buy/ticket}}
}

# load NAME OPTION...: one run against a peer, without a record. A seller may be busy.
load() {
    local name=$1
    shift
    "$tools/load" "$@" ${counted[$name]:+-b} -e "${expect[$name]}" "${address[$name]}" \
        "${path[$name]}" || die "$name failed"
}

# has_sold NAME COUNT
# shellcheck disable=SC2317 # until_true calls it
has_sold() { [ "$(${counted[$1]})" -eq "$2" ]; }

# measure WORKLOAD NAME ROUND OPTION...: one line of $work/rates: workload, name, round, answers/s,
# answers per CPU-second, p50, p99, p99.9 and the longest in us, answers, busy answers before them.
measure() {
    local workload=$1 name=$2 round=$3 line before after sold=0
    shift 3
    # shellcheck disable=SC2206 # lists of words
    local workers=($name ${shares[$name]})
    [ -z "${counted[$name]}" ] || sold=$(${counted[$name]})
    before=$(cpu_ns "${workers[@]}")
    line=$(load "$name" "$@")
    after=$(cpu_ns "${workers[@]}")
    # Exactly as many as answered; a ticket that a fault took may come back a moment later.
    [ -z "${counted[$name]}" ] || until_true has_sold "$name" $((sold + $(field answers "$line"))) ||
        die "$workload: $name sold $(($(${counted[$name]}) - sold)) tickets: $line"
    [ "$round" != warm ] || return 0
    awk -v OFS='\t' -v w="$workload" -v n="$name" -v r="$round" -v cpu=$((after - before)) \
        '{ print w, n, r, $8, $2 * 1e9 / cpu, $10, $12, $14, $16, $2, $18 }' <<<"$line" \
        >>"$work/rates"
}

# Over all rounds, since a stall of the machine hits every peer of one round.
check_busy() {
    awk -F'\t' -v w="$1" '$1 == w { all[$2] += $10; busy[$2] += $11 }
        END { for (n in all) if (busy[n] * 1000 >= all[n])
                  printf "%s: %d answers, and %d times \"busy\"\n", n, all[n], busy[n] }' \
        "$work/rates" >"$work/busy"
    [ ! -s "$work/busy" ] || die "$1: $(cat "$work/busy")"
}

# compare WORKLOAD "NAMES" OPTION...: A B C, A B C ...; an option OPTIONS_NAME is replaced below.
compare() {
    local workload=$1 names=$2 name round
    shift 2
    info "== $workload"
    for name in $names; do
        # shellcheck disable=SC2046 # a list of words
        note load "$@" $(own_options "$name") -d "$seconds" ${counted[$name]:+-b} \
            -e "'${expect[$name]}'" "${address[$name]}" "${path[$name]}" "   # $workload: $name"
    done
    for round in warm $(seq "$pairs"); do
        for name in $names; do
            # shellcheck disable=SC2046
            measure "$workload" "$name" "$round" "$@" $(own_options "$name") \
                -d "$([ "$round" = warm ] && echo 1 || echo "$seconds")"
        done
        [ "$round" = warm ] || info "$(tail -n "$(wc -w <<<"$names")" "$work/rates" |
            awk -F'\t' '{ printf "   %s %.0f/s, %.0f per CPU-s", $2, $4, $5 }')"
    done
    check_busy "$workload"
}

# Options for one peer alone: ${options[NAME]}.
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
    rm -rf "$work"/*.journal
}

# Gets the two bodies from spike; all peers answer with them.
fetch_bodies() {
    spike_start bodies '' 'event ticket { total 1; }'
    spike_ready bodies ticket
    until_true spike_yes || die "no ticket: $(cat "$work/bodies.log")"
    no=$(curl -s "http://${address[bodies]}/buy/ticket")
    yes=$(cat "$work/yes")
    printf %s "$no" >"$work/no"
    [ "${#yes}" -eq "${#no}" ] || die 'yes and no have different lengths'
    stop_all
}

# shellcheck disable=SC2317 # until_true calls it
spike_yes() {
    curl -s "http://${address[bodies]}/buy/ticket" >"$work/yes"
    grep -q '"code":1,' "$work/yes"
}

# ---- the whole

[ "$(stat -f -c %T "$work")" != tmpfs ] ||
    die "$work is in memory, where no sale is durable: set TMPDIR to a folder on a disk"
[ "$(ulimit -n)" -ge 11200 ] || ulimit -n 20000 2>/dev/null || ulimit -n 11200 2>/dev/null ||
    die 'ulimit -n: 11200 are needed'
[[ $pairs =~ ^[1-9][0-9]*$ ]] || die "PAIRS=$pairs: how many rounds, from 1"
[[ $seconds =~ ^[1-9][0-9]*$ ]] || die "SECONDS_EACH=$seconds: whole seconds, from 1"
[[ $recovery_orders =~ ^[1-9][0-9]*(\ [1-9][0-9]*)*$ ]] ||
    die "RECOVERY_ORDERS='$recovery_orders': numbers of orders, with blanks between them"
[ -x "$tools/load" ] || die "$tools/load is missing: \`make bench\` builds it"
chosen=("$@")
[ $# -gt 0 ] || chosen=("${all[@]}")
for workload in "${chosen[@]}"; do
    [[ " ${all[*]} " = *" $workload "* ]] || die "$workload: no such workload; there are ${all[*]}"
done
touch "$work"/{rates,idle,recovery,commands}
began=$SECONDS
cut -d' ' -f1-3 /proc/loadavg >"$work/loadavg"
git -C "$root" describe --always --dirty >"$work/commit" 2>/dev/null || echo 'no git' >"$work/commit"
fetch_bodies
for workload in "${chosen[@]}"; do
    [ "$workload" != ab ] || workload=ab_load
    "$workload"
done
results=${RESULTS:-$([ $# -gt 0 ] && echo "$tools" || echo "$bench")}
mkdir -p "$results"
rm -f "$results"/plots/*.{svg,png}
"$bench/plots.sh" "$work" "$results/plots"
PAIRS=$pairs SECONDS_EACH=$seconds TOOK=$((SECONDS - began)) \
    "$bench/report.sh" "$work" "$results" "${all[*]}" "${chosen[@]}"
info "in $results: RESULTS.md and plots/"
