#!/bin/sh
# Installs the system packages that tests, boxes and benches want and that are missing, where that needs no question:
# on Debian or Ubuntu as root or with a sudo that asks nothing. Elsewhere it says what is missing and goes on: the tests
# that need it then skip themselves, with the reason (and fail where CI=true). Instant when everything is there.
set -u

say() { printf 'packages: %s\n' "$*" >&2; }

# PostgreSQL's programs are not on PATH on Debian.
has_postgres() {
    command -v initdb >/dev/null && return
    for program in /usr/lib/postgresql/*/bin/initdb; do [ -x "$program" ] && return; done
    return 1
}

missing=""
command -v bwrap >/dev/null || missing="$missing bubblewrap"
command -v redis-server >/dev/null || missing="$missing redis-server"
has_postgres || missing="$missing postgresql"
# Debian has it where only root looks.
PATH="$PATH:/usr/sbin" command -v haproxy >/dev/null || missing="$missing haproxy"
[ -n "$missing" ] || exit 0

if ! command -v apt-get >/dev/null; then
    say "missing:$missing (install them with your system's package manager)"
    exit 0
elif [ "$(id -u)" = 0 ]; then
    sudo=""
elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
    sudo="sudo -n"
else
    say "missing:$missing; this installs them: sudo apt-get install$missing"
    exit 0
fi

# The servers are started by the tests that want one, never by their installation.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' | $sudo tee "$policy" >/dev/null && $sudo chmod 755 "$policy"
    trap '$sudo rm -f "$policy"' EXIT
    trap 'exit 130' INT TERM
fi

say "installing$missing"
# shellcheck disable=SC2086 # several words on purpose.
install() { $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends $missing >/dev/null 2>&1; }
# A fresh machine has no package lists, so the first try may find nothing.
install || { $sudo apt-get update -qq >/dev/null 2>&1 && install; } || say "could not install$missing"
exit 0
