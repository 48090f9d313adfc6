#!/bin/sh
# Why: operators set alarms by the page and use the shipped rules and dashboard. Every family of
# counters.def must be in spike-server(8), in its order and with its text; the alert rules must be
# valid (promtool) and pass tests/alerts.yml; the dashboard must be JSON; both may name only
# existing families; and they may query the tickets left only from nodes that are attached to Redis.
set -eu
cd "$(dirname "$0")/.."
page=man/spike-server.8
table=server/shared/counters.def
rules=conf/alerts/spike.rules.yml
dashboard=conf/grafana/spike.json
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# name{labels}|kind: help.
{
    echo '#define COUNTER(n, metric, help) metric "counter" "" help'
    echo '#define FIGURE(n, metric, kind, labels, help) metric #kind labels help'
    cat "$table"
} | "${CC:-cc}" -E -P -x c - | awk -F'"' '
    NF >= 9 {
        labels = $6
        gsub(/ /, "", labels)
        print $2 (labels == "" ? "" : "{" labels "}") "|" $4 ": " $8 "."
    }' >"$work/table"

# The entries of the page: `.It Li spike_x{labels}`, and the line after it.
awk '
    /^\.It Li (spike|process)_/ { name = $3; next }
    name != "" { print name "|" $0; name = "" }' "$page" >"$work/page"

[ "$(wc -l <"$work/table")" -eq "$(grep -Ec '^(COUNTER|FIGURE)\(' "$table")" ] || {
    echo "$0: cannot read $table" >&2
    exit 1
}
if ! diff "$work/table" "$work/page" >"$work/diff"; then
    echo "$page and $table differ (< table, > page):" >&2
    cat "$work/diff" >&2
    exit 1
fi

{ promtool check rules "$rules" && promtool test rules tests/alerts.yml; } >"$work/output" 2>&1 || {
    cat "$work/output" >&2
    exit 1
}
"${PYTHON:-/usr/bin/python3}" -m json.tool "$dashboard" "$work/json" || {
    echo "$dashboard is not JSON" >&2
    exit 1
}
grep -Eoh '\b(spike|process)_[a-z_]+' "$rules" "$dashboard" | sort -u | while read -r name; do
    grep -Eq "^($name|${name%_bucket})[{|]" "$work/table" || {
        echo "$rules or $dashboard: there is no family $name" >&2
        exit 1
    }
done
if grep spike_tickets_left "$dashboard" | grep '"expr"' |
    grep -v ' unless on (instance) spike_redis_up == 0)"'; then
    echo "$dashboard: queries also nodes that are cut off from Redis" >&2
    exit 1
fi
echo "  ok   $page: $(wc -l <"$work/table") metrics; rules and dashboard name no other"
