#!/bin/bash
# plots.sh: pictures of bench.sh's measurements, each as SVG and PNG; none for workloads that were
# not measured.
#
#     plots.sh WORK FOLDER
set -euo pipefail

work=$1
folder=$2
mkdir -p "$folder"

# plot NAME WIDTH: the commands on standard input, twice.
plot() {
    local commands
    commands=$(cat)
    gnuplot <<PLOT
reset
set terminal svg size $2,420 font "sans,12" background "white"
set output "$folder/$1.svg"
$commands
reset
set terminal pngcairo size $2,420 font "sans,11"
set output "$folder/$1.png"
$commands
PLOT
}

# bars PATTERN COLUMN [BASE]: name, median, min, max of the workloads whose names match; with BASE,
# of the ratios to BASE in the same round.
bars() {
    awk -F'\t' -v pattern="$1" -v column="$2" -v base="${3-}" '
        base != "" && NR == FNR { if ($2 == base) floor[$1, $3] = $column; next }
        $1 ~ pattern && base != "" { if ($2 == base) next; $column /= floor[$1, $3] }
        $1 ~ pattern { k = $1 "\t" $2; if (!(k in n)) order[++count] = k; v[k, ++n[k]] = $column }
        END {
            for (c = 1; c <= count; c++) {
                k = order[c]; m = n[k]
                for (i = 2; i <= m; i++)
                    for (j = i; j > 1 && v[k, j] < v[k, j - 1]; j--) {
                        t = v[k, j]; v[k, j] = v[k, j - 1]; v[k, j - 1] = t
                    }
                split(k, w, "\t"); sub(/^[^,]*, /, "", w[1]); sub(/ connections$/, "", w[1])
                middle = m % 2 ? v[k, (m + 1) / 2] : (v[k, m / 2] + v[k, m / 2 + 1]) / 2
                printf "\"%s\"\t\"%s\"\t%s\t%s\t%s\n", w[1], w[2], middle, v[k, 1], v[k, m]
            }
        }' ${3:+"$work/rates"} "$work/rates"
}

style='
set style fill solid 0.8
set boxwidth 0.7
set grid ytics lc rgb "#dddddd"
set yrange [0:*]
set border 3
set xtics nomirror
set ytics nomirror
set format y "%.1s%c"
set bmargin 5
unset key
'

# draw_bars FILE LABELS TITLE UNIT [FORMAT]: one bar for each peer, with min and max. FILE: workload,
# peer, median, min, max.
draw_bars() {
    cat <<PLOT
$style
set format y "${5-%.1s%c}"
set title "$3"
set ylabel "$4"
set datafile separator "\t"
ours(name) = (name eq "spike" || name eq "keyed" || name eq "nodes-1") ? 0x2b6cb0 : 0xa0aec0
plot "$1" using 0:3:(ours(strcol(2))):xticlabels($2) with boxes lc rgb variable, \
     "$1" using 0:3:4:5 with yerrorbars lc rgb "black" ps 0
PLOT
}

# wanted FOLDER-FILE WORKLOADS COLUMN [BASE]: true if there is something to draw.
wanted() {
    bars "$2" "$3" "${4-}" >"$work/$1.bars"
    [ -s "$work/$1.bars" ]
}

# The kinds differ by a factor of fifty: each is drawn as a share of its own floor.
if wanted refusals '^refusals, ' 5 floor; then
    draw_bars "$work/refusals.bars" '(strcol(2)."\n".strcol(1))' \
        "Refusals per CPU-second of the server: median, min to max; the kernel's floor is 1" \
        'share of the floor' '%.1f' | plot refusals 1280
fi
by_connections='(strcol(2)."\n".strcol(1))'
if wanted sales '^sales, ' 4; then
    draw_bars "$work/sales.bars" "$by_connections" \
        'Sales/s, to 100 and to 1,000 connections: durable with spike, in memory with all others' \
        'sales/s' | plot sales 1280
fi
if wanted sales-cost '^sales, ' 5; then
    draw_bars "$work/sales-cost.bars" "$by_connections" \
        'Sales per CPU-second of server + Redis, to 100 and to 1,000 connections' \
        'sales per CPU-second' | plot sales-cost 1280
fi
if wanted sales-keyed '^sales with key' 4; then
    draw_bars "$work/sales-keyed.bars" "$by_connections" \
        'Durable sales/s with key and buyer, and without, to 100 and to 1,000 connections' \
        'sales/s' | plot sales-keyed 700
fi
if wanted nodes '^nodes$' 4; then
    draw_bars "$work/nodes.bars" 'strcol(2)' \
        'Durable sales/s: standalone, and nodes with one Redis' 'sales/s' | plot nodes 700
fi
if [ -s "$work/sale-spike.dist" ]; then
    plot latency 900 <<PLOT
$style
set key left top
set title "Latency of a sale at 50 % of what each can do (open loop, last round)"
set xlabel "share of the answers"
set ylabel "ms"
set yrange [*:*]
set logscale xy
set format y "%g"
set xrange [1:20000]
set xtics ("0" 1, "50 %%" 2, "90 %%" 10, "99 %%" 100, "99.9 %%" 1000, "99.99 %%" 10000)
plot for [name in "spike nginx-lua webdis go"] "$work/sale-".name.".dist" \
    using (\$1 < 1 ? 1 / (1 - \$1) : NaN):(\$2 / 1000.) with lines lw 2 title name
PLOT
fi
if [ -s "$work/recovery" ]; then
    plot recovery 700 <<PLOT
$style
set key right bottom
set title "From exec to open after kill -9"
set xlabel "orders in the journal"
set ylabel "ms"
set yrange [1:*]
set logscale xy
set xrange [5000:2000000]
set format xy "%.0s%c"
set datafile separator "\t"
plot for [kind in "standalone redis"] "$work/recovery" \
    using (strcol(1) eq kind ? \$2 : NaN):(\$4 / 1000) with points pt 7 title kind, \
    2000 lc rgb "red" dt 2 title "goal at 1,000,000"
PLOT
fi
