# webdis.sh: Redis over HTTP: the published script without a program around it. One thread, like the
# others; its default number of connections to Redis, which all requests share (with 100 of them it
# is slower). Its answer is {"EVALSHA":N}, shorter than those of the other peers.
# shellcheck shell=bash disable=SC2154 # from lib.sh

# webdis_start NAME REDIS: the request is then ${path[NAME]}.
webdis_start() {
    local port
    port=$(free_port)
    address[$1]=127.0.0.1:$port
    path[$1]=/EVALSHA/${script[$2]}/1/ticket_hash_key/ticket_total_nums/ticket_sold_nums
    cat >"$work/$1.json" <<CONF
{
    "redis_host": "$work/$2.sock",
    "http_host": "127.0.0.1",
    "http_port": $port,
    "threads": 1,
    "daemonize": false,
    "verbosity": 1,
    "logfile": "$work/$1.out"
}
CONF
    run_server "$1" webdis "$work/$1.json"
    ready "$1" curl -sf "http://${address[$1]}${path[$1]}"
}
