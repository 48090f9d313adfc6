#!/bin/bash
# million.sh: a sale with a million buyers: NODES nodes on this machine, EACH connections held open
# at once on each of them, and then each connection buys.
#
#     bench/million.sh [NODES [EACH]]      default: 100 nodes, 10,000 connections each, that is a
#         million; a smaller run for a first look: bench/million.sh 10 1000
# 100 tickets for each node (at most a tenth of EACH), and a tenth more in every local stock: so the
# others can sell a slow node's tickets, and all are sold. One private Redis. The sale begins when
# all connections are held and none has sent a request yet. Each buyer stays with its node and sends
# one request; after "busy" it repeats it, later each time (million_buyers.c). These must be true,
# or the exit status is 1: all connections were held at the same time, also by the nodes' count;
# every answer is yes, sold out, or sold out here; there are as many yeses as tickets, all ids
# differ, and they are exactly those of the journals; Redis and the audit agree; no node has logged
# a warning or an error. If the kernel's limits do not allow the run, it does not begin, and prints
# what to set. The result is printed, and written to bench/MILLION.md; that of a smaller run to
# build/MILLION.md (another file: RESULT=FILE). One machine runs the nodes, Redis and a million
# buyers at the same time: nodes on machines of their own would be faster.
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
server=${SERVER:-$root/build/spike-server}
spike_log=${server%/*}/spike-log
tools=${TOOLS:-$root/build/bench}
# shellcheck source=bench/lib.sh
. "$root/bench/lib.sh"

nodes=${1:-100}
each=${2:-10000}
buyers=
redis=
node_pids=()
confs=()
wrong=()
[[ $nodes =~ ^[1-9][0-9]*$ && $each =~ ^[1-9][0-9]*$ ]] || die 'usage: million.sh [NODES [EACH]]'
[ "$nodes" -le 256 ] || die "$nodes nodes: a sale has at most 256"
total=$((nodes * each))
result=$root/build/MILLION.md
[ "$total" -lt 1000000 ] || result=$root/bench/MILLION.md
result=${RESULT:-$result}
[ $# -le 2 ] || die 'usage: million.sh [NODES [EACH]]'
[ -x "$tools/million" ] || die "$tools/million is missing: \`make bench-million\` builds it"
share=$((each < 1000 ? (each + 9) / 10 : 100))
tickets=$((nodes * share))
stock=$((share + (share + 9) / 10))
# The connections of a process of buyers: its limit of open files less a few, at most 19,000.
files=$(ulimit -Hn)
[ "$files" != unlimited ] || files=1048576
max_each=$((files - 200 < 19000 ? files - 200 : 19000))
processes=$((max_each > 0 ? (total + max_each - 1) / max_each : 1))
# Requests under way at a time, of each process: they must not bring TCP's memory, of which one byte
# takes a page, under pressure.
pressure=$(awk '{ print $1 }' /proc/sys/net/ipv4/tcp_mem 2>/dev/null || echo 100000)
in_flight=$((pressure / 2 / processes > 0 ? pressure / 2 / processes : 1))

stop() {
    local one tries=600 # of 50 ms
    [ $# -eq 0 ] || kill -TERM "$@"
    for one; do
        while kill -0 "$one" && [ $((tries -= 1)) -gt 0 ]; do sleep 0.05; done
        kill -KILL "$one"
    done
}

# First the buyers, then the nodes, then Redis. All nodes get TERM before the script waits for any:
# a hundred, one after the other, would take long.
finish() {
    trap '' INT TERM HUP
    set +e
    exec 2>/dev/null # bash would report how each one ended
    stop ${buyers:+"$buyers"}
    stop "${node_pids[@]}"
    stop ${redis:+"$redis"}
    wait
    rm -rf "$work"
}
trap 'exit 130' INT TERM HUP

info() { printf '%s\n' "$*" >&2; }
commas() { sed ':again; s/\B[0-9]\{3\}\>/,&/; t again' <<<"$*"; }
# On a terminal a line that changes; elsewhere nothing.
progress() { [ ! -t 2 ] || printf '\r\033[K%s' "$*" >&2; }

# wait_for SECONDS WHAT LOG COMMAND...: waits until it succeeds; else prints WHAT and the log's end.
wait_for() {
    local until=$((SECONDS + $1)) what=$2 log=$3
    shift 3
    until "$@" 2>/dev/null; do
        [ $SECONDS -lt $until ] || die "$what"$'\n'"$(tail -n 3 "$log")"
        sleep 0.05
    done
}

# ---------------------------------------------------------------- whether the machine allows it

# Measured sizes, rounded up: both ends of a connection and their descriptors in the kernel, and its
# memory in node and buyers; an idle node with its journal; a process of buyers.
bytes_connection=11264
bytes_node=$((8 << 20))
bytes_process=$((1 << 20))

# need WHAT HAVE NEED HELP: one line for each limit that is too low.
need() {
    [ "$2" -lt "$3" ] || return 0
    info "${0##*/}: $1: $(commas "$2"), needed $(commas "$3"): $4"
    wrong+=("$1")
}

setting() { cat "/proc/sys/${1//.//}"; }
meminfo() { awk -v name="$1:" '$1 == name { print $2 }' /proc/meminfo; } # KiB

# The free memory for this run in MiB, of the machine or of the control group.
memory_free() {
    local group left
    left=$(($(meminfo MemAvailable) / 1024))
    group=/sys/fs/cgroup$(sed -n 's/^0:://p' /proc/self/cgroup)
    if [[ $(cat "$group/memory.max" 2>/dev/null) =~ ^[0-9]+$ ]]; then
        group=$((($(cat "$group/memory.max") - $(cat "$group/memory.current")) >> 20))
        left=$((group < left ? group : left))
    fi
    echo "$left"
}

check_limits() {
    local ports low high used watches
    ulimit -n "$(ulimit -Hn)"
    read -r low high <<<"$(setting net.ipv4.ip_local_port_range)"
    read -r used _ <<<"$(setting fs.file-nr)"
    ports=$((high - low + 1))
    watches=$(setting fs.epoll.max_user_watches)
    need 'open files of a process (ulimit -n)' "$files" $((each + 200)) \
        'raise the hard limit, or choose fewer connections on each node'
    need 'open files of the system (fs.file-max)' $(($(setting fs.file-max) - used)) \
        $((2 * total + 100 * (nodes + processes))) 'sysctl -w fs.file-max=...'
    need 'watches of epoll (fs.epoll.max_user_watches)' "$watches" $((2 * total + 10000)) \
        'sysctl -w fs.epoll.max_user_watches=...'
    # Each node has its own port, so the same source ports serve for all nodes.
    need 'source ports (net.ipv4.ip_local_port_range)' "$ports" \
        $((each + each / 10 + nodes + 100)) \
        'sysctl -w net.ipv4.ip_local_port_range="10000 65000"'
    need 'connections not accepted yet (net.core.somaxconn)' "$(setting net.core.somaxconn)" 1024 \
        'sysctl -w net.core.somaxconn=4096'
    need 'connections half open (net.ipv4.tcp_max_syn_backlog)' \
        "$(setting net.ipv4.tcp_max_syn_backlog)" 1024 'sysctl -w net.ipv4.tcp_max_syn_backlog=4096'
    if [ "$(setting net.netfilter.nf_conntrack_count 2>/dev/null || echo 0)" -gt 0 ]; then
        need 'tracked connections (net.netfilter.nf_conntrack_max)' \
            "$(setting net.netfilter.nf_conntrack_max)" $((total + 10000)) \
            'sysctl -w net.netfilter.nf_conntrack_max=..., or do not track the loopback'
    fi
    need 'memory in MiB' "$(memory_free)" \
        $(((total * bytes_connection + nodes * bytes_node + processes * bytes_process) >> 20)) \
        'choose fewer nodes or connections'
    need "disk space in KiB below $work" "$(df -kP "$work" | awk 'NR == 2 { print $4 }')" \
        $((nodes * 4096)) 'choose another disk with TMPDIR'
    [ ${#wrong[@]} -eq 0 ] || exit 1
}

# ---------------------------------------------------------------- nodes and Redis

start_redis() {
    redis-server --port 0 --unixsocket "$work/redis.sock" --save '' --appendonly no \
        --daemonize no --dir "$work" >"$work/redis.log" 2>&1 </dev/null &
    redis=$!
    wait_for 20 'Redis does not start' "$work/redis.log" test -S "$work/redis.sock"
}

# The time-outs: a connection must stay open until a million are; and with everything on one
# machine, answers may be late through no fault of the node. One connection more than buyers: a full
# node would log that and check regularly.
configure() {
    local node
    for node in $(seq "$nodes"); do
        cat >"$work/$node.conf" <<CONF
node $node;
nodes $(seq -s ' ' "$nodes");
listen 127.0.0.1:0;
admin unix:$work/$node.admin;
workers 1;
connections $((each + 1));
journal $work/$node.journal { size $((1024 + stock * 300 / 1024))k; }
redis unix:$work/redis.sock;
idle-timeout 60m; header-timeout 10m; answer-timeout 30s; redis-timeout 10s; node-timeout 1m;
event ticket { total $tickets; stock-max $tickets; local-stock $stock; }
CONF
        confs+=(-c "$work/$node.conf")
    done
}

port_of() { sed -n 's/.* listening on //p' "$work/$1.log" | grep -v '^unix:' | head -n 1; }
has_port() { [ -n "$(port_of "$1")" ]; }
# The warnings and errors in the nodes' logs, a line each.
log_problems() { cat "$work"/[0-9]*.log | grep -E '^[^ ]+ (warn|error) ' | sort || true; }
stats() { curl -fsS --max-time 20 --unix-socket "$work/$1.admin" http://localhost/stats; }
is_open() { grep -q '"name":"ticket","state":"open"' <<<"$(stats "$1")"; }

# Ten at a time: each verifies its journal first, in a process of its own.
start_nodes() {
    local node other
    for ((node = 1; node <= nodes; node += 10)); do
        for ((other = node; other < node + 10 && other <= nodes; other++)); do
            "$server" -c "$work/$other.conf" >"$work/$other.log" 2>&1 </dev/null &
            node_pids+=($!)
        done
        for ((other = node; other < node + 10 && other <= nodes; other++)); do
            progress "  nodes: $other of $nodes"
            wait_for 30 "node $other does not start" "$work/$other.log" has_port "$other"
        done
    done
    # The sale begins when all nodes have attached.
    for node in $(seq "$nodes"); do
        wait_for 120 "node $node does not open" "$work/$node.log" is_open "$node"
    done
    log_problems >"$work/early" # warnings of the start, that other nodes are missing
    progress ''
    info "  $nodes nodes are open"
}

# sums FIELD...: sums of fields of /stats over all nodes; the first field of a name counts.
sums() {
    local node
    for node in $(seq "$nodes"); do stats "$node" && echo; done >"$work/stats"
    awk -v names="$*" 'BEGIN { n = split(names, name, " ") }
        { for (i = 1; i <= n; i++) if (match($0, "\"" name[i] "\":[0-9]+"))
            sum[i] += substr($0, RSTART + length(name[i]) + 3, RLENGTH - length(name[i]) - 3) }
        END { for (i = 1; i <= n; i++) printf "%d%s", sum[i], i < n ? " " : "\n" }' "$work/stats"
}

# ---------------------------------------------------------------- memory

# KiB of all nodes: RSS, RSS of the journals' maps (which is the page cache's), PSS, PSS of the
# journals' maps, and RSS less journal of the largest node.
memory() {
    local files=("${node_pids[@]/#//proc/}")
    awk 'FNR == 1 { node++ }
        /^[0-9a-f]+-[0-9a-f]+ / { journal = $6 ~ /\/data\.mdb$/ }
        $1 == "Rss:" { rss += $2; if (journal) maps += $2; else own[node] += $2 }
        $1 == "Pss:" { pss += $2; if (journal) shares += $2 }
        END { for (i in own) if (own[i] > most) most = own[i]
              printf "%d %d %d %d %d\n", rss, maps, pss, shares, most }' "${files[@]/%//smaps}"
}

# KiB of the buyers' processes.
memory_of_buyers() {
    local one
    for one in $buyers $(pgrep -P "$buyers"); do cat "/proc/$one/smaps_rollup"; done |
        awk '$1 == "Pss:" { sum += $2 } END { print sum + 0 }'
}

# The kernel's figures: KiB available, KiB of its slabs; TCP sockets in use, and pages of their
# buffers; connections that had to wait because a node's queue was full.
kernel() {
    echo "$(meminfo MemAvailable)" "$(meminfo Slab)" \
        "$(awk '$1 == "TCP:" { for (i = 2; i < NF; i += 2) has[$i] = $(i + 1) }
            END { print has["inuse"], has["mem"] }' /proc/net/sockstat)" \
        "$(awk '$1 == "TcpExt:" && !($2 + 0 == $2) { split($0, names) }
            $1 == "TcpExt:" { for (i = 2; i <= NF; i++) if (names[i] == "ListenOverflows") n = $i }
            END { print n + 0 }' /proc/net/netstat)"
}

# ---------------------------------------------------------------- the sale

# field NAME LINE: the value of a name in a line of names and values.
field() {
    awk -v name="$1" '{ for (i = 2; i < NF; i += 2) if ($i == name) print $(i + 1) }' <<<"$2"
}

# read_reply WORD: reads the buyers' next line, which must begin with WORD, into $reply.
read_reply() {
    local line
    IFS= read -r line <&"$from" || report_dead_nodes
    [ "${line%% *}" = "$1" ] || die "unexpected reply of the buyers: $line"
    reply=$line
}

# The buyers have ended with an error message. A node that has ended may be the reason.
report_dead_nodes() {
    local node
    for node in $(seq "$nodes"); do
        kill -0 "${node_pids[node - 1]}" 2>/dev/null ||
            info "node $node has ended: $(tail -n 3 "$work/$node.log")"
    done
    exit 1
}

start_buyers() {
    local addresses node
    for node in $(seq "$nodes"); do addresses+=("$(port_of "$node")"); done
    coproc million {
        exec "$tools/million" "$total" "$processes" "$in_flight" "$work/answered" "${addresses[@]}"
    }
    # shellcheck disable=SC2154 # coproc sets it
    buyers=$million_PID
    # bash closes its own ends of the pipes when the buyers have ended.
    exec {from}<&"${million[0]}" {to}>&"${million[1]}"
}

all_held() {
    counted=$(sums connections)
    [ "$counted" -eq "$total" ]
}

# Everything is settled in Redis within a beat; until then the audit reports it as open.
settled() {
    "$spike_log" "${confs[@]}" audit >"$work/audit" 2>&1 || return 0 # a breach stays one
    ! grep -q '^open:' "$work/audit"
}

sell() {
    memory_idle=$(memory)
    kernel_idle=$(kernel)
    start_buyers
    read_reply held
    held=$reply
    wait_for 60 'the nodes count fewer connections than the buyers hold' /dev/null all_held
    memory_held=$(memory)
    kernel_held=$(kernel)
    memory_buyers=$(memory_of_buyers)
    [ "$(gone)" -eq 0 ] || die 'tickets are gone before the first request'
    echo ask >&"$to"
    read_reply answered
    answered=$reply
    memory_after=$(memory)
}

gone() {
    redis-cli -s "$work/redis.sock" hget ticket_hash_key ticket_sold_nums | grep . || echo 0
}

# ---------------------------------------------------------------- the results

# check WHAT CONDITION: an arithmetic condition.
check() {
    (($2)) || wrong+=("$1")
}

check_all() {
    wait_for 60 'the audit finds orders open' "$work/audit" settled
    "$spike_log" "${confs[@]}" export | awk -F, 'NR > 1 { print $3 }' | sort -u >"$work/journaled"
    touch "$work/answered"
    sort -u "$work/answered" >"$work/ids"
    in_redis=$(gone)
    journaled=$(wc -l <"$work/journaled")
    ids=$(wc -l <"$work/ids")
    log_problems | comm -13 "$work/early" - >"$work/late"
    check 'connections held' "counted == total && $(field held "$held") == total"
    check 'tickets sold' "$(field yes "$answered") == tickets && in_redis == tickets"
    check 'order ids' "ids == tickets && journaled == tickets"
    cmp -s "$work/ids" "$work/journaled" || wrong+=('ids of the answers and ids in the journals')
    check 'busy to the end' "$(field busy "$answered") == 0"
    check 'unexpected answers' "$(field other "$answered") == 0"
    check 'buyers without an answer' "$(field unanswered "$answered") == 0"
    check 'connections dropped' "$(field dropped "$answered") == 0"
    [ ! -s "$work/late" ] ||
        wrong+=("warnings or errors of the nodes, the first: $(head -n 1 "$work/late")")
    grep -q '^no breach$' "$work/audit" || wrong+=("audit: $(tail -n 1 "$work/audit")")
}

row() { echo "| $1 | $2 |"; }
count() { row "$1" "$(commas "$(field "$2" "${3:-$answered}")")"; }
seconds() { awk -v us="$(field "$1" "${2:-$answered}")" 'BEGIN { printf "%.2f s", us / 1e6 }'; }
mib() { awk -v kib="$1" 'BEGIN { printf "%.1f MiB", kib / 1024 }'; }
# each_of KIB: the bytes of one connection.
each_of() { awk -v kib="$1" -v n="$total" 'BEGIN { printf "%.0f bytes", kib * 1024 / n }'; }
version() { dpkg-query -W -f="\${Version}" "$1" 2>/dev/null || echo 'not known'; }

# memory_row WHEN RSS MAPS PSS SHARES LARGEST
memory_row() {
    echo "| $1 | $(mib "$2") | $(mib $(($2 - $3))) | $(mib "$4") | $(mib $(($4 - $5)))" \
        "| $(mib "$6") |"
}

commit() { git -C "$root" describe --always --dirty 2>/dev/null || echo 'no git'; }

report_machine() {
    local together=$((in_flight * processes < total ? in_flight * processes : total))
    row '' ''
    echo '|---|---|'
    row processor "$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1), $(nproc) cores"
    row memory "$(awk '/^MemTotal/ { printf "%.1f GiB", $2 / 2^20 }' /proc/meminfo)"
    row 'journals on' "$(stat -f -c %T "$work")"
    row kernel "$(uname -sr)"
    row spike-server "$("$server" -V | head -n 1), $(commit)"
    row redis-server "$(version redis-server)"
    row 'processes of buyers' \
        "$processes, together at most $(commas "$together") requests under way at a time"
}

# Whether the ids of the answers are those of the journals, one by one.
compare_ids() {
    if cmp -s "$work/ids" "$work/journaled"; then
        echo "the journals' own"
    else
        echo 'not those of the journals'
    fi
}

report_sale() {
    row '' ''
    echo '|---|---|'
    row 'connections held at once, as the nodes count them' "$(commas "$counted")"
    row '... opened in' "$(seconds took_us "$held")"
    row '... which had to wait at a full queue, or be opened again' \
        "$(commas "$((${kernel_held##* } - ${kernel_idle##* })), $(field reopened "$held")")"
    count 'yes' yes
    count 'sold out' sold_out
    count 'sold out here' sold_out_here
    count 'busy, after all tries' busy
    count 'any other answer' other
    count 'no answer' unanswered
    count 'busy, and repeated' told_busy
    row 'tickets gone in Redis' "$(commas "$in_redis") of $(commas "$tickets")"
    row 'orders in the journals' "$(commas "$journaled")"
    row 'different ids in the answers' "$(commas "$ids"), $(compare_ids)"
    row 'audit' "$(tail -n 1 "$work/audit")"
    row 'warnings and errors of the nodes' "$(wc -l <"$work/late")"
    row 'from the opening to the last ticket' "$(seconds last_yes_us)"
    row 'from the opening to the last answer' "$(seconds last_answer_us)"
}

report_memory() {
    local idle held after kernel_then kernel_now server_kib kernel_kib
    read -ra idle <<<"$memory_idle"
    read -ra held <<<"$memory_held"
    read -ra after <<<"$memory_after"
    read -ra kernel_then <<<"$kernel_idle"
    read -ra kernel_now <<<"$kernel_held"
    server_kib=$((held[0] - held[1] - idle[0] + idle[1]))
    kernel_kib=$((kernel_then[0] - kernel_now[0] - held[2] + idle[2] - memory_buyers))
    echo "| all nodes together | RSS | without the journals' maps | PSS | without" \
        "| largest node, RSS without |"
    echo '|---|---|---|---|---|---|'
    memory_row 'before the first connection' "${idle[@]}"
    memory_row 'all connections held' "${held[@]}"
    memory_row 'after the last answer' "${after[@]}"
    echo
    row '' ''
    echo '|---|---|'
    row "an idle connection: memory of the nodes (growth of RSS without the journals' maps)" \
        "$(each_of $server_kib)"
    row "... all memory of the nodes (RSS without the journals' maps), divided by the connections" \
        "$(each_of $((held[0] - held[1])))"
    row '... of the kernel, both ends (growth of its slabs)' \
        "$(each_of $((kernel_now[1] - kernel_then[1])))"
    row '... the same (fall of MemAvailable: it takes their inodes for free, less nodes, buyers)' \
        "$(each_of $kernel_kib)"
    row "... of the buyers' processes" "$(each_of "$memory_buyers")"
    row 'TCP sockets in use, pages of their buffers (/proc/net/sockstat)' \
        "$(commas "${kernel_now[2]}, ${kernel_now[3]}")"
    row '... before' "$(commas "${kernel_then[2]}, ${kernel_then[3]}")"
}

report() {
    local one
    echo "# $(commas "$total") connections, $(commas "$tickets") tickets"
    echo
    echo "\`bench/million.sh $nodes $each\`, $(date -u '+%Y-%m-%d %H:%M') UTC:" \
        "$nodes nodes x $(commas "$each") connections, local stock $stock each, one Redis," \
        'and the buyers, all on one machine.'
    echo
    if [ ${#wrong[@]} -eq 0 ]; then
        echo 'All checks passed.'
    else
        for one in "${wrong[@]}"; do echo "WRONG: $one"; done
    fi
    echo
    report_machine
    echo
    report_sale
    echo
    report_memory
}

check_limits
info "$(commas "$total connections: $nodes nodes x $each; $tickets tickets, local stock $stock")"
start_redis
configure
start_nodes
sell
check_all
mkdir -p "$(dirname "$result")"
report >"$work/report"
cp "$work/report" "$result"
cat "$result"
[ ${#wrong[@]} -eq 0 ]
