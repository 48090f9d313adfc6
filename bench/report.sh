#!/bin/bash
# report.sh: RESULTS.md from the lines that bench.sh has measured; nothing in it is written by hand.
#
#     report.sh PLACE RESULTS PAIRS SECONDS TOOK WORKLOAD...
set -euo pipefail

bench=$(cd "$(dirname "$0")" && pwd)
root=$(dirname "$bench")
place=$1
out=$2/RESULTS.md
pairs=$3
seconds=$4
took=$5
shift 5

# What has to be reached: goal | unit or x for a ratio | how to find it | at least, or <= at most.
# A ratio: rates WORKLOAD:OURS:THEIRS:COLUMN, column 4 answers/s, 5 answers per CPU-second.
goals='
refusals per CPU-second, against the kernel floor|x|refusals, keep-alive:spike:floor:5|0.95
refusals per CPU-second, against nginx, keep-alive|x|refusals, keep-alive:spike:nginx:5|1.05
refusals per CPU-second, against nginx, a connection each|x|refusals, a connection each:spike:nginx:5|1.1
refusals per CPU-second, against nginx, 16 pipelined|x|refusals, 16 pipelined:spike:nginx:5|2
durable sales/s, against nginx + Lua + Redis|x|sales:spike:nginx-lua:4|2
durable sales/s, against webdis|x|sales:spike:webdis:4|1.7
durable sales/s, against the Go design as published (with its log)|x|sales:spike:go-log:4|8
durable sales/s, against the Go design without its log|x|sales:spike:go:4|8
durable sales per CPU-second of server + Redis, against nginx + Lua + Redis|x|sales:spike:nginx-lua:5|3
durable sales per CPU-second of server + Redis, against webdis|x|sales:spike:webdis:5|2.5
sales/s with key and buyer, against anonymous|x|sales with key and buyer:keyed:plain:4|0.7
sales per CPU-second with key and buyer, against anonymous|x|sales with key and buyer:keyed:plain:5|0.7
p99 of a durable sale at 50 % load|ms|latency of a sale at 50 % load:spike|<=5
memory of an idle connection|bytes|idle:spike:3|<=400
a node with 10,000 idle connections, journal map left out|MiB|idle:spike:4|<=24
recovery of 1,000,000 journaled orders, standalone|s|recovery:standalone:1000000|<=2
recovery of 1,000,000 journaled orders, with Redis|s|recovery:redis:1000000|<=2
'

# Functions that all tables need. Each reads the measurements as it likes.
# shellcheck disable=SC2016 # $ is awk's
statistics='
    function sorted(list, n,   i, j, t) {
        for (i = 2; i <= n; i++)
            for (j = i; j > 1 && list[j] < list[j - 1]; j--) {
                t = list[j]; list[j] = list[j - 1]; list[j - 1] = t
            }
    }
    function median(list, n) {
        sorted(list, n)
        return n % 2 ? list[(n + 1) / 2] : (list[n / 2] + list[n / 2 + 1]) / 2
    }
    function thousands(x,   s, r) {
        s = sprintf("%.0f", x)
        for (; length(s) > 3; s = substr(s, 1, length(s) - 3))
            r = "," substr(s, length(s) - 2) r
        return s r
    }
'

machine() {
    echo "| | |"
    echo "|---|---|"
    echo "| processor | $(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1), $(nproc) cores |"
    echo "| memory | $(awk '/^MemTotal/ { printf "%.1f GiB", $2 / 2^20 }' /proc/meminfo) |"
    echo "| journal on | $(stat -f -c %T "$place") |"
    echo "| kernel | $(uname -sr) |"
    echo "| system | $(sed -n 's/^PRETTY_NAME="\(.*\)"/\1/p' /etc/os-release) |"
    echo "| spike-server | $("${SERVER:-$root/build/spike-server}" -V | head -n 1)," \
        "$(git -C "$root" describe --always --dirty 2>/dev/null || echo 'no git') |"
    local package
    for package in gcc nginx libnginx-mod-http-lua lua-nginx-redis redis-server webdis golang-go \
        golang-github-gomodule-redigo-dev libev4 libhiredis0.14 liblmdb0 apache2-utils; do
        # shellcheck disable=SC2016 # ${Version} is dpkg's
        echo "| $package | $(dpkg-query -W -f='${Version}' "$package" 2>/dev/null || echo 'not known') |"
    done
}

# A file of measurements comes with its name in front of each line.
measurements() {
    sed 's/^/rates\t/' "$place/rates"
    sed 's/^/idle\t/' "$place/idle"
    sed 's/^/recovery\t/' "$place/recovery"
}

goals_met() {
    echo '| goal | wanted | measured: median (min to max) | |'
    echo '|---|---|---|---|'
    { measurements; sed '/^$/d; s/^/goal|/' <<<"$goals"; } | awk -F'\t' "$statistics"'
        $1 == "rates" { v[$2, $3, $4, 4] = $5; v[$2, $3, $4, 5] = $6 }
        $1 == "rates" { p99[$2, $3, ++many[$2, $3]] = $8 }
        $1 == "idle" { idle[$2, 3, ++held[$2]] = $4; idle[$2, 4, held[$2]] = $5 / 2^20 }
        $1 == "recovery" { again[$2, $3, ++times[$2, $3]] = $5 / 1e6 }
        /^goal\|/ {
            split($0, g, "|"); split(g[4], w, ":"); n = 0; split("", list)
            if (g[3] == "x")
                while ((w[1], w[2], n + 1, w[4]) in v && (w[1], w[3], n + 1, w[4]) in v) {
                    n++; list[n] = v[w[1], w[2], n, w[4]] / v[w[1], w[3], n, w[4]]
                }
            else if (w[1] == "idle")
                while (n < held[w[2]]) { n++; list[n] = idle[w[2], w[3], n] }
            else if (w[1] == "recovery")
                while (n < times[w[2], w[3]]) { n++; list[n] = again[w[2], w[3], n] }
            else
                while (n < many[w[1], w[2]]) { n++; list[n] = p99[w[1], w[2], n] / 1000 }
            most = sub(/^<=/, "", g[5]); g[5] += 0; unit = g[3] == "x" ? "" : " " g[3]
            if (n == 0) next # not in this run
            m = median(list, n)
            printf "| %s | at %s %s%s | ", g[2], most ? "most" : "least", g[5], unit
            form = unit == " bytes" ? "%.0f%s (%.0f to %.0f)" : "%.2f%s (%.2f to %.2f)"
            printf form " | %s |\n", m, unit, list[1], list[n],
                (most ? m <= g[5] : m >= g[5]) ? "met" : \
                sprintf("**not met**, by %.1f %%", 100 * (most ? m / g[5] - 1 : 1 - m / g[5]))
        }'
}

# One table for each workload: rates and costs, and ratios of whoever is first to the others.
rates() {
    awk -F'\t' "$statistics"'
        function show(w, n, column,   i, list) {
            for (i = 1; i <= rounds[w, n]; i++) list[i] = v[w, n, i, column]
            return median(list, rounds[w, n])
        }
        function ratio(w, n, column,   i, list) {
            if (n == first[w]) return "1"
            for (i = 1; i <= rounds[w, n]; i++)
                list[i] = v[w, first[w], i, column] / v[w, n, i, column]
            median(list, rounds[w, n])
            return sprintf("%.2f / **%.2f** / %.2f", list[1], median(list, rounds[w, n]),
                list[rounds[w, n]])
        }
        {
            if (!($1 in first)) { order[++workloads] = $1; first[$1] = $2 }
            if (!(($1, $2) in rounds)) names[$1, ++peers[$1]] = $2
            r = ++rounds[$1, $2]
            for (i = 4; i <= 9; i++) v[$1, $2, r, i] = $i
        }
        END {
            for (k = 1; k <= workloads; k++) {
                w = order[k]
                printf "\n### %s\n\n", toupper(substr(w, 1, 1)) substr(w, 2)
                printf "| | answers/s | per CPU-second | p50 / p99 / p99.9 ms | %s to it, answers/s: min / median / max | ... per CPU-second |\n", first[w]
                print "|---|---|---|---|---|---|"
                for (i = 1; i <= peers[w]; i++) {
                    n = names[w, i]
                    late = ""
                    for (c = 6; c <= 8; c++)
                        late = late (c > 6 ? " / " : "") (v[w, n, 1, c] == "-" ? "-" : \
                            sprintf("%.2f", show(w, n, c) / 1000))
                    printf "| %s | %s | %s | %s | %s | %s |\n", n, thousands(show(w, n, 4)),
                        thousands(show(w, n, 5)), late, ratio(w, n, 4), ratio(w, n, 5)
                }
            }
        }' "$place/rates"
}

idle() {
    [ -s "$place/idle" ] || return 0
    printf '\n### Idle connections\n\n'
    echo '| | bytes a connection: min / median / max | server with 10,000, MiB |'
    echo '|---|---|---|'
    awk -F'\t' "$statistics"'
        !($1 in rounds) { names[++count] = $1 }
        { r = ++rounds[$1]; each[$1, r] = $3; whole[$1, r] = $4 / 2^20 }
        END {
            for (k = 1; k <= count; k++) {
                n = names[k]; split("", a); split("", b)
                for (i = 1; i <= rounds[n]; i++) { a[i] = each[n, i]; b[i] = whole[n, i] }
                m = median(a, rounds[n])
                printf "| %s | %.0f / **%.0f** / %.0f | %.1f |\n", n, a[1], m, a[rounds[n]],
                    median(b, rounds[n])
            }
        }' "$place/idle"
}

recovery() {
    [ -s "$place/recovery" ] || return 0
    printf '\n### Recovery after kill -9\n\n'
    echo '| | orders | journal MiB | from exec to open, ms: min / median / max |'
    echo '|---|---|---|---|'
    awk -F'\t' "$statistics"'
        !(($1, $2) in rounds) { names[++count] = $1 SUBSEP $2 }
        { k = $1 SUBSEP $2; took[k, ++rounds[k]] = $4 / 1000; size[k] = $5 / 2^20 }
        END {
            for (c = 1; c <= count; c++) {
                k = names[c]; split(k, w, SUBSEP); split("", a)
                for (i = 1; i <= rounds[k]; i++) a[i] = took[k, i]
                m = median(a, rounds[k])
                printf "| %s | %s | %.1f | %.0f / **%.0f** / %.0f |\n", w[1], thousands(w[2]), size[k],
                    a[1], m, a[rounds[k]]
            }
        }' "$place/recovery"
}

pictures() {
    local name
    for name in "${out%/*}"/plots/*.svg; do
        [ ! -f "$name" ] || echo "![$(basename "$name" .svg)](plots/${name##*/})"
    done
}

{
    cat <<TEXT
# Results

Written by \`bench/bench.sh $*\`: $pairs rounds, $seconds s for each measurement,
$((took / 60)) min $((took % 60)) s in all, $(date -u +%Y-%m-%dT%H:%MZ). In each round everybody is
measured once, one after the other, with the load generator on the same machine; a ratio is of two
figures of one round, and the median is over the rounds. Compare ratios, not figures of different
days. Every answer was checked; of every sale it was checked that the stock fell by the number of
yeses.

$(machine)

## Goals

$(goals_met)

The million connections are \`make bench-million\`.

## Measured

spike has one worker, nginx one, webdis one thread, so that the load generator has a core of its own
(a sale also needs spike's ledger thread, and Redis); Go uses all cores. Spike's sales are synced to
disk before the answer; nobody else's are. Each Redis is its own, on a Unix socket, without
persistence. \`floor\` is the kernel's: epoll, read, write, a fixed answer. \`go\` is the published
design without the log line it writes for each request, \`go-log\` with it. \`redis-benchmark\` asks
the published script without HTTP in front; its cost is that of Redis alone. \`ab\` runs the
prototype's commands (but for the port) on its sale, 150 of 10,000 tickets for one node. \`keyed\` and \`plain\`
are one spike-server.
$(rates)
$(idle)
$(recovery)

In the tables the cost of a sale is that of server and Redis. An idle connection's bytes are those
of a server that was started for 11,000 connections and holds 10,000, each after one answer, less
one that was started for 100 and holds one, over 10,000; Go reserves nothing. Recovery is measured
with the page cache warm, as it is when the process has died and the machine has not. With Redis it
includes that the node attaches and settles.

$(pictures)

## Commands

\`load\` is bench/load.c, DIR a folder of this run.

\`\`\`
$(cat "$place/commands")
\`\`\`
TEXT
} >"$out.new"
mv "$out.new" "$out"
sed -n '/^## Goals/,/^The million/p' "$out"
