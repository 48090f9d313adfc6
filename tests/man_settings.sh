#!/bin/sh
# Why: operators configure by the page. Every setting of settings.def must have an entry in
# spike.conf(5) with its range and default, and the page must not describe a setting that does not
# exist.
set -eu
cd "$(dirname "$0")/.."
page=man/spike.conf.5
table=conf/base/settings.def
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# name|the text that the entry's first line must have
{
    echo '#define SETTING(b, m, name, k, min, max, given, standard) name min max #given standard'
    cat "$table"
} | "${CC:-cc}" -E -P -x c - | awk -F'"' '
    NF >= 11 {
        line = $4 == "" ? "" : "Range " $4 " to " $6 ", "
        line = line ($8 == "REQUIRED" ? "required." : "default " $10 ".")
        print $2 "|" toupper(substr(line, 1, 1)) substr(line, 2)
    }' | sort >"$work/table"

# The entries of the page: `.It Ic name`, and the first line of text after it.
awk '
    /^\.It Ic / { name = $3; next }
    name != "" && !/^\./ { print name "|" $0; name = "" }
    name != "" { print name "|nothing"; name = "" }' "$page" | sort >"$work/page"

[ "$(wc -l <"$work/table")" -eq "$(grep -c '^SETTING(' "$table")" ] || {
    echo "$0: cannot read $table" >&2
    exit 1
}
if ! diff "$work/table" "$work/page" >"$work/diff"; then
    echo "$page and $table differ (< table, > page):" >&2
    grep '^[<>]' "$work/diff" >&2
    exit 1
fi
echo "  ok   $page: $(wc -l <"$work/table") settings"
