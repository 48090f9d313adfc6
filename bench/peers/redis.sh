# redis.sh: the Redis behind spike and its peers, a separate one for each, all alike: a Unix socket,
# no snapshots, no append-only file. And Redis alone, under redis-benchmark: the speed of the
# published script if HTTP cost nothing.
# shellcheck shell=bash disable=SC2154,SC2034 # lib.sh's, bench.sh's

declare -A script # SHA1 of the published script, by the name of the Redis

# redis_start NAME: its socket is $work/NAME.sock.
redis_start() {
    run_server "$1" "${REDIS_SERVER:-redis-server}" --port 0 --unixsocket "$work/$1.sock" --save '' --appendonly no \
        --dir "$work"
    ready "$1" redis_do "$1" ping
}

# redis_sale NAME: with a sale for the peers, which use the hash and the published script.
redis_sale() {
    redis_start "$1"
    script[$1]=$(redis_do "$1" script load "$(cat "$bench/peers/deduct.lua")")
    redis_refill "$1"
}

redis_do() {
    redis-cli -s "$work/$1.sock" "${@:2}"
}

# Resets that sale.
redis_refill() {
    redis_do "$1" hset ticket_hash_key ticket_total_nums "${2:-1000000000}" ticket_sold_nums 0
} >/dev/null

redis_sold() {
    redis_do "$1" hget ticket_hash_key ticket_sold_nums
}

# redis_benchmark NAME REQUESTS CONNECTIONS -> requests per second
redis_benchmark() {
    local command=(redis-benchmark -s "$work/$1.sock" -c "$3" -n "$2" --csv evalsha
        "${script[$1]}" 1 ticket_hash_key ticket_total_nums ticket_sold_nums)
    note "${command[@]}"
    "${command[@]}" 2>&1 | awk -F'","' '/^"evalsha/ { print $2; ok = 1 } END { exit !ok }'
}
