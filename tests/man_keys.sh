#!/bin/sh
# Why: operators press keys by the page, on sale night. spike-top(1) must list every key of
# keys.def, in its order and with its text, and no other; and describe under ACTIONS each key that
# changes the sale.
set -eu
cd "$(dirname "$0")/.."
page=man/spike-top.1
table=admin-tui/view/keys.def
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# kind|keys|What it does.
{
    echo '#define KEY(name, views, act, pressed, shown, hint, help) #act shown help'
    cat "$table"
} | "${CC:-cc}" -E -P -x c - | awk -F'"' '
    NF >= 7 { print $2 "|" $4 "|" toupper(substr($6, 1, 1)) substr($6, 2) "." }' >"$work/keys"
sed 's/^[A-Z]*|//' "$work/keys" >"$work/table"
sed -n 's/^ACTS|\([^|]*\)|.*/\1/p' "$work/keys" >"$work/acts"

# The entries of a section: `.It Ic keys`, and the line after it.
entries() {
    awk -v section=".Sh $1" '
        /^\.Sh / { here = $0 == section }
        here && /^\.It Ic / { name = $0; sub(/^\.It Ic /, "", name); gsub(/["\\]/, "", name); next }
        name != "" { print name "|" $0; name = "" }' "$page"
}
entries KEYS >"$work/page"
entries ACTIONS | sed 's/|.*//' >"$work/page-acts"

[ "$(wc -l <"$work/table")" -eq "$(grep -c '^KEY(' "$table")" ] || {
    echo "$0: cannot read $table" >&2
    exit 1
}
if ! diff "$work/table" "$work/page" >"$work/diff" ||
    ! diff "$work/acts" "$work/page-acts" >"$work/diff"; then
    echo "$page and $table differ (< table, > page):" >&2
    cat "$work/diff" >&2
    exit 1
fi
echo "  ok   $page: $(wc -l <"$work/table") keys, $(wc -l <"$work/acts") of them act"
