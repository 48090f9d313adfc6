# design.sh: the Go program of the published design. It uses all cores, which is best for Go.
# shellcheck shell=bash disable=SC2154 # from lib.sh

# design_start NAME REDIS LOCAL-STOCK [LOG-FILE]
design_start() {
    address[$1]=127.0.0.1:$(free_port)
    run_server "$1" "$tools/design" "${address[$1]}" "$work/$2.sock" "$bench/peers/deduct.lua" \
        "$3" "$work/yes" "$work/no" ${4:+"$4"}
    ready "$1" curl -sf "http://${address[$1]}/buy/ticket"
}
