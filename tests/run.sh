#!/bin/bash
# Runs built tests, prints a line for each program, and keeps the counts in build/results.
#
#     tests/run.sh unit|threaded DIR            every unit test below DIR, in parallel
#     tests/run.sh fuzz DIR SECONDS [RUNS]      every fuzzer in DIR
#     tests/run.sh flow DIR [FILE...]           pytest against DIR/spike-server
#     tests/run.sh total OUT                    the sum; fails if a test failed
#
# A program's output goes to NAME.log beside it and is shown only if it failed.
set -eu
cd "$(dirname "$0")/.."

root=build
export ASAN_OPTIONS=${ASAN_OPTIONS-detect_leaks=1}
export UBSAN_OPTIONS=${UBSAN_OPTIONS-print_stacktrace=1:halt_on_error=1}
# A second TERM ends the server at once, with threads that are not joined: no leak to report.
export TSAN_OPTIONS=${TSAN_OPTIONS-halt_on_error=1:second_deadlock_stack=1:report_thread_leaks=0}
export PYTHONDONTWRITEBYTECODE=1

# note NAME PASSED FAILED SKIPPED
note() {
    mkdir -p $root/results
    echo "$2 $3 $4" >"$root/results/${1//\//_}"
}

# The numbers that cmocka prints in lines like `[  PASSED  ] 7 test(s).`, added up.
cmocka_count() {
    sed -n "s/^\[ *$1 *\] \([0-9]*\) test(s).*/\1/p" "$2" | awk '{ n += $1 } END { print n + 0 }'
}

seconds_since() {
    awk -v a="$1" -v b="$EPOCHREALTIME" 'BEGIN { printf "%.1f", b - a }'
}

# ThreadSanitizer needs an address layout without randomization: many random bits make it fail.
layout() {
    if [[ $1 = *tsan* ]] && setarch "$(uname -m)" -R true 2>/dev/null; then
        setarch "$(uname -m)" -R "${@:2}"
    else
        "${@:2}"
    fi
}

one_unit() {
    local program=$1 log=$1.log start=$EPOCHREALTIME rc=0 passed failed skipped
    layout "$program" timeout -k 5 300 "$program" >"$log" 2>&1 </dev/null || rc=$?
    passed=$(cmocka_count PASSED "$log")
    failed=$(cmocka_count FAILED "$log")
    skipped=$(cmocka_count SKIPPED "$log")
    [ $rc -eq 0 ] || [ "$failed" -gt 0 ] || failed=1
    note "$program" "$passed" "$failed" "$skipped"
    if [ "$failed" -gt 0 ]; then
        printf '  FAIL %-20s exit %s\n%s\n' "${program##*/}" $rc "$(tail -n 60 "$log")"
        return 1
    fi
    printf '  ok   %-20s %4d tests %6s s\n' "${program##*/}" "$passed" "$(seconds_since "$start")"
}

one_fuzzer() {
    local program=$1 limits=("-max_total_time=$2") log=$1.log corpus rc=0 seeds
    corpus=$(dirname "$1")/corpus/${1##*/}
    seeds=tests/fuzz/seeds/${1##*/}
    mkdir -p "$corpus"
    [ -z "${3-}" ] || limits+=("-runs=$3")
    [ -d "$seeds" ] || seeds=
    timeout -k 5 $(($2 + 60)) "$program" "${limits[@]}" -artifact_prefix="$program-" "$corpus" \
        ${seeds:+"$seeds"} >"$log" 2>&1 </dev/null || rc=$?
    if [ $rc -ne 0 ]; then
        note "$program" 0 1 0
        printf '  FAIL %-20s exit %s\n%s\n' "${program##*/}" $rc "$(tail -n 60 "$log")"
        return 1
    fi
    note "$program" 1 0 0
    printf '  ok   %-20s %s\n' "${program##*/}" "$(tail -n 1 "$log")"
}

# xargs runs all of them, and exits with 123 if any has failed.
each() {
    local what=$1
    shift
    [ $# -gt 0 ] || return 0
    printf '%s\n' "$@" | xargs -P"$(nproc)" -I@ "$0" "$what" @ "${extra[@]}"
}

# sources KIND: the names of the files tests/KIND/*.c, without .c.
sources() {
    (cd "tests/$1" 2>/dev/null && find . -name '*.c' | sed 's|^\./||; s|\.c$||' | sort)
}

# The closing line of pytest, `3 failed, 20 passed, 1 skipped in 12.3s`.
pytest_count() {
    grep -Eo "[0-9]+ $1" <(tail -n 1 "$2") | cut -d' ' -f1 || echo 0
}

flow() {
    local dir=$1 kind=${1#build} files=("${@:2}") log rc=0
    kind=${kind#/}
    log=$root/flow${kind:+-$kind}.log
    if [ ! -x "$dir/spike-server" ] || ! compgen -G 'tests/flow/test_*.py' >/dev/null; then
        echo '  no server or no flow tests yet'
        return 0
    fi
    [ ${#files[@]} -gt 0 ] || files=(tests/flow)
    export SPIKE_SERVER=$PWD/$dir/spike-server SPIKE_BUILD=$kind
    layout "$dir" timeout -k 20 1500 "${PYTHON:-/usr/bin/python3}" -m pytest -q -p no:cacheprovider \
        "${files[@]}" </dev/null 2>&1 | tee "$log" || rc=$?
    note "flow-$kind" "$(pytest_count passed "$log")" \
        "$(($(pytest_count failed "$log") + $(pytest_count error "$log")))" \
        "$(pytest_count skipped "$log")"
    return $rc
}

total() {
    cat $root/results/* 2>/dev/null | awk '
        { passed += $1; failed += $2; skipped += $3 }
        END {
            printf "%d passed, %d failed%s\n", passed, failed, skipped ? ", " skipped " skipped" : ""
            exit failed > 0
        }'
}

set -o pipefail
command=$1
dir=${2-}
extra=()
case $command in
unit)
    mapfile -t list < <(sources unit)
    each one-unit "${list[@]/#/$dir/tests/unit/}"
    ;;
threaded)
    mapfile -t list < <(sources unit | while read -r name; do
        ! grep -q pthread_create "tests/unit/$name.c" || echo "$name"
    done)
    each one-unit "${list[@]/#/$dir/tests/unit/}"
    ;;
fuzz)
    extra=("${@:3}")
    mapfile -t list < <(sources fuzz)
    each one-fuzzer "${list[@]/#/$dir/}"
    ;;
flow) flow "$dir" "${@:3}" ;;
total) total ;;
one-unit) one_unit "$dir" ;;
one-fuzzer) one_fuzzer "$dir" "${@:3}" ;;
*)
    sed -n '2,9p' "$0" >&2
    exit 2
    ;;
esac
