#!/bin/bash
# Why: rooms stay rooms only while includes run one way (CONTRIBUTING.md). Reads every #include of
# the product and names each one that goes up a floor, or a library seen outside its room.
#
#     tests/floors.sh [ROOT]       checks the tree (default: this one)
#     tests/floors.sh --self-test  breaks a made-up tree in every way and expects each to be found
set -eu

# Room: the rooms it may include, besides itself.
floors='
conf/base        -
server/mem       conf/base
server/http      conf/base server/mem
server/shared      conf/base server/mem
storage/journal  conf/base
storage/stock    conf/base server/mem
storage/log      conf/base storage/journal storage/stock
server/net       conf/base server/mem server/http server/shared
server/ledger    conf/base server/mem server/shared storage/journal storage/stock
server/admin     conf/base server/mem server/http server/shared server/net
server           conf/base server/mem server/http server/shared server/net server/ledger server/admin storage/journal storage/stock
admin-tui        conf/base storage/stock
'
# Header of a library: the files that may see it.
libraries='
lmdb.h              storage/journal/*
hiredis/*           storage/stock/*
hiredis.h           storage/stock/*
ev.h                server/net/* server/main.c admin-tui/*
ncurses.h           admin-tui/term.* admin-tui/draw.*
ncursesw/*          admin-tui/term.* admin-tui/draw.*
term.h              admin-tui/term.*
jsmn.h              admin-tui/json.*
'

check_tree() {
    # shellcheck disable=SC2016 # $0 is for awk
    find conf server storage admin-tui -name '*.[ch]' 2>/dev/null | sort | xargs -r \
        awk -v floors="$floors" -v libraries="$libraries" '
        function matches(name, pattern) {
            gsub(/\./, "\\.", pattern)
            gsub(/\*/, ".*", pattern)
            return name ~ "^" pattern "$"
        }
        function complain(what) {
            printf "%s:%d: %s\n", FILENAME, FNR, what
            bad = 1
        }
        function check_room(to,   count, words, i) {
            if (to == room || to == "conf/base")
                return
            count = split(may[room], words, " ")
            for (i = 1; i <= count; i++)
                if (words[i] == to)
                    return
            complain(room " may not include " to)
        }
        function check_library(header,   i, j, count, words, seen, allowed) {
            for (i = 1; i <= library_count; i++) {
                count = split(library[i], words, " ")
                if (!matches(header, words[1]))
                    continue
                seen = 1
                for (j = 2; j <= count; j++)
                    if (matches(FILENAME, words[j]))
                        allowed = 1
            }
            if (seen && !allowed)
                complain(header " is not for this room")
        }
        BEGIN {
            count = split(floors, lines, "\n")
            for (i = 1; i <= count; i++)
                if (match(lines[i], / +/))
                    may[substr(lines[i], 1, RSTART - 1)] = substr(lines[i], RSTART + RLENGTH)
            library_count = split(libraries, library, "\n")
        }
        FNR == 1 {
            room = FILENAME
            sub(/\/[^\/]*$/, "", room)
            if (!(room in may))
                complain("no floor is known for the room " room)
        }
        /^[ \t]*#[ \t]*include/ {
            header = $0
            sub(/^[^<"]*[<"]/, "", header)
            sub(/[>"].*/, "", header)
            if (header ~ /^(conf|server|storage|admin-tui|tests)\//) {
                to = header
                sub(/\/[^\/]*$/, "", to)
                check_room(to)
            } else if ($0 ~ /"/ && header ~ /\.\./)
                complain("includes are named from the root")
            check_library(header)
        }
        END { exit bad }'
}

# One file with one include; then the verdict on that tree must be as expected.
expect() {
    mkdir -p "$tmp/$(dirname "$2")"
    printf '#include %s\n' "$3" >"$tmp/$2"
    if (cd "$tmp" && check_tree) >"$tmp/said"; then got=good; else got=bad; fi
    rm "$tmp/$2"
    [ "$got" = "$1" ] || {
        echo "floors.sh: $2 with #include $3 was found $got, not $1" >&2
        exit 1
    }
}

self_test() {
    tmp=$(mktemp -d)
    trap 'rm -rf "$tmp"' EXIT
    expect good server/net/a.c '"server/http/request.h"'
    expect bad server/net/a.c '"server/ledger/ledger.h"'
    expect bad server/net/a.c '"storage/journal/record.h"'
    expect bad server/ledger/a.c '"server/net/worker.h"'
    expect bad server/admin/a.c '"server/ledger/ledger.h"'
    expect bad conf/base/a.h '"conf/base/arena.h"'
    expect bad server/http/a.c '"server/shared/board.h"'
    expect bad storage/journal/a.c '"storage/stock/stock.h"'
    expect bad storage/stock/a.c '"server/ledger/ledger.h"'
    expect bad server/net/a.c '"tests/lib/fake.h"'
    expect bad server/net/a.c '"../ledger/ledger.h"'
    expect bad server/nowhere/a.c '"conf/base/check.h"'
    expect bad server/ledger/a.c '<lmdb.h>'
    expect good storage/journal/a.c '<lmdb.h>'
    expect bad server/ledger/a.c '<hiredis/hiredis.h>'
    expect good storage/stock/a.c '<hiredis/hiredis.h>'
    expect bad server/ledger/a.c '<ev.h>'
    expect bad server/admin/a.c '  <ev.h>'
    expect good server/main.c '<ev.h>'
    expect bad server/main.c '<ncurses.h>'
}

case ${1-} in
--self-test) self_test ;;
*)
    cd "${1:-$(dirname "$0")/..}"
    check_tree
    ;;
esac
