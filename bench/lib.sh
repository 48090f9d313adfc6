# lib.sh: what the benchmarks share; sourced, not run. Sets up $place, which is gone at the end with
# every process in $pids.
# shellcheck shell=bash

place=$(mktemp -d)
pids=()

finish() {
    for pid in "${pids[@]}"; do
        kill -TERM "$pid" 2>/dev/null || true
        wait "$pid" 2>/dev/null || true
    done
    rm -rf "$place"
}
trap finish EXIT
trap 'exit 130' INT TERM

die() {
    echo "${0##*/}: $*" >&2
    exit 1
}

# Waits until a command succeeds; at most ten seconds.
until_true() {
    for _ in $(seq 200); do
        "$@" >/dev/null 2>&1 && return 0
        sleep 0.05
    done
    return 1
}

# Ticks of CPU that processes and their children, which are still there, have used.
ticks() {
    local pid all sum=0 stat
    all=$(for pid in "$@"; do
        echo "$pid"
        pgrep -P "$pid" || true
    done)
    for pid in $all; do
        stat=$(cat "/proc/$pid/stat")
        # shellcheck disable=SC2086  # the fields after the name, one word each
        set -- ${stat##*) }
        sum=$((sum + ${12} + ${13}))
    done
    echo "$sum"
}

# min, median and max of the numbers in a file; false if the median is below the floor.
judge() {
    sort -n "$1" | awk -v floor="$2" '{ r[NR] = $1 } END {
        median = NR % 2 ? r[(NR + 1) / 2] : (r[NR / 2] + r[NR / 2 + 1]) / 2
        printf "ratio min %.3f median %.3f max %.3f (floor %.2f)\n", r[1], median, r[NR], floor
        exit median < floor }'
}
