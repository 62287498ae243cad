#!/bin/sh
# Makes .venv with everything that `make` needs, on a bare Debian or Ubuntu with Python >= 3.11. Harmless to repeat.
# The environment's own pip settings (index, proxy, certificates) are used as they are; nothing here names an index.
set -eu
cd -P "$(dirname "$0")/.."

# make and an activated shell have .venv first on PATH; it must be made from another Python than its own.
while [ "${PATH#"$PWD/.venv/bin:"}" != "$PATH" ]; do PATH=${PATH#"$PWD/.venv/bin:"}; done
# make puts .venv first on the path; what .venv is made with is what comes after it.
PATH=${PATH#"$(pwd -P)/.venv/bin:"}

# Commands that tests want, and the Debian package of each: "command:package".
COMMANDS="git:git"

say() { printf 'setup: %s\n' "$*" >&2; }
stop() { say "$*"; exit 1; }

# Installs a Debian package where that needs no question; otherwise prints the line that does it, and stops.
install_package() {
    if ! command -v apt-get >/dev/null; then
        stop "$1 is missing; install it with your system's package manager, then run this again"
    elif [ "$(id -u)" = 0 ]; then
        sudo=""
    elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
        sudo="sudo -n"
    else
        say "$1 is missing; this installs it, then run make again:"
        stop "    sudo apt-get update && sudo apt-get install -y $1"
    fi
    say "installing $1"
    # A fresh machine has no package lists, so the first try may find nothing.
    $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y "$1" >/dev/null 2>&1 ||
        { $sudo apt-get update -qq &&
            $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y "$1" >/dev/null; } ||
        stop "could not install $1"
}

find_python() {
    for candidate in ${PYTHON:-python3.13 python3.12 python3.11 python3}; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then
            printf '%s\n' "$candidate"
            return
        fi
    done
    say "no Python >= 3.11 among: ${PYTHON:-python3.13 python3.12 python3.11 python3}"
    stop "    name yours: make PYTHON=/path/to/python …"
}

for wanted in $COMMANDS; do
    command -v "${wanted%%:*}" >/dev/null || install_package "${wanted#*:}"
done

python=$(find_python)
# What .venv depends on. Its scripts hold absolute paths, so a moved tree needs a new one.
locked=$({ pwd -P; "$python" -c 'import sys; print(sys.version, sys.executable)'; cat requirements.lock; } | cksum)
installed=$(cksum <pyproject.toml)

if [ "$(cat .venv/.locked 2>/dev/null)" != "$locked" ]; then
    if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
        # Debian keeps ensurepip in a package of its own.
        install_package "$("$python" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')"
    fi
    say "making .venv with $("$python" -V) (a minute, once)"
    rm -rf .venv
    "$python" -m venv .venv
    # The lock is complete, so nothing is resolved: what is not in it cannot come in.
    PIP_USER=0 .venv/bin/python -m pip install -qq --no-deps --require-hashes -r requirements.lock
    printf '%s\n' "$locked" >.venv/.locked
fi
if [ "$(cat .venv/.installed 2>/dev/null)" != "$installed" ]; then
    PIP_USER=0 .venv/bin/python -m pip install -qq --no-deps --no-build-isolation -e .
    printf '%s\n' "$installed" >.venv/.installed
fi
