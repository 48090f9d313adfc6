#!/bin/bash
# report.sh: RESULTS.md from bench.sh's measurements; nothing in it is written by hand.
#
#     PAIRS= SECONDS_EACH= TOOK= report.sh WORK RESULTS 'ALL WORKLOADS' WORKLOAD...
set -euo pipefail

bench=$(cd "$(dirname "$0")" && pwd)
root=$(dirname "$bench")
work=$1
out=$2/RESULTS.md
all=$3
shift 3

# The goals: goal | unit or x for a ratio | how to find it | at least, or <= at most. A ratio:
# WORKLOAD:OURS:THEIRS:COLUMN of rates, column 4 answers/s, 5 answers per CPU-second. Goals apply to
# 100 connections; the ratio with 1,000 is in the next column.
# shellcheck disable=SC2016 # `...` is Markdown
goals='
refusals per CPU-second, against the kernel floor|x|refusals, keep-alive:spike:floor:5|0.95
refusals per CPU-second, against nginx `return 200`, keep-alive|x|refusals, keep-alive:spike:nginx:5|1.05
... a connection each|x|refusals, a connection each:spike:nginx:5|1.1
... pipelined 16 deep|x|refusals, 16 pipelined:spike:nginx:5|2
durable sales/s, against nginx + Lua + Redis|x|sales, 100 connections:spike:nginx-lua:4|2
... against webdis|x|sales, 100 connections:spike:webdis:4|1.7
... against the Go design as published, with its log|x|sales, 100 connections:spike:go-log:4|8
... against the Go design without its log|x|sales, 100 connections:spike:go:4|8
durable sales per CPU-second of server + Redis, against nginx + Lua + Redis|x|sales, 100 connections:spike:nginx-lua:5|3
... against webdis|x|sales, 100 connections:spike:webdis:5|2.5
sales/s with key and buyer, against anonymous|x|sales with key and buyer, 100 connections:keyed:plain:4|0.7
... per CPU-second of server + Redis|x|sales with key and buyer, 100 connections:keyed:plain:5|0.7
p99 of a durable sale at 50 % load|ms|p99:latency of a sale at 50 % load:spike|<=5
idle connection: server memory|bytes|each:spike:|<=400
a node with 10,000 idle connections, journal map left out: RSS|MiB|whole:spike:|<=24
recovery of 1,000,000 journaled orders (anonymous), standalone|s|recovery:standalone:1000000|<=2
... with Redis, which it has to attach to|s|recovery:redis:1000000|<=2
'

# Functions that all tables need.
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
    echo "| journal on | $(stat -f -c %T "$work") |"
    echo "| kernel | $(uname -sr) |"
    echo "| system | $(sed -n 's/^PRETTY_NAME="\(.*\)"/\1/p' /etc/os-release) |"
    echo "| load average of the machine before the run | $(cat "$work/loadavg") |"
    echo "| spike-server | $("${SERVER:-$root/build/spike-server}" -V | head -n 1)," \
        "$(cat "$work/commit") |"
    local package
    for package in gcc-12 libc6 libev4 libhiredis0.14 liblmdb0 libsodium23 libdeflate0 redis-server \
        redis-tools nginx libnginx-mod-http-lua libluajit2-5.1-2 lua-nginx-redis webdis golang-1.19-go \
        golang-github-gomodule-redigo-dev apache2-utils; do
        # shellcheck disable=SC2016 # ${Version} is dpkg's
        echo "| $package | $(dpkg-query -W -f='${Version}' "$package" 2>/dev/null || echo 'not known') |"
    done
}

# All measurements, each line with the name of its file in front.
measurements() {
    sed 's/^/rates\t/' "$work/rates"
    sed 's/^/idle\t/' "$work/idle"
    sed 's/^/recovery\t/' "$work/recovery"
}

goals_met() {
    echo '| goal | wanted | measured: median (min to max) | met? | with 1,000 connections |'
    echo '|---|---|---|---|---|'
    { measurements; sed '/^$/d; s/^/goal|/' <<<"$goals"; } | awk -F'\t' "$statistics"'
        $1 == "rates" { v[$2, $3, $4, 4] = $5; v[$2, $3, $4, 5] = $6 }
        $1 == "rates" { own["p99", $2, $3, ++n_of["p99", $2, $3]] = $8 / 1000 }
        $1 == "idle" { own["each", $2, "", ++n_of["each", $2, ""]] = $4 }
        $1 == "idle" { own["whole", $2, "", ++n_of["whole", $2, ""]] = $5 / 2^20 }
        $1 == "recovery" { own["recovery", $2, $3, ++n_of["recovery", $2, $3]] = $5 / 1e6 }
        # Puts the measurements of a goal into list; returns their number.
        function measured(is_ratio, w,   n) {
            split("", list)
            for (n = 0; is_ratio; n++) {
                if (!((w[1], w[2], n + 1, w[4]) in v && (w[1], w[3], n + 1, w[4]) in v))
                    return n
                list[n + 1] = v[w[1], w[2], n + 1, w[4]] / v[w[1], w[3], n + 1, w[4]]
            }
            for (n = 0; n < n_of[w[1], w[2], w[3]]; n++)
                list[n + 1] = own[w[1], w[2], w[3], n + 1]
            return n
        }
        function show(n, unit,   form, m) {
            form = unit == " bytes" ? "%.0f%s (%.0f to %.0f)" : "%.2f%s (%.2f to %.2f)"
            m = median(list, n)
            return sprintf(form, m, unit, list[1], list[n])
        }
        function verdict(m, limit, is_max) {
            if (is_max ? m <= limit : m >= limit)
                return "met"
            return sprintf("**not met**, by %.1f %%", 100 * (is_max ? m / limit - 1 : 1 - m / limit))
        }
        /^goal\|/ {
            split($0, g, "|"); split(g[4], w, ":"); is_max = sub(/^<=/, "", g[5])
            unit = g[3] == "x" ? "" : " " g[3]
            printf "| %s | at %s %s%s | ", g[2], is_max ? "most" : "least", g[5], unit
            if (!(n = measured(g[3] == "x", w))) { print "not measured | | |"; next }
            printf "%s | %s |", show(n, unit), verdict(median(list, n), g[5] + 0, is_max)
            n = sub(/, 100 connections/, ", 1000 connections", w[1]) ? measured(1, w) : 0
            print n ? " " show(n, "") " |" : " |"
        }'
    million
}

# The result of another program, if it was run.
million() {
    local file=$bench/MILLION.md said="not measured: \`make bench-million\`" met=
    if grep -q '^# 1,000,000 connections, 10,000 tickets' "$file" 2>/dev/null; then
        said="$(sed -n 's/^| \(connections held\) at once.*| \(.*\) |$/\2 \1/p' "$file"),"
        said+=" $(sed -n 's/^| tickets gone in Redis | \(.*\) |$/\1 sold/p' "$file"),"
        said+=" by $(sed -n 's/^| spike-server | \(.*\) |$/\1/p' "$file"): bench/MILLION.md"
        met='**not met**'
        ! grep -q '^All checks passed' "$file" || met=met
    fi
    echo "| the million | 1,000,000 connections, exactly 10,000 sold, no error | $said |${met:+ $met} | |"
}

# One table for each workload: rates and costs, and the ratios of the first peer to the others.
rates() {
    awk -F'\t' "$statistics"'
        function show(w, n, column,   i, list) {
            for (i = 1; i <= rounds[w, n]; i++) list[i] = v[w, n, i, column]
            return median(list, rounds[w, n])
        }
        # The ratios of the rounds; none for redis-benchmark and for latency, which have rates of
        # their own.
        function ratio(w, n, column,   i, list) {
            if (n == "redis-benchmark" || w ~ /^latency/) return "-"
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
            answers[$1, $2] += $10; busy[$1, $2] += $11
        }
        END {
            for (k = 1; k <= workloads; k++) {
                w = order[k]
                printf "\n### %s\n\n", w ~ /^ab/ ? w : toupper(substr(w, 1, 1)) substr(w, 2)
                printf "| | %s | per CPU-second | p50 / p99 / p99.9 ms | %s to it, answers/s: min / median / max | ... per CPU-second |\n",
                    w ~ /^latency/ ? "requests/s" : "answers/s", first[w]
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
                for (i = 1; i <= peers[w]; i++)
                    if (busy[w, n = names[w, i]])
                        printf "\n%s answered \"busy\" %d times besides its %s answers; those requests were repeated.\n",
                            n, busy[w, n], thousands(answers[w, n])
            }
        }' "$work/rates"
}

idle() {
    [ -s "$work/idle" ] || return 0
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
        }' "$work/idle"
}

recovery() {
    [ -s "$work/recovery" ] || return 0
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
        }' "$work/recovery"
}

# Workloads that this run did not measure.
missing() {
    local one list=
    for one in $all; do
        [[ " $* " = *" $one "* ]] || list+="${list:+, }$one"
    done
    [ -z "$list" ] || printf '\nNot measured in this run: %s.\n' "$list"
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

Written by \`PAIRS=$PAIRS SECONDS_EACH=$SECONDS_EACH bench/bench.sh $*\`, which took
$((TOOK / 60)) min $((TOOK % 60)) s, $(date -u '+%Y-%m-%d %H:%M') UTC.

## Goals

$(goals_met)
$(missing "$@")

Rounds: $PAIRS, of refusals $((3 * PAIRS)). In each every peer is measured once for $SECONDS_EACH s, one after the
other, with the load generator on the same machine; a ratio is of two figures of one round, and the
median is over the rounds (so the ratio of two medians may differ from the median ratio).
Compare ratios, not figures of different days. Every answer was checked, and after every sale that
the stock had fallen by exactly the number of yeses.

## Machine

$(machine)

## Measured

spike has one worker, nginx one, webdis one thread, so that the load generator has a core of its own
(a sale also needs spike's ledger thread, and Redis); Go uses all cores. Spike's sales are synced to
disk before the answer, those of the other peers are not. Each peer has its own Redis, on a Unix
socket, without persistence. \`floor\` is the kernel's: epoll, read, write, a fixed answer. \`go\`
is the published design without the log line it writes for each request, \`go-log\` with it.
\`redis-benchmark\` asks the published script without HTTP in front, a call for each ticket, not
pipelined, in rounds of its own; its cost is that of Redis alone, and at 1,000 connections
redis-benchmark may be the limit. \`ab\` runs the prototype's commands (but for the port) on its
sale, 150 of 10,000 tickets for one node; spike writes no \`stat-log\` there. \`keyed\` and
\`plain\` are one spike-server. Where no number is given, there are 100 connections. Latency is
measured at half of each peer's highest rate, so each has a rate of its own.
$(rates)
$(idle)
$(recovery)

The cost of a sale, and of what has a key, is that of server and Redis. All nodes, Redis and the load
share this machine: their table shows the cost of another node, not its benefit.

An idle connection's bytes are those
of a server that was started for 11,000 connections and holds 10,000, each after one answer, less
those of one that was started for 100 and holds one, over 10,000; Go reserves nothing. (MILLION.md
has less: the memory that came into use, without what was reserved.) Recovery is measured
with anonymous orders and a warm page cache, as after the death of the process, not of the machine;
the journal is larger than its orders, for its file is preallocated. With Redis it includes
attaching and settling.

$(pictures)

## Commands

In the order of their first use; the files that configure a server follow it.
\`load\`, \`floor\` and \`design\` are those of bench/, built by \`make bench-tools\`; DIR is a folder of
this run, PORT a free one.

\`\`\`
$(cat "$work/commands")
\`\`\`
TEXT
} >"$out.new"
mv "$out.new" "$out"
sed -n '/^## Goals/,/^Rounds:/p' "$out" | sed '$d'
