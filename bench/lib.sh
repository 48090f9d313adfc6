# lib.sh: functions that the benchmarks share; sourced, not run. Makes the temporary folder $work,
# and removes it at the end with every process that run_server has started. The C programs are those
# of `make bench-tools`.
# shellcheck shell=bash disable=SC2034 # some variables are for the scripts that source this

bench=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(dirname "$bench")
tools=${TOOLS:-$root/build/bench}
server=${SERVER:-$root/build/spike-server}
work=$(mktemp -d -t spike-bench.XXXXXX)
order=()                # names of processes, the latest last
declare -A pid address  # of processes, by name

finish() {
    trap '' INT TERM HUP
    local i
    for ((i = ${#order[@]} - 1; i >= 0; i--)); do
        stop_server "${order[i]}"
    done
    rm -rf "$work"
}
trap finish EXIT
trap 'exit 130' INT TERM HUP

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

# note COMMAND...: records a command; bench.sh replaces this for its report.
note() { :; }

# The configuration files in $work among the arguments, each as a comment of one line.
settings_of() {
    local file
    for file; do
        case $file in "$work"/*.conf | "$work"/*.json)
            printf '  # %s: %s' "${file##*/}" "$(tr -s ' \n' ' ' <"$file")"
            ;;
        esac
    done
}

# run_server NAME COMMAND...: in the background; its log is $work/NAME.log.
run_server() {
    local name=$1
    shift
    note "$(printf '%q ' "$@")$(settings_of "$@")"
    "$@" >"$work/$name.log" 2>&1 </dev/null &
    pid[$name]=$!
    disown # or bash reports how it ended
    order+=("$name")
}

# stop_server NAME [SIGNAL]: SIGNAL or TERM, and after five seconds KILL.
stop_server() {
    local id=${pid[$1]-} tries=100
    [ -n "$id" ] || return 0
    kill -s "${2:-TERM}" "$id" 2>/dev/null || true
    while kill -0 "$id" 2>/dev/null && [ $((tries -= 1)) -gt 0 ]; do sleep 0.05; done
    kill -KILL "$id" 2>/dev/null || true
    unset "pid[$1]"
}

# ready NAME COMMAND...: waits for a server that run_server has started.
ready() {
    local name=$1
    shift
    until_true "$@" || die "$name does not answer: $(tail -n 5 "$work/$name.log")"
}

free_port() {
    python3 -c 'import socket; print(socket.create_server(("127.0.0.1", 0)).getsockname()[1])'
}

# The processes of these servers and their children, which do the work in nginx.
process_tree() {
    local name
    for name in "$@"; do
        echo "${pid[$name]}"
        pgrep -P "${pid[$name]}" || true
    done
}

# Nanoseconds of CPU that the threads of these servers have used. The scheduler's own count: the
# ticks of /proc/PID/stat come from the same source, but in steps of 10 ms.
cpu_ns() {
    local one
    for one in $(process_tree "$@"); do
        cat /proc/"$one"/task/*/schedstat 2>/dev/null || true # a thread may just have ended
    done | awk '{ sum += $1 } END { printf "%.0f\n", sum }'
}

# Bytes of memory of a server, without its journal's map, which is the page cache's.
memory_of() {
    local worker
    worker=$(pgrep -P "${pid[$1]}") || worker=${pid[$1]}
    awk '/^[0-9a-f]+-[0-9a-f]+ / { journal = $6 ~ /\/data\.mdb$/ }
         $1 == "Rss:" && !journal { sum += $2 }
         END { printf "%.0f\n", sum * 1024 }' "/proc/$worker/smaps"
}
