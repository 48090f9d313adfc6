# design.sh: the Go program of the published design. It uses as many cores as there are: Go has no
# better way.
# shellcheck shell=bash disable=SC2154 # from lib.sh

# design_start NAME REDIS LOCAL-STOCK [LOG-FILE]
design_start() {
    address[$1]=127.0.0.1:$(free_port)
    run_server "$1" "$tools/design" "${address[$1]}" "$place/$2.sock" "$bench/peers/deduct.lua" \
        "$3" "$place/yes" "$place/no" ${4:+"$4"}
    ready "$1" curl -sf "http://${address[$1]}/buy/ticket"
}
