#!/bin/bash
# `make run`: a sale for experiments. A private redis-server on a Unix socket and one node, all
# files below OUT/run, a new sale each time; Ctrl-C (or TERM) stops both.
#
#     conf/run.sh OUT       environment: PORT 3005, ADMIN_PORT 3905, LOCAL_STOCK (no cap)
#
# On a terminal the work is done in a process group of its own, so that only this script gets
# Ctrl-C, and make, which would report it as an error, sees a normal end. Each server has its own
# group as well, so that they are stopped in order: first spike-server, then redis-server.
# shellcheck disable=SC2317 # some functions are called by traps and by name
set -eu
cd "$(dirname "$0")/.."

if [ -t 0 ] && [ -z "${SPIKE_RUN_GROUP-}" ]; then
    set -m
    status=0
    SPIKE_RUN_GROUP=$$ "$0" "$@" || status=$?
    exit $status
fi
set -m

out=$1
port=${PORT:-3005}
admin=${ADMIN_PORT:-3905}
run=$out/run
redis=
server=
status=0

print() { printf '%s\n' "$*"; }

# stop PID: TERM, and after five seconds KILL.
stop() {
    local tries=50
    kill -TERM "$1" 2>/dev/null || return 0
    while kill -0 "$1" 2>/dev/null && [ $((tries -= 1)) -gt 0 ]; do sleep 0.1; done
    kill -KILL "$1" 2>/dev/null || true
}

finish() {
    trap '' INT TERM HUP
    [ -z "$server" ] || stop "$server"
    [ -z "$redis" ] || stop "$redis"
    wait 2>/dev/null || true
    [ -z "$server" ] || [ "$status" -ne 0 ] || print "stopped spike-server and redis-server"
    exit "$status"
}

# fail WHAT LOG
fail() {
    print "make run: $1" >&2
    [ ! -s "$2" ] || tail -n 20 "$2" >&2
    status=1
    exit 1
}

alive() { kill -0 "$1" 2>/dev/null; }

# until_true SECONDS PID LOG WHAT COMMAND...: waits for a condition while PID lives.
until_true() {
    local tries=$(($1 * 20)) pid=$2 log=$3 what=$4
    shift 4
    until "$@"; do
        alive "$pid" || fail "$what did not start" "$log"
        [ $((tries -= 1)) -gt 0 ] || fail "$what does not answer" "$log"
        sleep 0.05
    done
}

# Another program may answer on a port that this server could not bind: so its log is checked first.
healthy() {
    grep -q 'listening on' "$run/server.log" &&
        curl -fsS -o /dev/null "http://127.0.0.1:$admin/healthz" 2>/dev/null
}

# Only one `make run` at a time below OUT: another one would remove the journal that is in use.
mkdir -p "$run"
exec 9>"$run.lock"
flock -n 9 || fail "another make run is using $run" /dev/null
rm -rf "$run"
mkdir -p "$run"

cat >"$run/spike.conf" <<CONF
node 1;
listen 127.0.0.1:$port;
admin 127.0.0.1:$admin;
journal journal;
redis unix:redis.sock;
event ticket {
    total 10000;
${LOCAL_STOCK:+    local-stock $LOCAL_STOCK;
}}
CONF
"$out/spike-server" -t -c "$run/spike.conf" >"$run/plan" 2>"$run/server.log" ||
    fail "the configuration was refused" "$run/server.log"

trap 'exit 0' INT TERM HUP
trap finish EXIT
(cd "$run" && exec redis-server --port 0 --unixsocket redis.sock --save '' --appendonly yes \
    --appendfsync always --maxmemory-policy noeviction --daemonize no) \
    >"$run/redis.log" 2>&1 </dev/null 9>&- &
redis=$!
until_true 10 $redis "$run/redis.log" redis-server test -S "$run/redis.sock"

"$out/spike-server" -c "$run/spike.conf" >>"$run/server.log" 2>&1 </dev/null 9>&- &
server=$!
until_true 20 $server "$run/server.log" spike-server healthy

cat <<TEXT

spike-server sells 10,000 tickets on 127.0.0.1:$port${LOCAL_STOCK:+, $LOCAL_STOCK of them from this node}. In another terminal:

    curl http://127.0.0.1:$port/buy/ticket
    curl http://127.0.0.1:$port/stock/ticket
    ab -n 10000 -c 100 http://127.0.0.1:$port/buy/ticket
    curl http://127.0.0.1:$admin/stats
    redis-cli -s $run/redis.sock hmget ticket_hash_key ticket_total_nums ticket_sold_nums

Its log is $run/server.log. Ctrl-C stops it, and the next make run begins a new sale.
TEXT

# Watches both, and the shell that started this script: when one of the three ends, the others do.
while alive $server && alive $redis; do
    [ -z "${SPIKE_RUN_GROUP-}" ] || alive "$SPIKE_RUN_GROUP" || exit 0
    sleep 0.5 9>&- &
    wait $! || true
done
alive $redis || fail "redis-server has ended" "$run/redis.log"
fail "spike-server has ended" "$run/server.log"
