#!/bin/sh
# Installs those Debian packages named as arguments that are missing; with sudo unless run by root.
# Servers among them (redis-server, nginx ...) are started neither now nor at the next boot: the
# tests start their own. If this is interrupted, it first restores the policy file.
set -eu

missing=
if ! command -v dpkg-query >/dev/null; then
    echo "deps: this is not Debian; needed are (by their Debian names): $*" >&2
    exit 0
fi
for package; do
    status=$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null || true)
    [ "$status" = installed ] || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || {
        echo "deps: missing:$missing; install them as root, or install sudo" >&2
        exit 1
    }
    echo "deps: asking sudo to install$missing"
    # shellcheck disable=SC2086 # a list of words
    exec sudo "$0" $missing
fi

policy=/usr/sbin/policy-rc.d
restore() {
    rm -f "$policy"
    [ ! -e "$policy.before-spike" ] || mv "$policy.before-spike" "$policy"
}
[ ! -e "$policy" ] || mv "$policy" "$policy.before-spike"
trap restore EXIT
trap 'exit 1' HUP INT TERM
printf '#!/bin/sh\nexit 101\n' >"$policy"
chmod 755 "$policy"

echo "deps: installing$missing"
export DEBIAN_FRONTEND=noninteractive
apt-get -qq -o DPkg::Lock::Timeout=300 update
# shellcheck disable=SC2086
apt-get -qq -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 install -y --no-install-recommends \
    $missing >/dev/null
for package in $missing; do
    case $package in
    bird2) service=bird ;;
    redis-server | nginx | prometheus | haproxy | keepalived | webdis) service=$package ;;
    *) continue ;;
    esac
    update-rc.d "$service" disable >/dev/null 2>&1 || true
done
