# floor.sh: the kernel's floor, floor.c. It expects all requests to be like the first, so it is
# restarted for each kind.
# shellcheck shell=bash disable=SC2154 # from lib.sh

# floor_start NAME SPIKE [HEADER]: answers with SPIKE's answer to such a request for /buy/ticket,
# byte by byte.
floor_start() {
    local port
    port=$(free_port)
    address[$1]=127.0.0.1:$port
    curl -si ${3:+-H "$3"} "http://${address[$2]}/buy/ticket" >"$work/$1.answer"
    run_server "$1" "$tools/floor" "$port" "$work/$1.answer"
    # No request to check that it is up: it takes its pattern from the first one.
    ready "$1" is_listening "$port"
}

is_listening() {
    grep -qi "^ *[0-9]*: 0100007F:$(printf %04X "$1") 00000000:0000 0A" /proc/net/tcp
}
