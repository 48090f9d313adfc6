#!/bin/bash
# refusal.sh: what does a refusal cost, next to nginx's `return 200` with a body as long?
#
# Both on this machine, side by side: A B A B ..., PAIRS pairs of SECONDS seconds each, load by
# `wrk -t1 -c100` with keep-alive. Compared are requests per CPU-second of the server's processes
# (from /proc/PID/stat), pair by pair, so that a machine that slows down does so for both.
#
#     bench/refusal.sh [path of spike-server]      WORKERS=1 PAIRS=5 SECONDS_EACH=5 FLOOR=0.9
#
# Exit 1 if the median of the ratios is below FLOOR.
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
server=${1:-$root/build/spike-server}
workers=${WORKERS:-1}
pairs=${PAIRS:-5}
seconds=${SECONDS_EACH:-5}
floor=${FLOOR:-0.9}
spike_pid=
nginx_pid=
# shellcheck source=bench/lib.sh
. "$root/bench/lib.sh"

free_port() {
    python3 -c 'import socket; s = socket.create_server(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

start_spike() {
    cat >"$place/spike.conf" <<CONF
node 1;
listen 127.0.0.1:0;
workers $workers;
connections 1000;
journal $place/journal { size 16m; }
event ticket { total 1; }
CONF
    "$server" -c "$place/spike.conf" 2>"$place/spike.log" &
    spike_pid=$!
    pids+=("$spike_pid")
    until_true grep -q 'listening on' "$place/spike.log" || die "$(cat "$place/spike.log")"
    spike_url=http://$(sed -n 's/.*listening on //p' "$place/spike.log" | head -n 1)/buy/ticket
    until_true is_sold_out || die 'the event does not sell out'
}

is_sold_out() {
    curl -s "$spike_url" | grep -q '"code":-1'
}

start_nginx() {
    local port body
    port=$(free_port)
    body=$(curl -s "$spike_url")
    cat >"$place/nginx.conf" <<CONF
daemon off;
worker_processes $workers;
pid $place/nginx.pid;
error_log $place/nginx.log;
events { worker_connections 1024; }
http {
    access_log off;
    keepalive_requests 1000000000;
    client_body_temp_path $place/t1; proxy_temp_path $place/t2; fastcgi_temp_path $place/t3;
    uwsgi_temp_path $place/t4; scgi_temp_path $place/t5;
    server {
        listen 127.0.0.1:$port;
        default_type application/json;
        location / { return 200 '$body'; }
    }
}
CONF
    nginx -p "$place" -c "$place/nginx.conf" 2>"$place/nginx.err" &
    nginx_pid=$!
    pids+=("$nginx_pid")
    nginx_url=http://127.0.0.1:$port/buy/ticket
    until_true curl -sf "$nginx_url" || die "$(cat "$place/nginx.err")"
    [ "$(curl -s "$nginx_url")" = "$body" ] || die 'the two bodies differ'
}

# One round: URL PID -> "requests/s  requests per CPU-second".
measure() {
    local before after report requests
    before=$(ticks "$2")
    report=$(wrk -t1 -c100 "-d${seconds}s" "$1")
    after=$(ticks "$2")
    if grep -q 'Non-2xx\|Socket errors' <<<"$report"; then
        die "$report"
    fi
    requests=$(sed -n 's/^ *\([0-9]*\) requests in.*/\1/p' <<<"$report")
    awk -v n="$requests" -v t="$((after - before))" -v hz="$(getconf CLK_TCK)" -v s="$seconds" \
        'BEGIN { printf "%.0f %.0f\n", n / s, n * hz / t }'
}

start_spike
start_nginx
measure "$spike_url" "$spike_pid" >/dev/null # both warm
measure "$nginx_url" "$nginx_pid" >/dev/null

printf '%-6s %14s %14s %14s %14s %8s\n' pair 'spike req/s' 'per CPU-s' 'nginx req/s' 'per CPU-s' ratio
for pair in $(seq "$pairs"); do
    read -r spike_rate spike_cost < <(measure "$spike_url" "$spike_pid")
    read -r nginx_rate nginx_cost < <(measure "$nginx_url" "$nginx_pid")
    ratio=$(awk -v a="$spike_cost" -v b="$nginx_cost" 'BEGIN { printf "%.3f", a / b }')
    echo "$ratio" >>"$place/ratios"
    printf '%-6s %14s %14s %14s %14s %8s\n' "$pair" "$spike_rate" "$spike_cost" "$nginx_rate" \
        "$nginx_cost" "$ratio"
done

judge "$place/ratios" "$floor"
